"""Maps on the surface of the cortex, folded and inflated, from outside and from the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import TriMesh
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from voxplain.cortex import Cortex
from voxplain.errors import InputError
from voxplain.report.figures.brain.paint import Look, colour_bar
from voxplain.report.figures.style import PAGE_WIDTH, house_style, mute, new_figure, png_bytes

__all__ = ["VIEWS", "surfaces"]

VIEWS: Final = (
    ("left, lateral", 0, -1),
    ("left, medial", 0, 1),
    ("right, medial", 1, -1),
    ("right, lateral", 1, 1),
)
"""Title, hemisphere, and the side from which it is seen: -1 from the left, 1 from the right."""

_ROW, _BELOW, _ABOVE = 1.42, 0.42, 0.42
_GYRUS, _SULCUS = 0.78, 0.58
_AMBIENT: Final = 0.62
_MARGIN: Final = 4.0
_PER_INCH: Final = 110.0
"""Millimetres of the head in an inch of the figure, about."""
_DPI: Final = 300


def surfaces(
    values: Sequence[float] | NDArray[np.float32], cortex: Cortex, title: str = "", unit: str = ""
) -> bytes:
    """Draw a map on the pial and on the inflated surface, in one scale.

    Parameters
    ----------
    values : array (V,)
        At each vertex of `cortex`.
    cortex : Cortex
    title, unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is not one value for each vertex.
    """
    known = np.asarray(values, dtype=np.float32)
    if known.shape != (len(cortex.pial),):
        raise InputError(
            f"A surface of {len(cortex.pial)} vertices needs as many values; the shape "
            f"{known.shape} was given."
        )
    look = Look.of(known, np.ones(known.shape, dtype=bool))
    grey = np.where(cortex.sulcus > 0, _SULCUS, _GYRUS).astype(np.float32)
    colours = look.over(grey, known)
    height = _ABOVE + 2 * _ROW + _BELOW
    with house_style():
        figure = new_figure(PAGE_WIDTH, height)
        for row, (name, places) in enumerate(
            (("pial", cortex.pial), ("inflated", cortex.inflated))
        ):
            bottom = (_BELOW + (1 - row) * _ROW) / height
            for column, (words, side, seen) in enumerate(VIEWS):
                box = (0.06 + column * 0.235, bottom, 0.228, 0.94 * _ROW / height)
                axes = figure.add_axes(box)
                part = slice(side * cortex.half, (side + 1) * cortex.half)
                axes.imshow(_picture(places[part], cortex.faces, colours[part], seen))
                mute(axes)
                if row == 0:
                    axes.set_title(words, fontsize=7.5, weight="normal", loc="center", pad=2)
            middle = bottom + 0.47 * _ROW / height
            figure.text(0.02, middle, name, fontsize=7.5, rotation=90, va="center", ha="center")
        colour_bar(figure, (0.36, 0.30 / height, 0.28, 0.09 / height), look, unit)
        if title:
            figure.text(0.01, 1 - 0.13 / height, title, fontsize=9, weight="bold", va="center")
        return png_bytes(figure)


def _picture(
    places: NDArray[np.float32],
    faces: NDArray[np.int32],
    colours: NDArray[np.float64],
    seen: int,
) -> NDArray[np.uint8]:
    """Draw a hemisphere seen from one side, array (H, W, 4), once for the page and for a paper.

    What is farther is drawn first, what faces away not at all.
    """
    across, up, near = seen * places[:, 1], places[:, 2], seen * places[:, 0]
    corners = places[faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    order = np.flatnonzero(seen * normal[:, 0] > 0)
    order = order[np.argsort(near[faces[order]].sum(axis=1), kind="stable")]
    smooth = np.stack(
        [
            sum(np.bincount(faces[:, k], normal[:, axis], len(places)) for k in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    facing = seen * smooth[:, 0] / np.maximum(np.linalg.norm(smooth, axis=1), 1e-9)
    light = _AMBIENT + (1 - _AMBIENT) * np.clip(facing, 0, 1)
    mesh = TriMesh(Triangulation(across, up, faces[order]))
    opaque: Any = np.column_stack([colours * light[:, None], np.ones(len(places))])
    mesh.set_facecolor(opaque)
    wide, tall = (float(np.ptp(axis)) + 2 * _MARGIN for axis in (across, up))
    figure = Figure((wide / _PER_INCH, tall / _PER_INCH), dpi=_DPI, facecolor="none")
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.add_collection(mesh, autolim=False)
    axes.set_xlim(across.min() - _MARGIN, across.max() + _MARGIN)
    axes.set_ylim(up.min() - _MARGIN, up.max() + _MARGIN)
    canvas.draw()
    return np.array(canvas.buffer_rgba())
