"""Findings of a verdict in words, for the page and the terminal."""

from __future__ import annotations

from voxplain.results.trust import Finding, Measurement

__all__ = ["figure", "figure_text", "rule_text", "sentence"]

_DASH = "–"
_SMALL = 0.001


def figure(value: float | None) -> str:
    """Write a figure with three decimals at most, whole numbers as such."""
    if value is None:
        return _DASH
    if 0 < value < _SMALL:
        return f"< {_SMALL}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3f}".rstrip("0").rstrip(".")


def figure_text(measurement: Measurement) -> str:
    """Write a figure and, where there is one, its 95 % interval."""
    if measurement.low is None or measurement.high is None:
        return figure(measurement.value)
    return f"{figure(measurement.value)} ({figure(measurement.low)} to {figure(measurement.high)})"


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "." * bool(text)


def rule_text(finding: Finding) -> str:
    """Write by which rule a figure was judged."""
    return f"{finding.rule.direction} {figure(finding.threshold)}"
