"""Several maps as rows at the same cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from voxplain.errors import InputError
from voxplain.report.figures.brain.notes import CONVENTION, TELL_OUTSIDE, scaling, smoothed
from voxplain.report.figures.brain.paint import Look, Panel, Sheet, colour_bar, truth_key
from voxplain.report.figures.brain.planes import Scene, choose_cuts
from voxplain.report.figures.style import GREY, house_style, new_figure, png_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from voxplain.grid import Grid

__all__ = ["gallery"]

_GAP_MM: Final = 5.0
_LABEL_MM: Final = 19.0
_COLUMNS: Final = (("axial", 3, 0.6), ("coronal", 2, 0.3), ("sagittal", 2, 0.5))
"""Plane, number of cuts, and how far they are spread over the head."""


def gallery(
    rows: Sequence[tuple[str, ArrayLike]],
    background: ArrayLike,
    grid: Grid,
    *,
    truth: ArrayLike | None = None,
    title: str = "",
    fwhm: float = 0.0,
    top: float | None = None,
) -> bytes:
    """Draw several maps as rows at the same cuts.

    Parameters
    ----------
    rows : sequence of (str, array (X, Y, Z))
        Name of each map (a line break is kept) and its values.
    background : array (X, Y, Z)
    grid : Grid
        Of all arrays; any orientation.
    truth : array (X, Y, Z), optional
        Outlined in every row; the cuts go through it.
    title : str
    fwhm : float, mm
        Gaussian smoothing of every map for the eye; 0 for none.
    top : float, optional
        Value at which the colours of every row end, from 0 upwards; by default each row has a
        scale of its own.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    GridError
        If an array does not fit the grid.
    InputError
        If there is no row, an array has values that are not finite, or the truth is empty.
    """
    if not rows:
        raise InputError("A gallery needs at least one map; none was given.")
    scene = Scene.of(background, grid, truth)
    maps = [scene.bring(smoothed(v, grid, fwhm), f"The map {name!r}") for name, v in rows]
    if top is None:
        looks = [Look.of(m, scene.head) for m in maps]
    else:
        looks = [Look(top, signed=False, rule=f"Colours run from 0 to {top:g}")] * len(maps)
    weight = np.mean([np.abs(m) / k.top for m, k in zip(maps, looks, strict=True)], axis=0)
    columns = [
        (plane, index)
        for plane, count, spread in _COLUMNS
        for index in choose_cuts(scene, weight, plane, count, spread)
    ]
    across = [scene.size(plane)[0] for plane, _ in columns]
    tallest = max(scene.size(plane)[1] for plane, _ in columns)
    cuts = sum(across) + 2 * _GAP_MM * (len(columns) - 1)
    letters = max(len(line) for name, _ in rows for line in name.splitlines() or [""])
    names, bars, inches = 0.3 + 0.082 * letters, 1.45, 9.2
    per_inch = cuts / (inches - names - bars)
    width = inches * per_inch
    pitch = tallest + 2 * _GAP_MM
    height = _LABEL_MM + pitch * len(rows)
    top, foot = (0.36 if title else 0.06), 0.3
    total = height / per_inch + top + foot
    with house_style():
        figure = new_figure(inches, total)
        sheet = Sheet(figure, (0, foot / total, 1, 1 - (top + foot) / total), (width, height))
        for n, ((name, values), shown, look) in enumerate(zip(rows, maps, looks, strict=True)):
            y = _LABEL_MM + n * pitch
            middle = y + tallest / 2
            x = names * per_inch
            sheet.write(0.15 * per_inch, middle, name, ha="left", weight="bold", size=8.5)
            for m, ((plane, index), wide) in enumerate(zip(columns, across, strict=True)):
                panel = Panel.of(scene, plane, index, shown, look)
                first = n == 0 and (m == 0 or columns[m - 1][0] != plane)
                sheet.lay(panel, x, y + (tallest - panel.size[1]) / 2, ends=first)
                if n == 0:
                    sheet.write(x + wide / 2, _LABEL_MM / 2, panel.label, colour=GREY, size=7.5)
                x += wide + 2 * _GAP_MM
            bar = (1 - (bars - 0.3) / inches, 1 - (top + middle / per_inch) / total)
            colour_bar(figure, (*bar, (bars - 0.65) / inches, 0.075 / total), look)
            lost = scene.outside(values)
            if lost >= TELL_OUTSIDE:
                below = (bar[0] + (bars - 0.65) / 2 / inches, bar[1] - 0.28 / total)
                figure.text(*below, f"{lost:.0%} beyond head", fontsize=6, color=GREY, ha="center")
        if title:
            figure.text(
                0.15 / inches, 1 - 0.18 / total, title, fontsize=11, weight="bold", va="center"
            )
        note = ". ".join([CONVENTION, *scaling(looks[0], fwhm, 0.0)])
        figure.text(
            1 - 0.15 / inches, 0.12 / total, note, fontsize=6.5, color=GREY, ha="right", va="center"
        )
        if truth is not None:
            truth_key(figure, 0.15 / inches, 0.12 / total)
        return png_bytes(figure)
