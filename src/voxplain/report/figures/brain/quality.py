"""What a cohort of scans looks like before anybody trains on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain.head import bounding_box
from voxplain.report.figures.brain.planes import require_on_grid, to_ras
from voxplain.report.figures.style import (
    ACCENT,
    BLUE,
    FAINT,
    GREY,
    INK,
    PAGE_WIDTH,
    house_style,
    mute,
    new_figure,
    png_bytes,
)

__all__ = ["contact_sheet", "covariates", "intensities"]

_COLUMNS: Final = 6
_TILE_PIXELS: Final = 190
_LABEL_INCHES: Final = 0.17
_COLOURS: Final = (BLUE, ACCENT, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def contact_sheet(
    scans: Sequence[tuple[str, NDArray[np.float32], bool]], grid: Grid, middle: Sequence[float]
) -> bytes:
    """Draw an axial and a sagittal cut of each scan, with the rim of its brain mask.

    Parameters
    ----------
    scans : sequence of (str, array (X, Y, Z), bool)
        Name, values with background 0, and whether the scan stands out.
    grid : Grid
    middle : sequence of 3 floats, mm
        World coordinates through which all cuts go.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no scan.
    GridError
        If a scan does not fit the grid.
    """
    if not scans:
        raise InputError("A contact sheet needs at least one scan; none was given.")
    columns = min(_COLUMNS, len(scans))
    rows = -(-len(scans) // columns)
    turned = [to_ras(require_on_grid(v, grid, f"The scan {n}"), grid) for n, v, _ in scans]
    box = bounding_box(np.any([values != 0 for values, _ in turned], axis=0))
    at = turned[0][1].to_voxel(middle) - [part.start for part in box]
    tiles = [_tile(values[box], turned[0][1].voxel_size, at) for values, _ in turned]
    height, width = tiles[0].shape[:2]
    tile_width = PAGE_WIDTH / columns
    tile_height = tile_width * height / width + _LABEL_INCHES
    with house_style():
        figure = new_figure(PAGE_WIDTH, rows * tile_height)
        for n, (tile, (name, _, odd)) in enumerate(zip(tiles, scans, strict=True)):
            row, column = divmod(n, columns)
            left, top = column / columns, 1 - row / rows
            bottom = top - 1 / rows
            axes = figure.add_axes(
                (left, bottom, 0.98 / columns, (tile_height - _LABEL_INCHES) / tile_height / rows)
            )
            axes.imshow(tile, interpolation="bilinear", aspect="auto")
            mute(axes)
            figure.text(
                left + 0.004,
                top - 0.5 * _LABEL_INCHES / tile_height / rows,
                name,
                size=6.5,
                va="center",
                color=ACCENT if odd else INK,
                weight="bold" if odd else "normal",
            )
        return png_bytes(figure)


def _tile(
    array: NDArray[np.float32], size: Sequence[float], middle: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Lay an axial cut beside a sagittal one, array (pixels, pixels, 3)."""
    at = np.clip(np.rint(middle).astype(int), 0, np.array(array.shape) - 1)
    inside = array != 0
    low, high = np.percentile(array[inside], [1, 99]) if inside.any() else (0.0, 1.0)
    grey = np.where(inside, np.clip((array - low) / ((high - low) or 1), 0, 1), 0)
    cuts = [
        ((slice(None), slice(None), at[2]), (size[0], size[1])),
        ((at[0], slice(None), slice(None)), (size[1], size[2])),
    ]
    scale = _TILE_PIXELS / max(n * s for n, s in zip(array.shape, size, strict=True))
    painted = [_paint(grey[where], inside[where], (a * scale, b * scale)) for where, (a, b) in cuts]
    tall = max(part.shape[0] for part in painted)
    even = [np.pad(p, ((tall - p.shape[0], 0), (0, 0), (0, 0)), constant_values=0) for p in painted]
    return np.concatenate(even, axis=1)


def _paint(
    grey: NDArray[np.float32], inside: NDArray[np.bool_], zoom: tuple[float, float]
) -> NDArray[np.float32]:
    shade = ndimage.zoom(np.asarray(grey, dtype=np.float32), zoom, order=1)
    mask = ndimage.zoom(inside.astype(np.float32), zoom, order=1) > 0.5
    rim = mask & ~ndimage.binary_erosion(mask)
    picture = np.repeat(np.clip(shade, 0, 1)[..., None], 3, axis=2)
    picture[rim] = 0.35 * picture[rim] + 0.65 * np.array([213, 94, 0]) / 255
    return picture.transpose(1, 0, 2)[::-1]


def intensities(
    edges: NDArray[np.float64],
    histograms: NDArray[np.float64],
    odd: Mapping[int, str],
) -> bytes:
    """Draw the intensity histogram of every scan, those that stand out by name.

    Parameters
    ----------
    edges : array (bins + 1,)
    histograms : array (N, bins)
    odd : mapping of int to str
        Names of the scans that stand out, by position.

    Returns
    -------
    bytes
        PNG.
    """
    middle = (edges[1:] + edges[:-1]) / 2
    with house_style():
        figure = new_figure(PAGE_WIDTH, 2.4, constrained=True)
        axes = figure.add_subplot()
        for row in histograms:
            axes.plot(middle, row, color=GREY, linewidth=0.6, alpha=max(0.12, 1 / len(histograms)))
        axes.plot(middle, np.median(histograms, axis=0), color=INK, label="median of all")
        for colour, (i, name) in zip(_COLOURS, odd.items(), strict=False):
            axes.plot(middle, histograms[i], color=colour, linewidth=1.1, label=name)
        axes.set(xlabel="intensity within the brain", ylabel="density", title="Intensities")
        axes.set_ylim(0, None)
        axes.set_yticks([])
        axes.legend(loc="upper right")
        return png_bytes(figure)


def covariates(
    columns: Mapping[str, NDArray[np.float64]], labels: Sequence[str], class_names: Sequence[str]
) -> bytes:
    """Draw how numbers such as brain volume and age lie in each class, a dot a participant.

    Parameters
    ----------
    columns : mapping of str to array (N,)
        By what stands below the axis; missing values are NaN.
    labels : sequence of N str
    class_names : sequence of str

    Returns
    -------
    bytes
        PNG.
    """
    if not columns:
        raise InputError("There is no column to draw; give at least one.")
    rng = np.random.default_rng(0)
    given = np.asarray(labels)
    with house_style():
        figure = new_figure(PAGE_WIDTH, 0.75 + 0.42 * len(class_names), constrained=True)
        panels = figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, (words, values) in zip(panels, columns.items(), strict=True):
            for row, (name, colour) in enumerate(zip(class_names, _COLOURS, strict=False)):
                own = values[(given == name) & np.isfinite(values)]
                spread = row + rng.uniform(-0.22, 0.22, len(own))
                axes.plot(own, spread, "o", color=colour, markersize=2.6, alpha=0.6, mew=0)
                if len(own):
                    axes.plot([np.median(own)] * 2, [row - 0.34, row + 0.34], color=INK)
            axes.set_yticks(range(len(class_names)), class_names)
            axes.set_ylim(len(class_names) - 0.5, -0.5)
            axes.set_xlabel(words)
            axes.grid(axis="x", color=FAINT, linewidth=0.5)
            axes.set_axisbelow(True)
        return png_bytes(figure)
