"""What maps of the scoreboard are held against: the t-map, seed by seed, and all controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.scoreboard_cells import SEVERAL, Record, ap_of
from voxplain.attribution.methods import METHODS
from voxplain.report.words.judgement import CONTROL_LABELS

__all__ = ["above_t_map", "of_controls", "of_t_map", "pooled_interval", "short"]


def short(value: float | None, sign: str = "") -> str:
    """Write a figure without the zero before its point, a dash where there is none."""
    return "–" if value is None else f"{value:{sign}.3f}".replace("0.", ".", 1)


def pooled_interval(cells: Sequence[Record], method: str) -> list[float]:
    """Give the mean of the group's average precision over seeds an interval.

    Cohorts of different seeds have nothing in common, so the half widths of their intervals, which
    are over subjects and networks, add up as squares do.

    Parameters
    ----------
    cells : sequence of mapping
        That differ by their seed alone.
    method : str

    Returns
    -------
    list of 2 floats
    """
    ap = np.array([one["methods"][method]["group"]["ap"] for one in cells])
    mean, sides = ap[:, 0].mean(), np.abs(ap[:, 1:] - ap[:, :1])
    low, high = np.sqrt((sides**2).sum(axis=0)) / len(ap)
    return [float(mean - low), float(min(mean + high, 1.0))]


def above_t_map(cells: Sequence[Record], method: str) -> dict[str, Any]:
    """Compare the group's map with the t-map of the same scans, cohort by cohort.

    Parameters
    ----------
    cells : sequence of mapping
        That differ by their seed alone.
    method : str

    Returns
    -------
    dict
        "above": mean difference, "interval": 95 % by Student's t over seeds, None for fewer than
        three, "won": seeds where it is above 0, "gap_closed": its share of the mean difference of
        ceiling and t-map.
    """
    told = [one["methods"][method]["group"] for one in cells]
    t_map = np.array([one["t-map-all_ap"] for one in told])
    over = np.array([one["ap"][0] for one in told]) - t_map
    gap = np.mean([one["ceiling_ap"] for one in told] - t_map)
    interval = None
    if len(over) >= SEVERAL:
        half = student.ppf(0.975, len(over) - 1) * over.std(ddof=1) / np.sqrt(len(over))
        interval = [float(over.mean() - half), float(over.mean() + half)]
    return {
        "above": float(over.mean()),
        "interval": interval,
        "won": int((over > 0).sum()),
        "gap_closed": float(over.mean() / gap) if gap > 0 else None,
    }


def of_t_map(groups: Mapping[str, Sequence[Record]], method: str) -> list[str]:
    """Write how far the group's map is above the t-map.

    Parameters
    ----------
    groups : mapping of str to sequence of mapping
        By what to call them, cells that differ by their seed alone.
    method : str

    Returns
    -------
    list of str
    """
    lines = [
        f"The mean map by {METHODS[method].info.label.lower()} against the t-map of all scans. The",
        "first interval is over subjects and networks, half widths of seeds joined as squares; the",
        "second is Student's, over seeds:",
        "",
        "| cells | seeds | mean map | t-map | ceiling | above it | seeds above | of the gap |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, cells in groups.items():
        told, against = pooled_interval(cells, method), above_t_map(cells, method)
        ap, t_map, ceiling = (
            ap_of(cells, method, "group", of) for of in ("", "t-map-all", "ceiling")
        )
        within, closed = against["interval"], against["gap_closed"]
        spread = f" ({short(within[0], '+')} to {short(within[1], '+')})" if within else ""
        lines.append(
            f"| {name} | {len(cells)} | {short(ap)} ({short(told[0])} to {short(told[1])}) | "
            f"{short(t_map)} | {short(ceiling)} | {short(against['above'], '+')}{spread} | "
            f"{against['won']} of {len(cells)} | "
            f"{'–' if closed is None else f'{100 * closed:.0f} %'} |"
        )
    return [*lines, ""]


def of_controls(cells: Sequence[Record]) -> list[str]:
    """Write all methods, that of some scans too, and all that knows nothing of a network.

    Parameters
    ----------
    cells : sequence of mapping
        Those that are told of a method of some scans; none makes no lines.

    Returns
    -------
    list of str
    """
    cells = [one for one in cells if one.get("of_some")]
    if not cells:
        return []
    first = cells[0]
    seeds = ", ".join(str(one["seed"]) for one in cells)
    some = ", ".join(METHODS[name].info.label for name in first["of_some"])
    lines = [
        f"All methods and controls, additive effect, template, {first['subjects']} scans, means",
        f"over seeds {seeds}.",
        f"{some} is of {first['perturbed']} scans, half of them cases, and untrained networks of "
        "eight:",
        "",
        "| map | mean map | one case |",
        "| --- | --- | --- |",
    ]
    for which in ("methods", "of_some"):
        for name in first[which]:
            values = [
                np.mean([one[which][name][whose]["ap"][0] for one in cells])
                for whose in ("group", "subjects")
            ]
            lines.append(
                f"| {METHODS[name].info.label} | {short(values[0])} | {short(values[1])} |"
            )
    # A control is smoothed as the method's maps are, and one is told as the recommended map's.
    for key, label in {**CONTROL_LABELS, "ceiling": "ceiling, the true change"}.items():
        beside = [ap_of(cells, "recommended", whose, key) for whose in ("group", "subjects")]
        lines.append(f"| *{label}* | {short(beside[0])} | {short(beside[1])} |")
    return [*lines, ""]
