"""What the report draws from a verdict: agreement between methods, and what deletion costs."""

from __future__ import annotations

from voxplain.results.trust import Finding, MethodVerdict, TrustResult

__all__ = ["agreed", "deleted", "finding_of"]


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


def deleted(trust: TrustResult) -> list[tuple[str, float, float]]:
    """Give, for each method that was tested, what deletion costs, and what random maps cost."""
    rows = []
    for method in trust.methods:
        found = finding_of(method, "deletion") or finding_of(method, "faithfulness")
        figures = found.measurement.figures if found else {}
        if "lost" in figures and "random" in figures:
            rows.append((method.label, float(figures["lost"]), float(figures["random"])))
    return rows
