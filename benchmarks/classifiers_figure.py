"""The picture of the classifiers: a row a model, a panel a phantom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

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
from voxplain.report.words.scores import ScoreRow

__all__ = ["draw"]

Rows = Sequence[ScoreRow]
HEADINGS = {"network": "Networks", "voxels": "Baselines on voxels"}
CHANCE = 0.5
DASHED = (0, (4, 2.5))


def draw(studies: Mapping[str, Rows], fits: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw accuracies with 95 % intervals, PNG; an interval without chance is coloured."""
    every = {row.label: row.group for rows in studies.values() for row in rows}
    places, names, place = {}, [], 0.0
    for group, heading in HEADINGS.items():
        names.append((place, heading, True))
        for label in (label for label, its_group in every.items() if its_group == group):
            place += 1
            places[label] = place
            names.append((place, label, False))
        place += 1.3
    with house_style():
        figure = new_figure(PAGE_WIDTH, 0.95 + 0.21 * place, constrained=True)
        panels = figure.subplots(1, len(studies), sharey=True)
        for axes, (title, rows) in zip(panels, studies.items(), strict=True):
            for row in rows:
                _score(axes, places[row.label], row)
            fit = fits[title]
            _level(axes, CHANCE, GREY, "chance")
            if title == "effect":
                _level(axes, fit["ceiling"], "#009e73", "best possible")
            axes.set_title(f"{title[0].upper()}{title[1:]}\n", pad=9)
            axes.set(xlim=(-0.02, 1.02), xlabel=f"accuracy, {fit['scans']} held-out scans")
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
            axes.grid(axis="x", color=FAINT, lw=0.5)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        panels[0].set_yticks([at for at, _, _ in names], [name for _, name, _ in names])
        for (_, _, bold), label in zip(names, panels[0].get_yticklabels(), strict=True):
            label.set_fontweight("bold" if bold else "normal")
        panels[0].set_ylim(place - 0.6, -0.6)
        return png_bytes(figure)


def _score(axes: Axes, place: float, row: ScoreRow) -> None:
    low, high = (math.nan if end is None else end for end in row.ci or (None, None))
    colour = BLUE if low > CHANCE else ACCENT if high < CHANCE else INK
    axes.plot([low, high], [place, place], color=colour, lw=1.4)
    axes.plot(row.value, place, "o", color=colour, ms=4.6)


def _level(axes: Axes, at: float, colour: str, words: str) -> None:
    axes.axvline(at, color=colour, lw=0.9, ls=DASHED, zorder=1.8)
    axes.annotate(
        words, (at, 1), (0, 4), ("data", "axes fraction"), "offset points", ha="center", fontsize=7
    )
