"""One map over the anatomy: a mosaic of cuts, and a compact view through the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from voxplain.report.figures.brain.notes import CONVENTION, scaling, smoothed
from voxplain.report.figures.brain.paint import Look, Panel, Sheet, colour_bar, truth_key
from voxplain.report.figures.brain.planes import AXES, Scene, choose_cuts
from voxplain.report.figures.style import (
    GREY,
    PAGE_WIDTH,
    house_style,
    new_figure,
    png_bytes,
)
from voxplain.report.words.numbers import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from voxplain.grid import Grid

__all__ = ["draw_mosaic", "mosaic", "overlay"]

_GAP_MM: Final = 5.0
_LABEL_MM: Final = 19.0
_SIDE_MM: Final = 6.0
_SLICES: Final = 7


def mosaic(
    values: ArrayLike,
    background: ArrayLike,
    grid: Grid,
    *,
    truth: ArrayLike | None = None,
    title: str = "",
    unit: str = "",
    fwhm: float = 0.0,
    symmetric: bool | None = None,
) -> bytes:
    """Draw a map over the anatomy as rows of axial, sagittal and coronal cuts.

    The cuts go through what there is to see (`planes.choose_cuts`). All are at one scale, so that a
    row of sagittal cuts, which are longer, holds fewer. The colours end at the 99.5th percentile of
    the magnitude within the head, and fade out towards zero.

    Parameters
    ----------
    values : array (X, Y, Z)
        The map, raw.
    background : array (X, Y, Z)
        The anatomy, any intensity unit.
    grid : Grid
        Of all arrays; any orientation.
    truth : array (X, Y, Z), optional
        Outlined where it is above 0.5.
    title : str
    unit : str
        Unit of the map, below the colour bar.
    fwhm : float, mm
        Gaussian smoothing for the eye, stated on the figure; 0 for none.
    symmetric : bool, optional
        Colours about 0 (True) or from 0 upwards (False); by default by the map's sign.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    GridError
        If an array does not fit the grid.
    InputError
        If an array has values that are not finite, or the truth is empty.
    """
    scene = Scene.of(background, grid, truth)
    shown = scene.bring(smoothed(values, grid, fwhm))
    with house_style():
        look = Look.of(shown, scene.head, symmetric)
        figure = draw_mosaic(scene, shown, look, title, unit)
        _footnotes(figure, scene, [CONVENTION, *scaling(look, fwhm, scene.outside(values))])
        return png_bytes(figure)


def draw_mosaic(
    scene: Scene,
    shown: NDArray[np.float32],
    look: Look,
    title: str = "",
    unit: str = "",
) -> Figure:
    """Draw the mosaic of a prepared map, its notes left out; see `mosaic`.

    Parameters
    ----------
    scene : Scene
    shown : array (X, Y, Z)
        As `Scene.bring` returns it.
    look : Look
    title, unit : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    width = _row_width(scene, "axial", _SLICES)
    rows = [
        (plane, _cuts(scene, shown, plane, width)) for plane in ("axial", "sagittal", "coronal")
    ]
    height = sum(scene.size(plane)[1] + _LABEL_MM for plane, _ in rows)
    per_inch = (width + 2 * _SIDE_MM) / PAGE_WIDTH
    top, foot = (0.3 if title else 0.06), 0.5
    total = height / per_inch + top + foot
    figure = new_figure(PAGE_WIDTH, total)
    box = (0.0, foot / total, 1.0, height / per_inch / total)
    sheet = Sheet(figure, box, (width + 2 * _SIDE_MM, height))
    y = 0.0
    for plane, indices in rows:
        across, down = scene.size(plane)
        spare = width - across * len(indices)
        gap = spare / (len(indices) - 1) if len(indices) > 1 else 0.0
        x = _SIDE_MM if len(indices) > 1 else _SIDE_MM + spare / 2
        for n, index in enumerate(indices):
            panel, place = Panel.of(scene, plane, index, shown, look), x + n * (across + gap)
            sheet.lay(panel, place, y, ends=n == 0)
            sheet.write(place + across / 2, y + down + 8, panel.label)
        y += down + _LABEL_MM
    left = _SIDE_MM / sheet.size[0]
    if title:
        figure.text(left, 1 - 0.16 / total, title, fontsize=9.5, weight="bold", va="center")
    colour_bar(figure, (0.045, 0.36 / total, 0.24, 0.085 / total), look, unit)
    return figure


