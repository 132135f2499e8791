"""What a phantom cohort looks like: subjects with and without the effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain.paint import Look, Panel, Sheet, colour_bar, truth_key
from voxplain.report.figures.brain.planes import Scene, choose_cuts, require_on_grid
from voxplain.report.figures.style import (
    GREY,
    PAGE_WIDTH,
    house_style,
    new_figure,
    png_bytes,
)

__all__ = ["cohort_strip"]

_GAP_MM: Final = 5.0
_BETWEEN_MM: Final = 22.0
_HEADER_MM: Final = 52.0
_NAME_INCHES: Final = 0.75
_COLUMNS: Final = ("with effect", "without", "difference")


def cohort_strip(
    pairs: Sequence[tuple[str, ArrayLike, ArrayLike]],
    grid: Grid,
    *,
    truth: ArrayLike | None = None,
    unit: str = "intensity",
) -> bytes:
    """Draw phantom subjects as an axial and a coronal cut: with the effect, without, difference.

    Parameters
    ----------
    pairs : sequence of (str, array (X, Y, Z), array (X, Y, Z))
        Name of the subject, its image with the effect and the paired image without.
    grid : Grid
        Of all arrays; any orientation.
    truth : array (X, Y, Z), optional
        Outlined on the difference; the cuts go through it, or else where the pairs differ most.
    unit : str, default="intensity"
        Unit of the difference.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    GridError
        If an array does not fit the grid.
    InputError
        If there is no pair, an array has values that are not finite, or the truth is empty.
    """
    if not pairs:
        raise InputError("A picture of a cohort needs at least one subject; none was given.")
    images = [
        tuple(require_on_grid(v, grid, f"The image of {name}") for v in two) for name, *two in pairs
    ]
    common = Scene.of(np.max([without for _, without in images], axis=0), grid, truth)
    changes = [common.bring(with_ - without) for with_, without in images]
    weight = np.mean(np.abs(changes), axis=0)
    cuts = [(plane, choose_cuts(common, weight, plane, 1)[0]) for plane in ("axial", "coronal")]
    touched = np.abs(changes)[np.abs(changes) > 0]
    look = Look(float(np.percentile(touched, 99)) if touched.size else 1.0, signed=True)

    sizes = [common.size(plane) for plane, _ in cuts]
    drawn = sum(3 * wide + 2 * _GAP_MM for wide, _ in sizes) + _BETWEEN_MM
    per_inch = drawn / (PAGE_WIDTH - _NAME_INCHES - 0.1)
    tallest = max(high for _, high in sizes)
    height = _HEADER_MM + len(pairs) * (tallest + _GAP_MM)
    foot = 0.45
    total = height / per_inch + foot
    with house_style():
        figure = new_figure(PAGE_WIDTH, total)
        sheet = Sheet(
            figure, (0, foot / total, 1, 1 - foot / total), (PAGE_WIDTH * per_inch, height)
        )
        for n, ((name, *_), (with_, without), change) in enumerate(
            zip(pairs, images, changes, strict=True)
        ):
            y = _HEADER_MM + n * (tallest + _GAP_MM)
            sheet.write(0.1 * per_inch, y + tallest / 2, name, ha="left", weight="bold", size=7.5)
            x = _NAME_INCHES * per_inch
            scenes = [common.of_subject(with_), common.of_subject(without)]
            for (plane, index), (wide, high) in zip(cuts, sizes, strict=True):
                shown = [(scenes[0], 0 * change), (scenes[1], 0 * change), (scenes[1], change)]
                for m, (scene, values) in enumerate(shown):
                    panel = Panel.of(scene, plane, index, values, look)
                    if m < 2:
                        # An outline would hide the change that these two are to show.
                        panel = replace(panel, outline=None)
                    at = x + m * (wide + _GAP_MM)
                    sheet.lay(panel, at, y + (tallest - high) / 2, ends=n == m == 0)
                    if n == 0:
                        sheet.write(at + wide / 2, 0.68 * _HEADER_MM, _COLUMNS[m], size=7.5)
                if n == 0:
                    middle = x + (3 * wide + 2 * _GAP_MM) / 2
                    words = f"{plane}, {common.position(plane, index)} mm"
                    sheet.write(middle, 0.24 * _HEADER_MM, words, colour=GREY, size=7.5)
                x += 3 * wide + 2 * _GAP_MM + _BETWEEN_MM
        colour_bar(figure, (0.68, 0.34 / total, 0.26, 0.075 / total), look, f"difference, {unit}")
        if truth is not None:
            truth_key(figure, 0.1 / PAGE_WIDTH, 0.28 / total)
        return png_bytes(figure)
