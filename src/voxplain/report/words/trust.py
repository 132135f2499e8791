"""Findings of a verdict in words, for the page and the terminal."""

from __future__ import annotations

import re
from typing import Final

from voxplain.report.words.numbers import number
from voxplain.results.trust import Finding, Measurement, Outcome

__all__ = ["OUTCOME_WORDS", "figure", "figure_text", "rule_text", "sentence"]

OUTCOME_WORDS: Final[dict[Outcome, str]] = {
    "pass": "passed",
    "fail": "failed",
    "not tested": "not tested",
}
_DASH = "–"
_SMALL = 0.001
_SCIENTIFIC: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?e[-+]\d+")


def figure(value: float | None) -> str:
    """Write a figure with three decimals at most, whole numbers as such."""
    if value is None:
        return _DASH
    if 0 < value < _SMALL:
        return f"<\u00a0{_SMALL}"
    text = f"{value:.0f}" if float(value).is_integer() else f"{value:.3f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def figure_text(measurement: Measurement) -> str:
    """Write a figure and, where there is one, its 95 % interval."""
    if measurement.low is None or measurement.high is None:
        return figure(measurement.value)
    return f"{figure(measurement.value)} ({figure(measurement.low)} to {figure(measurement.high)})"


def sentence(text: str) -> str:
    """Begin with a capital, end with a full stop, and write numbers as tables do; none is −0."""
    said = _SCIENTIFIC.sub(lambda found: number(float(found.group())), text)
    said = re.sub(r"(?<=\d)%", " %", said)
    said = re.sub(r"(?<![\w.])-(?=0?\.?\d)", "−", said)
    said = re.sub(r"−(0\.0+)(?![\d])", r"\1", said)
    return said[:1].upper() + said[1:].rstrip(".") + "." * bool(said)


def rule_text(finding: Finding) -> str:
    """Write by which rule a figure was judged, in one piece that no line breaks."""
    if finding.threshold is None:
        return _DASH
    return f"{finding.rule.direction} {figure(finding.threshold)}".replace(" ", "\u00a0")
