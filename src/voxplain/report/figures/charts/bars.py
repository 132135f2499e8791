"""Scores as horizontal bars: localisation of methods and controls, and regions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

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

__all__ = ["LocalisationRow", "localisation_bars", "region_bars"]


@dataclass(frozen=True)
class LocalisationRow:
    """A bar of `localisation_bars`.

    Parameters
    ----------
    label : str
    group_ap : float
        Average precision of the group map.
    subject_ap : float or None
        Mean over subjects, where it was measured.
    subject_ap_ci : tuple of 2 floats or None
    group_class : str
        Whose mean map the bar is of.
    control : bool
        Whether it knows nothing of the network.
    """

    label: str
    group_ap: float
    subject_ap: float | None = None
    subject_ap_ci: tuple[float, float] | None = None
    group_class: str = ""
    control: bool = False


def localisation_bars(
    rows: Sequence[LocalisationRow], *, chance: float, chance_95: float | None = None
) -> bytes:
    """Draw the average precision of methods and controls against chance.

    Parameters
    ----------
    rows : sequence of LocalisationRow
        In any order.
    chance : float
        Average precision that a map without information has on average.
    chance_95 : float, optional
        What 95 % of such maps stay below.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no row.
    """
    if not rows:
        raise InputError("A figure of localisation needs at least one method; none was given.")
    ordered = sorted(rows, key=lambda r: (r.control, -r.group_ap))
    n_methods = sum(not r.control for r in ordered)
    # A gap parts the controls from the methods.
    places = np.array([n + 0.5 * (n >= n_methods > 0) for n in range(len(ordered))])
    with house_style():
        figure = new_figure(6.4, 0.85 + 0.36 * (places[-1] + 1), constrained=True)
        axes = figure.subplots()
        for place, row in zip(places, ordered, strict=True):
            colour = GREY if row.control else BLUE
            axes.barh(place, row.group_ap, height=0.56, color=colour, alpha=0.85, lw=0)
            reach = row.group_ap
            if row.subject_ap is not None:
                mean = row.subject_ap
                low, high = row.subject_ap_ci or (mean, mean)
                axes.plot([low, high], [place, place], color=INK, lw=1.1, solid_capstyle="butt")
                axes.plot(mean, place, "o", ms=4.6, mfc="white", mec=INK, mew=1.1, clip_on=False)
                reach = max(reach, high)
            axes.annotate(
                f"{row.group_ap:.3f}",
                (max(reach, chance_95 or chance), place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
        axes.axvline(chance, color=ACCENT, lw=1)
        words = f"chance {chance:.3f}"
        if chance_95 is not None:
            axes.axvline(chance_95, color=ACCENT, lw=1, ls=(0, (3, 2)))
            words += f"; dashed: 95 % of chance maps stay below {chance_95:.3f}"
        axes.set_title(words, color=ACCENT, weight="normal", fontsize=7.5)
        axes.set_yticks(places, [r.label for r in ordered])
        for tick, row in zip(axes.get_yticklabels(), ordered, strict=True):
            tick.set_color(GREY if row.control else INK)
        axes.set_ylim(places[-1] + 0.55, -0.55)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.06)
        classes = {f" of class {r.group_class}" for r in rows if r.group_class}
        of_class = "".join(classes) if len(classes) == 1 else ""
        axes.set_xlabel(
            f"average precision (bar: group map{of_class}; circle: mean over subjects, "
            "95 % interval)"
        )
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_color(FAINT)
        return png_bytes(figure)


def region_bars(
    table: pd.DataFrame | Sequence[Mapping[str, Any]],
    affected: Collection[str] = (),
    *,
    value: str = "mean",
    n_regions: int = 10,
    title: str = "",
    unit: str = "",
) -> bytes:
    """Draw the first regions of a table, the truly affected ones in colour.

    Parameters
    ----------
    table : pandas.DataFrame or sequence of mapping
        Rows with ``region``, the column named by ``value`` and, if given, ``rank``, by which the
        bars are ordered; otherwise the order is kept.
    affected : collection of str
        Names of the regions that hold the true effect.
    value : str, default="mean"
        Column drawn as the length of the bar.
    n_regions : int, default=10
    title, unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If the table is empty or lacks a column.
    """
    frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame([dict(r) for r in table])
    missing = [column for column in ("region", value) if column not in frame.columns]
    if frame.empty or missing:
        lacks = f"lacks {', '.join(missing)}" if missing and not frame.empty else "has no row"
        raise InputError(
            f"A figure of regions needs columns region and {value}; the table {lacks}."
        )
    if "rank" in frame.columns:
        frame = frame.sort_values("rank", kind="stable")
    frame = frame.head(n_regions)
    lengths = frame[value].to_numpy(dtype=np.float64)
    names = [str(region) for region in frame["region"]]
    with house_style():
        figure = new_figure(5.2, 0.75 + 0.22 * len(names), constrained=True)
        axes = figure.subplots()
        places = np.arange(len(names))
        colours = [ACCENT if name in affected else "#b8bec8" for name in names]
        axes.barh(places, lengths, height=0.66, color=colours, lw=0)
        axes.set_yticks(places, [name.replace("_", " ") for name in names])
        for tick, name in zip(axes.get_yticklabels(), names, strict=True):
            if name in affected:
                tick.set_color(ACCENT)
                tick.set_fontweight("bold")
        axes.invert_yaxis()
        low, high = min(lengths.min(), 0.0), max(lengths.max(), 0.0)
        ticks = sorted({low, 0.0, high} if low < 0 else {0.0, high / 2, high})
        axes.set_xticks(ticks, [number(tick) for tick in ticks])
        axes.axvline(0, color=GREY, lw=0.7)
        axes.set_xlabel(f"{value}, {unit}" if unit else value)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        if title:
            axes.set_title(title)
        if affected:
            found = sum(name in affected for name in names)
            figure.supxlabel(
                f"in colour: {found} of the {len(affected)} truly affected regions",
                x=0.99,
                ha="right",
                fontsize=7,
                color=ACCENT,
            )
        return png_bytes(figure)
