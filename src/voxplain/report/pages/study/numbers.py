"""What the report draws from a verdict: agreement between methods, and what removal costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.results.study import RemovalCurve
from voxplain.results.trust import Finding, MethodVerdict, TrustResult

__all__ = ["agreed", "finding_of", "removed", "uncurved"]


def finding_of(method: MethodVerdict, test: str) -> Finding | None:
    """Return a finding of a method that was measured, by the name of its test."""
    return next(
        (
            one
            for one in method.findings
            if one.rule.test == test and one.measurement.value is not None
        ),
        None,
    )


def agreed(trust: TrustResult) -> tuple[list[str], dict[tuple[int, int], float]]:
    """Give the labels of the methods, and the rank correlation of each pair's mean maps."""
    names = [one.method for one in trust.methods]
    values: dict[tuple[int, int], float] = {}
    for position, method in enumerate(trust.methods):
        found = finding_of(method, "agreement")
        for other, value in (found.measurement.figures if found else {}).items():
            if other in names and isinstance(value, float | int):
                values[position, names.index(other)] = float(value)
    return [one.label for one in trust.methods], values


def removed(trust: TrustResult) -> list[RemovalCurve]:
    """Give the curves of deletion and insertion of each method, where they were kept."""
    rows = []
    for method in trust.methods:
        figures = _deleted(method)
        for kind, told in (figures.get("curves") or {}).items():
            values = {name: tuple(map(float, one)) for name, one in told.items()}
            rows.append(RemovalCurve(method.label, kind, **values))
    return rows


def uncurved(trust: TrustResult) -> list[str]:
    """Name the methods that were tested by deletion, and whose curves were not kept."""
    told = {one.label: _deleted(one) for one in trust.methods}
    return [label for label, figures in told.items() if figures and "curves" not in figures]


def _deleted(method: MethodVerdict) -> Mapping[str, Any]:
    found = finding_of(method, "deletion") or finding_of(method, "faithfulness")
    return found.measurement.figures if found else {}
