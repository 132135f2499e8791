"""Tables of the docs of whole verdicts, from what ``benchmarks/trust.py`` measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docs.figures import read, short
from voxplain.attribution.methods import METHODS
from voxplain.report.figures import power_curves

__all__ = ["OF_VERDICTS", "power_png"]

_SPIKE = "spike-in"
_BUDGETS, _POWER = "budget-", "phantom-power"
Rows = list[Mapping[str, Any]]


def verdicts() -> str:
    """List what each method of each study was called, and by which tests."""
    lines = [
        "| study | method | verdict | precision of the planted effect | failed | not tested |",
        "|---|---|---|---|---|---|",
    ]
    for study, found in _studies().items():
        for name, one in found["methods"].items():
            rows = one["findings"]
            cells = (
                study,
                METHODS[name].info.label,
                one["call"],
                _planted(rows),
                _named(rows, "fail"),
                _named(rows, "not tested"),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def first_lines() -> str:
    """Say of each study what its network knows, with the time and the exit code."""
    told = [
        f"- **{study}** ({found['trust_seconds']:.0f} s of {found['budget']}, exit code "
        f"{found['exit_code']}): {found['first']}"
        for study, found in _studies().items()
    ]
    return "\n".join(told)


def budgets() -> str:
    """List what each budget took, and what it had no time for, of one phantom."""
    lines = ["| budget | taken | not tested of Recommended | its verdict |", "|---|---|---|---|"]
    for study, found in read("trust.json").items():
        if study.startswith(_BUDGETS) or study == "phantom-additive":
            one = found["methods"]["recommended"]
            cells = (
                f"`{found['budget']}`",
                f"{found['trust_seconds']:.0f} s",
                _named(one["findings"], "not tested"),
                one["call"],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def power() -> str:
    """List how well a planted effect is learnt and found, by the number of scans."""
    told = _power()
    figures = told["figures"]
    names = list(figures["labels"])
    heads = ["scans", "accuracy", "t-map", *figures["labels"].values()]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for point in figures["points"]:
        maps = point["maps"]
        t_map = next((short(one["t_map"], 3) for one in maps.values()), "–")
        cells = [str(point["scans"]), short(point["accuracy"], 3), t_map]
        for name in names:
            one = maps.get(name)
            cells.append("–" if one is None else short(one["average_precision"], 3))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", told["words"]])


def power_png() -> bytes:
    """Draw the same as curves."""
    figures = _power()["figures"]
    return power_curves(figures["points"], figures["labels"], figures["passes_from"])


def _power() -> Mapping[str, Any]:
    (told,) = read("trust.json")[_POWER]["kept"]["power"]
    found: Mapping[str, Any] = told
    return found


def _studies() -> dict[str, Mapping[str, Any]]:
    every = read("trust.json")
    return {name: one for name, one in every.items() if not name.startswith((_BUDGETS, _POWER))}


def _named(rows: Rows, outcome: str) -> str:
    return ", ".join(f"`{row['test']}`" for row in rows if row["outcome"] == outcome) or "–"


def _planted(rows: Rows) -> str:
    spike = next((row for row in rows if row["test"] == _SPIKE), None)
    if spike is None or spike["value"] is None:
        return "–"
    value, limit = (short(spike[what], 3) for what in ("value", "threshold"))
    return f"{value} (random maps below {limit})"


OF_VERDICTS: dict[str, Callable[[], str]] = {
    "verdicts": verdicts,
    "first_lines": first_lines,
    "budgets": budgets,
    "power_of_spikes": power,
}
