"""Regions of a mean map, with how sure their means are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from voxplain.errors import InputError
from voxplain.report.figures.style import (
    ACCENT,
    BLUE,
    FAINT,
    GREY,
    INK,
    house_style,
    new_figure,
    png_bytes,
)
from voxplain.report.words.numbers import number
from voxplain.results.regions import RegionValue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["region_intervals"]


def region_intervals(rows: Sequence[RegionValue], title: str = "", unit: str = "") -> bytes:
    """Draw the signed mean of regions with its 95 % interval, and ranks where they have one.

    Parameters
    ----------
    rows : sequence of RegionValue
        From top to bottom.
    title, unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no region.
    """
    if not rows:
        raise InputError("A figure of regions needs one or more; none was given.")
    ranked = [(place, row.rank, *row.ranks) for place, row in enumerate(rows) if row.ranks]
    with house_style():
        figure = new_figure(5.6 + 1.5 * bool(ranked), 0.8 + 0.22 * len(rows), constrained=True)
        if ranked:
            axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.3))
            _draw_ranks(beside, ranked)
        else:
            axes = figure.subplots()
        places = np.arange(len(rows))
        colours = [ACCENT if row.mean > 0 else BLUE for row in rows]
        axes.barh(places, [row.mean for row in rows], height=0.62, color=colours, alpha=0.45, lw=0)
        for place, row, colour in zip(places, rows, colours, strict=True):
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=colour, lw=1.6)
        axes.set_yticks(places, [row.region.replace("_", " ") for row in rows])
        axes.invert_yaxis()
        ends = [end for row in rows for end in (row.mean, row.low, row.high) if end is not None]
        low, high = min(*ends, 0.0), max(*ends, 0.0)
        ticks = sorted({low, 0.0, high})
        axes.set_xticks(ticks, [number(tick) for tick in ticks])
        axes.axvline(0, color=GREY, lw=0.7)
        axes.set_xlabel(f"mean, {unit}" if unit else "mean")
        if title:
            axes.set_title(title)
        for one in figure.axes:
            one.grid(axis="x", color=FAINT, lw=0.5)
            one.set_axisbelow(True)
            one.tick_params(axis="y", length=0)
            one.spines["left"].set_visible(False)
        return png_bytes(figure)


def _draw_ranks(axes: Axes, ranked: Sequence[tuple[int, int, int, int]]) -> None:
    """Draw ranks with their intervals, from place, rank and ends."""
    for place, rank, low, high in ranked:
        axes.plot([low, high], [place, place], color=GREY, lw=1.6)
        axes.plot([rank], [place], "o", color=INK, ms=3.5)
    axes.set_xlim(0, max(high for *_, high in ranked) + 1)
    axes.set_xlabel("rank")
