"""Maps on glass brains: projections of the largest magnitude, drawn by nilearn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain.paint import Look
from voxplain.report.figures.brain.planes import require_on_grid
from voxplain.report.figures.style import house_style, new_figure, png_bytes
from voxplain.report.words.numbers import number

__all__ = ["glass_brains"]

_HEIGHT, _WIDTH = 2.1, 8.6


def glass_brains(
    rows: Sequence[tuple[str, ArrayLike]], inside: ArrayLike, grid: Grid, *, unit: str = ""
) -> bytes:
    """Draw maps in MNI space on glass brains, all in one scale.

    Parameters
    ----------
    rows : sequence of (str, array (X, Y, Z))
        Title and map.
    inside : array (X, Y, Z), bool
        The brain; what lies outside is left out.
    grid : Grid
        Of all arrays.
    unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no map.
    """
    if not rows:
        raise InputError("A figure of glass brains needs one map or more; none was given.")
    import nibabel as nib
    from nilearn.plotting import plot_glass_brain

    brain = np.asarray(inside, dtype=bool)
    maps = [np.where(brain, require_on_grid(v, grid, f"The map {n!r}"), 0) for n, v in rows]
    looks = [Look.of(one, brain) for one in maps]
    look = Look(max(one.top for one in looks), any(one.signed for one in looks))
    with house_style(), warnings.catch_warnings():
        # A map that is weak in the scale of the others has nothing to show, and no warning is due.
        warnings.filterwarnings("ignore", message="empty mask", category=UserWarning)
        figure = new_figure(_WIDTH, _HEIGHT * len(rows))
        for place, ((name, _), values) in enumerate(zip(rows, maps, strict=True)):
            bottom = 1 - (place + 1) / len(rows)
            plot_glass_brain(
                nib.nifti1.Nifti1Image(values.astype(np.float32), grid.affine),
                display_mode="lyrz",
                figure=figure,
                axes=(0, bottom, 1, 0.88 / len(rows)),
                threshold=look.top / 4,
                vmax=look.top,
                vmin=-look.top if look.signed else 0,
                cmap=look.colours,
                symmetric_cbar=look.signed,
                plot_abs=False,
                colorbar=True,
                annotate=True,
            )
            high = bottom + 0.94 / len(rows)
            figure.text(0.01, high, name, fontsize=9, weight="bold", va="center")
        for axes in figure.axes:
            # Those of the colour bars; brains have no ticks.
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        scale = f"{unit}; below {number(look.top / 4)} nothing is shown".lstrip("; ")
        figure.text(0.99, 1 - 0.06 / len(rows), scale, fontsize=6.5, ha="right", va="center")
        return png_bytes(figure)
