"""Rank correlations between the maps of methods, as one matrix of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voxplain.errors import InputError
from voxplain.report.figures.charts.matrix import RED_BLUE
from voxplain.report.figures.style import INK, house_style, mute, new_figure, png_bytes
from voxplain.report.words.numbers import correlation

__all__ = ["rank_matrix"]


def rank_matrix(labels: Sequence[str], values: Mapping[tuple[int, int], float]) -> bytes:
    """Draw rank correlations between methods.

    Parameters
    ----------
    labels : sequence of str
    values : mapping of (int, int) to float
        By position of the two methods; either order.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there are fewer than two methods.
    """
    count = len(labels)
    if count < 2:
        raise InputError("A figure of agreement needs two methods or more.")
    matrix = np.full((count, count), np.nan)
    for (a, b), value in values.items():
        matrix[a, b] = matrix[b, a] = value
    side = 0.72 * count
    with house_style():
        figure = new_figure(side + 1.9, side + 0.9, constrained=True)
        axes = figure.subplots()
        axes.imshow(matrix, cmap=RED_BLUE, vmin=-1, vmax=1)
        for a in range(count):
            for b in range(count):
                known = np.isfinite(matrix[a, b])
                words = correlation(float(matrix[a, b])) if known else "" if a == b else "–"
                dark = known and abs(matrix[a, b]) > 0.6
                axes.text(b, a, words, ha="center", va="center", color="white" if dark else INK)
        names = [label.replace(" ", "\n", 1) for label in labels]
        mute(axes, keep="left bottom")
        axes.set_xticks(range(count), names)
        axes.set_yticks(range(count), names)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title("Rank correlation")
        return png_bytes(figure)
