"""Scores of held-out scans in words, and what their intervals and tests carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from voxplain.report.words.numbers import MISSING, number
from voxplain.results.fit import FitResult
from voxplain.results.scores import HeldOut, Interval, Judged

__all__ = [
    "INTERVALS",
    "ScoreRow",
    "apart",
    "at_chance",
    "beats",
    "chance_level",
    "few_folds",
    "score_cell",
    "score_row",
    "score_text",
    "score_value",
    "scores_caption",
]


@dataclass(frozen=True)
class ScoreRow:
    """A row of `figures.model_scores`.

    Parameters
    ----------
    label : str
    group : str
        ``network``, ``voxels``, ``table`` or ``confound``, in which order they are drawn; or
        another.
    value : float or None
    ci : Interval or None
        95 % interval, where it is known.
    per_fold : sequence of float or None
        Single folds, where they say something; NaN or None for one without a score.
    """

    label: str
    group: str
    value: float | None
    ci: Interval | None = None
    per_fold: Sequence[float | None] = ()


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


def chance_level(class_names: Sequence[str], class_counts: Sequence[int] = ()) -> float | None:
    """Return the accuracy without any information, None for numbers.

    Parameters
    ----------
    class_names : sequence of str
        Empty for numbers.
    class_counts : sequence of int
        Scans of each class, where they are known: the level is then the share of the largest
        class, and else one over the number of classes.
    """
    if not class_names:
        return None
    return float(max(class_counts) / sum(class_counts)) if class_counts else 1 / len(class_names)


def few_folds(folds: int, repeats: int = 1) -> str:
    """Warn, in a sentence, where folds are too few to know their spread; empty where they are not.

    Parameters
    ----------
    folds, repeats : int
        Folds in each repeat, and times that they were drawn.
    """
    if folds * repeats >= _ENOUGH_FOLDS:
        return ""
    return (
        f"There are too few folds, {folds}, to know how much they differ: the intervals rest "
        "mostly on the number of participants, and are wide. More folds, such as --cv 10, say more."
    )


def score_value(score: HeldOut) -> float | None:
    """Return the mean over folds, or the pooled score where folds have none."""
    value = score.mean if score.folds_ci else score.pooled
    return value if _known(value) else None


def score_row(label: str, group: str, score: HeldOut, *, single: bool) -> ScoreRow:
    """Give `figures.model_scores` a row.

    Parameters
    ----------
    label, group : str
    score : HeldOut
    single : bool
        Whether a fold is a single scan, which says nothing by itself.
    """
    folds = score.per_fold if score.folds_ci and not single else ()
    return ScoreRow(label, group, score_value(score), score.ci, folds)


def score_text(value: float | None, measure: str = "") -> str:
    """Write a score with three decimals, an error with three digits."""
    if value is None or not math.isfinite(value):
        return MISSING
    return number(value, 3) if measure == "mae" else f"{value:.3f}".replace("-", "−")


def score_cell(model: Judged, measure: str) -> str:
    """Write a score with its interval: ``0.500 (0.350 to 0.675)``."""
    score = model.scores.get(measure)
    if score is None:
        return MISSING
    bounds = [score_text(bound, measure) for bound in score.ci]
    interval = "" if MISSING in bounds else f" ({' to '.join(bounds)})"
    return score_text(score_value(score), measure) + interval


def at_chance(model: Judged) -> bool:
    """Tell whether the permutation test leaves the predictions at chance."""
    p = model.permutation.p
    return p is None or p >= _LEVEL


def beats(model: Judged, measure: str, other: float) -> bool:
    """Tell whether the interval of a score lies on the better side of another score."""
    low, high = model.scores[measure].ci
    bound = high if measure == "mae" else low
    return _known(bound) and (bound < other if measure == "mae" else bound > other)


def apart(model: Judged, other: Judged, measure: str = "accuracy") -> int:
    """Compare the intervals of two scores: 1 above the other's, -1 below it, 0 if they meet.

    Zero also where a bound is not known.
    """
    low, high = model.scores[measure].ci
    other_low, other_high = other.scores[measure].ci
    if _known(low) and _known(high) and _known(other_low) and _known(other_high):
        return int(low > other_high) - int(high < other_low)
    return 0


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


_LINE = "Grey dashes: chance."
_LINES = "Grey dashes: chance; green ones: the best that any model can reach on these scans."


def scores_caption(fit: FitResult) -> str:
    """Say what the marks of the figure of scores are, those alone that are there."""
    score = "accuracy" if fit.class_names else f"mean absolute error of {fit.outcome}"
    said = [f"Held-out {score} of each model, by {fit.folds} folds of {fit.scans} scans."]
    judged = [model.judged.scores[fit.main] for model in fit.models.values()]
    said.append(
        "Large marks: means over folds."
        if any(one.folds_ci for one in judged)
        else "Large marks: scores pooled over folds."
    )
    said.append("Lines: 95 % intervals.")
    if fit.folds < fit.scans and any(one.folds_ci for one in judged):
        said.append("Small dots: single folds.")
    if fit.class_names:
        said.append(_LINES if fit.ceiling else _LINE)
    if fit.confounds and fit.confounds.alone:
        said.append("Diamonds: a linear model of confounds without any image.")
    return " ".join(said)