def overlay(
    values: ArrayLike,
    background: ArrayLike,
    grid: Grid,
    *,
    truth: ArrayLike | None = None,
    title: str = "",
    unit: str = "",
) -> bytes:
    """Draw the three cuts through a map's peak, with cross-hairs.

    Parameters
    ----------
    values, background : array (X, Y, Z)
    grid : Grid
        Of all arrays; any orientation.
    truth : array (X, Y, Z), optional
        Outlined where it is above 0.5.
    title, unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    GridError
        If an array does not fit the grid.
    InputError
        If an array has values that are not finite, or the truth is empty.
    """
    scene = Scene.of(background, grid, truth)
    shown = scene.bring(values)
    look = Look.of(shown, scene.head)
    peak = np.unravel_index((np.abs(shown) * scene.head).argmax(), shown.shape)
    planes = ("axial", "coronal", "sagittal")
    gap = 4 * _SIDE_MM
    width = sum(scene.size(p)[0] for p in planes) + gap * 3
    height = max(scene.size(p)[1] for p in planes) + _LABEL_MM
    inches = 6.2
    top, foot = (0.34 if title else 0.08), 0.5
    total = height / width * inches + top + foot
    with house_style():
        figure = new_figure(inches, total)
        sheet = Sheet(figure, (0, foot / total, 1, 1 - (top + foot) / total), (width, height))
        x = gap / 2
        for plane in planes:
            index = int(peak[AXES[plane]])
            panel = Panel.of(scene, plane, index, shown, look)
            across, down = panel.size
            y = (height - _LABEL_MM - down) / 2
            sheet.lay(panel, x, y, ends=True)
            sheet.write(x + across / 2, height - _LABEL_MM / 2, panel.label)
            column, row = (a for a in range(3) if a != AXES[plane])
            size = scene.grid.voxel_size
            at = (x + (peak[column] + 0.5) * size[column], y + down - (peak[row] + 0.5) * size[row])
            sheet.cross(at, (x, y, x + across, y + down))
            x += across + gap
        if title:
            figure.text(0.025, 1 - 0.17 / total, title, fontsize=9.5, weight="bold", va="center")
        colour_bar(figure, (0.055, 0.36 / total, 0.28, 0.085 / total), look, unit)
        first = f"Cuts through the largest |value| in the head, {number(float(shown[peak]), 3)}"
        _footnotes(figure, scene, [first, *scaling(look, 0.0, scene.outside(values))])
        return png_bytes(figure)


def _row_width(scene: Scene, plane: str, count: int) -> float:
    return count * scene.size(plane)[0] + (count - 1) * _GAP_MM


def _cuts(scene: Scene, shown: NDArray[np.float32], plane: str, width: float) -> list[int]:
    fitting = max(int((width + _GAP_MM) / (scene.size(plane)[0] + _GAP_MM)), 1)
    return choose_cuts(scene, np.abs(shown), plane, min(fitting, _SLICES))


def _footnotes(figure: Figure, scene: Scene, lines: Sequence[str]) -> None:
    height = figure.get_figheight()
    if scene.oblique:
        lines = [*lines, "The scan is oblique: cuts run along its own axes"]
    for n, line in enumerate(lines):
        figure.text(
            0.985,
            (0.44 - 0.125 * n) / height,
            line,
            fontsize=6.5,
            color=GREY,
            ha="right",
            va="center",
        )
    if scene.truth is not None:
        truth_key(figure, 0.355, 0.4 / height)
