"""Scores of held-out scans in words, and what their intervals and tests carry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from voxplain.report.words.numbers import MISSING, number

__all__ = [
    "INTERVALS",
    "apart",
    "at_chance",
    "beats",
    "chance_level",
    "few_folds",
    "score_cell",
    "score_row",
    "score_text",
    "score_value",
]

Scores = Mapping[str, Any]

INTERVALS: Final = (
    "An interval reaches at each end as far as the widest of three: of the spread over folds, "
    "corrected for training parts that overlap (Nadeau and Bengio 2003), where there are five or "
    "more; of the same, moderated by the spread that the number of participants foretells (Smyth "
    "2004); and of another draw of participants, or of groups that stay together, by a bootstrap "
    "of the pooled held-out predictions of the first repeat."
)
"""How the intervals of held-out scores are made, for readers of a page."""

_LEVEL: Final = 0.05
_ENOUGH_FOLDS: Final = 5


def chance_level(part: Mapping[str, Any]) -> float | None:
    """Return the accuracy without any information, None for numbers.

    It is the share of the largest class where ``part`` has ``class_counts`` (numbers of scans in
    the order of ``class_names``), and else one over the number of classes.
    """
    names, counts = part["class_names"], part.get("class_counts")
    if not names:
        return None
    return float(max(counts) / sum(counts)) if counts else 1 / len(names)


def few_folds(part: Mapping[str, Any]) -> str:
    """Warn, in a sentence, where folds are too few to know their spread; empty where they are not.

    Parameters
    ----------
    part : mapping
        With ``folds`` and, where folds were drawn anew, ``repeats``.
    """
    folds = part["folds"]
    if folds * part.get("repeats", 1) >= _ENOUGH_FOLDS:
        return ""
    return (
        f"There are too few folds, {folds}, to know how much they differ: the intervals rest "
        "mostly on the number of participants, and are wide. More folds, such as --cv 10, say more."
    )


def score_value(score: Scores) -> float | None:
    """Return the mean over folds, or the pooled score where folds have none."""
    value = score["mean"] if score["folds_ci"] else score["pooled"]
    return float(value) if _known(value) else None


def score_row(part: Mapping[str, Any], label: str, group: str, score: Scores) -> dict[str, Any]:
    """Give `figures.model_scores` a row; a fold of a single scan says nothing by itself."""
    folds = score["per_fold"] if score["folds_ci"] and part["folds"] < part["scans"] else ()
    row = {"label": label, "group": group, "value": score_value(score), "ci": score["ci"]}
    return row | {"per_fold": folds}


def score_text(value: float | None, measure: str = "") -> str:
    """Write a score with three decimals, an error with three digits."""
    if value is None or not math.isfinite(value):
        return MISSING
    return number(value, 3) if measure == "mae" else f"{value:.3f}".replace("-", "−")


def score_cell(model: Scores, measure: str) -> str:
    """Write a score with its interval: ``0.500 (0.350 to 0.675)``."""
    if measure not in model:
        return MISSING
    bounds = [score_text(bound, measure) for bound in model[measure]["ci"]]
    interval = "" if MISSING in bounds else f" ({' to '.join(bounds)})"
    return score_text(score_value(model[measure]), measure) + interval


def at_chance(model: Scores) -> bool:
    """Tell whether the permutation test leaves the predictions at chance."""
    p = model["permutation"]["p"]
    return p is None or p >= _LEVEL


def beats(model: Scores, measure: str, other: float) -> bool:
    """Tell whether the interval of a score lies on the better side of another score."""
    low, high = model[measure]["ci"]
    bound = high if measure == "mae" else low
    return _known(bound) and bool(bound < other if measure == "mae" else bound > other)


def apart(model: Scores, other: Scores, measure: str = "accuracy") -> int:
    """Compare the intervals of two scores: 1 above the other's, -1 below it, 0 if they meet.

    Zero also where a bound is not known.
    """
    (low, high), (other_low, other_high) = model[measure]["ci"], other[measure]["ci"]
    if not all(map(_known, (low, high, other_low, other_high))):
        return 0
    return int(low > other_high) - int(high < other_low)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
