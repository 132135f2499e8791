"""Tables of the docs of whole verdicts, from what ``benchmarks/trust.py`` measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docs.figures import read, short
from voxplain.attribution.methods import METHODS

__all__ = ["OF_VERDICTS"]

_SPIKE = "spike-in"


def verdicts() -> str:
    """List what each method of each study was called, and by which tests."""
    lines = [
        "| study | method | verdict | precision of the planted effect | failed | not tested |",
        "|---|---|---|---|---|---|",
    ]
    for study, found in read("trust.json").items():
        for name, one in found.get("methods", {}).items():
            rows = one["findings"]
            named = {
                outcome: ", ".join(f"`{row['test']}`" for row in rows if row["outcome"] == outcome)
                for outcome in ("fail", "not tested")
            }
            cells = (
                study,
                METHODS[name].info.label,
                one["call"],
                _planted(rows),
                named["fail"] or "–",
                named["not tested"] or "–",
            )
            lines.append(f"| {' | '.join(cells)} |")
    told = [f"- **{study}**: {found['first']}" for study, found in read("trust.json").items()]
    return "\n".join([*lines, "", "Their first lines:", "", *told])


def _planted(rows: list[Mapping[str, Any]]) -> str:
    spike = next((row for row in rows if row["test"] == _SPIKE), None)
    if spike is None or spike["value"] is None:
        return "–"
    value, limit = (short(spike[what], 3) for what in ("value", "threshold"))
    return f"{value} (random maps below {limit})"


OF_VERDICTS: dict[str, Callable[[], str]] = {"verdicts": verdicts}
