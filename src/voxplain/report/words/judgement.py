"""Maps held against a truth, in a compact table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from voxplain.report.words.numbers import MISSING
from voxplain.results.judgement import Found, JudgedMap, Judgement, Measured

__all__ = ["CONTROL_LABELS", "JUDGED_COLUMNS", "interval", "judged_rows"]

CONTROL_LABELS: Final = {
    "edges": "edge filter",
    "image": "image",
    "cohort-mean": "mean scan",
    "random": "random field",
    "untrained": "untrained network",
    "t-map-train": "t-map, training scans",
    "t-map-all": "t-map, all scans",
}
"""What each control is called."""

JUDGED_COLUMNS: Final = (
    "maps",
    "AP",
    "95 % interval",
    "chance",
    "95 % of random maps below",
    "ceiling",
    CONTROL_LABELS["edges"],
    CONTROL_LABELS["t-map-train"],
    CONTROL_LABELS["t-map-all"],
)
"""Heads of `judged_rows`; the t-maps are those of the training scans, and of all."""


def judged_rows(judged: Sequence[JudgedMap]) -> list[tuple[object, ...]]:
    """Write a row for each mean map, and one for the maps of single subjects."""
    rows = []
    for one in judged:
        rows.append(_row(f"{one.label}, {one.target}, mean", one.judgements.group))
        if one.judgements.subjects is not None:
            rows.append(_row(f"{one.label}, {one.target}, single", one.judgements.subjects))
    return rows


def _row(label: str, judgement: Judgement) -> tuple[object, ...]:
    ap = judgement.found.average_precision
    beside = [judgement.controls.get(name) for name in ("edges", "t-map-train", "t-map-all")]
    return (
        label,
        ap.value,
        None if ap.low is None else (ap.low, ap.high),
        judgement.chance_ap,
        judgement.chance_ap_95,
        *(_ap(found) for found in (judgement.ceiling, *beside)),
    )


def _ap(found: Found | None) -> float | None:
    return None if found is None else found.average_precision.value


def interval(measured: Measured | None) -> str:
    """Write an interval, a dash where there is none."""
    if measured is None or measured.low is None or measured.high is None:
        return MISSING
    return f"{measured.low:.2f} to {measured.high:.2f}"
