"""How far the methods agree with each other, as two matrices of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.report.figures.style import (
    GREY,
    INK,
    house_style,
    mute,
    new_figure,
    png_bytes,
)
from voxplain.results.localisation import AgreementPair, AgreementResult

__all__ = ["RED_BLUE", "agreement_matrix"]

_BLUES: Final = LinearSegmentedColormap.from_list(
    "voxplain_blues", ["#f4f6f9", "#9cc3e0", "#0a5a94"]
)
RED_BLUE: Final = LinearSegmentedColormap.from_list(
    "voxplain_red_blue", ["#b5452c", "#f0c2ae", "#f6f6f6", "#9cc3e0", "#0a5a94"]
)


def agreement_matrix(agreement: AgreementResult, labels: Mapping[str, str] | None = None) -> bytes:
    """Draw Dice and Spearman between methods, with what chance gives below.

    A pair that does not pass the level below which 95 % of chance pairs stay is written in grey and
    in brackets.

    Parameters
    ----------
    agreement : AgreementResult
    labels : mapping of str to str, optional
        Name on the figure of each method.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no pair.
    """
    pairs = agreement.pairs
    if not pairs:
        raise InputError("A figure of agreement needs at least two methods; no pair was given.")
    methods = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    names = [(labels or {}).get(m, m).replace(" ", "\n", 1) for m in methods]
    side = 0.62 * len(methods)
    with house_style():
        figure = new_figure(2 * side + 2.6, side + 1.2, constrained=True)
        left, right = figure.subplots(1, 2)
        dice, dice_limit = _fill(pairs, methods, [(p.dice, p.dice_95) for p in pairs])
        rank, rank_limit = _fill(pairs, methods, [(p.spearman, p.spearman_95) for p in pairs])
        percent = f"{100 * agreement.fraction:g} %"
        _matrix(left, dice, dice_limit, names, signed=False)
        left.set_title(f"Dice of the top {percent}")
        chance = f"chance gives {np.mean([p.dice_chance for p in pairs]):.2f} on average\n"
        chance += _below([p.dice_95 for p in pairs])
        left.set_xlabel(chance, fontsize=7, color=GREY, labelpad=7)
        _matrix(right, rank, rank_limit, names, signed=True)
        right.set_title("Spearman correlation")
        right.set_xlabel(
            _below([p.spearman_95 for p in pairs], "its size "), fontsize=7, color=GREY, labelpad=7
        )
        right.set_yticks([])
        return png_bytes(figure)


def _fill(
    pairs: Sequence[AgreementPair], methods: list[str], scores: Sequence[tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lay out each pair's score and its limit of chance."""
    values = np.full((len(methods), len(methods)), np.nan)
    limits = np.full_like(values, np.nan)
    for pair, (value, limit) in zip(pairs, scores, strict=True):
        i, j = methods.index(pair.a), methods.index(pair.b)
        for row, column in ((i, j), (j, i)):
            values[row, column], limits[row, column] = value, limit
    return values, limits


def _matrix(
    axes: Axes,
    values: NDArray[np.float64],
    limits: NDArray[np.float64],
    names: list[str],
    *,
    signed: bool,
) -> None:
    lower = np.tril(np.ones(values.shape, dtype=bool), -1)
    shown = np.ma.masked_where(~lower | np.isnan(values), values)[1:, :-1]
    axes.imshow(shown, cmap=RED_BLUE if signed else _BLUES, vmin=-1 if signed else 0, vmax=1)
    for i, j in zip(*np.nonzero(lower), strict=True):
        value, limit = values[i, j], limits[i, j]
        if np.isnan(value):
            words, colour = "–", GREY
        else:
            words = f"{value:.2f}".replace("-", "−")
            colour = "white" if abs(value) > 0.62 else INK
            if not np.isnan(limit) and abs(value) <= limit:
                words, colour = f"({words})", GREY
        axes.text(j, i - 1, words, ha="center", va="center", fontsize=8, color=colour)
    mute(axes)
    axes.set_xticks(range(len(names) - 1), names[:-1])
    axes.set_yticks(range(len(names) - 1), names[1:])
    axes.tick_params(length=0, labelsize=7.5)


def _below(limits: Sequence[float], size: str = "") -> str:
    span = sorted({f"{min(limits):.2f}", f"{max(limits):.2f}"})
    return f"95 % of chance pairs keep {size}below {' to '.join(span)}"
