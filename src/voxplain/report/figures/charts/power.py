"""What more scans would show: accuracy, localisation and stability of a planted effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes

from voxplain.errors import InputError
from voxplain.report.figures.style import (
    ACCENT,
    BLUE,
    FAINT,
    GREY,
    INK,
    PAGE_WIDTH,
    house_style,
    new_figure,
    png_bytes,
)

__all__ = ["power_curves"]

_COLOURS: Final = (BLUE, ACCENT, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
_CHANCE: Final = 0.5
_COLUMNS: Final = 3
"""Of the legend: as many as fit beside each other with the longest labels."""


def power_curves(
    points: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    passes_from: Mapping[str, int | None],
) -> bytes:
    """Draw how a planted effect is learned, found and found again with more and more scans.

    A ring marks the number of scans from which on a method finds it.

    Parameters
    ----------
    points : sequence of mapping
        The fields of `voxplain.pipeline.trust.training.trial.Trial`, fewest scans first.
    labels : mapping of str to str
        By method, how it is called.
    passes_from : mapping of str to int or None
        By method; None where it finds the effect with none of the numbers.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no point.
    """
    if not points:
        raise InputError("A figure of power needs one number of scans at least; none was given.")
    with house_style():
        rows = math.ceil((len(labels) + 2) / _COLUMNS)
        figure = new_figure(PAGE_WIDTH, 2.3 + 0.17 * rows, constrained=True)
        left, middle, right = figure.subplots(1, 3)
        _accuracy(left, points)
        for colour, (name, label) in zip(_COLOURS * len(labels), labels.items(), strict=False):
            number = passes_from.get(name)
            told = f"{label}: {'never' if number is None else f'from {number}'}"
            _curve(middle, points, name, "average_precision", colour, told)
            _ring(middle, points, name, number, colour)
            _curve(right, points, name, "stable", colour, label)
        known = points[-1]["maps"]
        if known:
            first = next(name for name in labels if name in known)
            _curve(middle, points, first, "chance_95", GREY, "95 % of random maps", ls=(0, (3, 2)))
            _curve(middle, points, first, "t_map", GREY, "t-map")
        middle.set_title("Effect found")
        middle.set_ylabel("average precision")
        middle.set_ylim(0, 1.02)
        right.set_title("Folds agree")
        right.set_ylabel("rank correlation")
        counts = [one["scans"] for one in points]
        for axes in (left, middle, right):
            axes.set_xlabel("scans")
            axes.set_xticks(counts, [str(n) for n in counts])
            axes.grid(axis="y", color=FAINT, lw=0.5)
            axes.set_axisbelow(True)
        handles, names = middle.get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="outside lower center", ncols=_COLUMNS)
        return png_bytes(figure)


def _accuracy(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    counts = [one["scans"] for one in points]
    axes.plot(counts, [one["accuracy"] for one in points], "o-", color=INK, ms=3.5)
    for one in points:
        if one["low"] is not None and one["high"] is not None:
            axes.plot([one["scans"]] * 2, [one["low"], one["high"]], color=INK, lw=0.9)
    axes.axhline(_CHANCE, color=GREY, lw=0.8, ls=(0, (3, 2)))
    axes.set_title("Effect learned")
    axes.set_ylabel("held-out accuracy")
    axes.set_ylim(0, 1.02)


def _ring(
    axes: Axes, points: Sequence[Mapping[str, Any]], method: str, number: int | None, colour: str
) -> None:
    """Mark the point from which on a method passes."""
    for one in points:
        if one["scans"] == number and method in one["maps"]:
            value = one["maps"][method]["average_precision"]
            axes.plot([one["scans"]], [value], "o", mfc="none", mec=colour, ms=8, mew=1.2)


def _curve(
    axes: Axes,
    points: Sequence[Mapping[str, Any]],
    method: str,
    what: str,
    colour: str,
    label: str,
    ls: Any = "-",
) -> None:
    there = [
        (one["scans"], one["maps"][method][what])
        for one in points
        if method in one["maps"] and one["maps"][method][what] is not None
    ]
    if there:
        counts, values = zip(*there, strict=True)
        axes.plot(counts, values, color=colour, label=label, marker="o", ms=3, ls=ls)
