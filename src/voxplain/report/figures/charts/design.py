"""A design matrix as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike

from voxplain.report.figures.style import house_style, new_figure, png_bytes

__all__ = ["design_picture"]

_GREYS = LinearSegmentedColormap.from_list("greys", ("#1b1b1b", "#f4f4f4"))


def design_picture(
    matrix: ArrayLike, titles: tuple[str, ...], contrast: ArrayLike, effect: str
) -> bytes:
    """Draw a design: a row per scan, a column per title, the contrast above.

    Parameters
    ----------
    matrix : array (N, P)
    titles : tuple of P str
    contrast : array (P,)
    effect : str
        What the contrast tests.

    Returns
    -------
    bytes
        PNG.
    """
    values, weights = np.asarray(matrix, dtype=np.float64), np.asarray(contrast, dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, (values - low) / spread, 1.0)
    with house_style():
        figure = new_figure(2.4 + 0.55 * len(titles), 4.6, constrained=True)
        above, below = figure.subplots(2, 1, height_ratios=(1, 5), sharex=True)
        above.bar(range(len(titles)), weights, color="#3b6ea5", width=0.8)
        above.axhline(0, color="#888888", linewidth=0.6)
        above.set_yticks(sorted({0.0, *weights.tolist()}))
        above.set_title(f"Tested: {effect}", loc="left")
        below.imshow(scaled, aspect="auto", interpolation="nearest", cmap=_GREYS)
        below.set_xticks(range(len(titles)), titles, rotation=60, ha="right")
        below.set_ylabel("scan")
        for axes in (above, below):
            axes.tick_params(length=0)
        return png_bytes(figure)
