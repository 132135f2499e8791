"""Findings of a verdict in words, for the page and the terminal."""

from __future__ import annotations

from voxplain.results.trust import Finding, Measurement

__all__ = ["figure", "interval_text", "rule_text"]

_DASH = "–"


def figure(value: float | None) -> str:
    """Write a figure with three digits, whole numbers as such."""
    if value is None:
        return _DASH
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3g}"


def interval_text(measurement: Measurement) -> str:
    """Write the interval of a figure."""
    if measurement.low is None or measurement.high is None:
        return _DASH
    return f"{figure(measurement.low)} to {figure(measurement.high)}"


def rule_text(finding: Finding) -> str:
    """Write by which rule a figure was judged."""
    return f"{finding.rule.direction} {figure(finding.threshold)}"
