"""Scores of predictions of held-out scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Calibrated", "HeldOut", "Interval", "Judged", "Permutation"]

Interval = tuple[float | None, float | None]
"""Ends of a 95 % interval; None or NaN where there is none."""


@dataclass(frozen=True)
class HeldOut:
    """One measure of one model over all folds.

    Parameters
    ----------
    mean, sd : float or None
        Over folds; None where no fold, or one alone, has a score.
    per_fold : tuple of float or None
        NaN or None for a fold without a score.
    pooled : float or None
        Of all predictions of the first repeat together.
    ci : Interval
        As far, at each end, as the widest of the three that follow; without ``folds_ci`` where
        there are fewer than five folds.
    folds_ci : Interval or None
        Of the spread over folds, corrected for training parts that overlap; None where a fold is
        a single scan.
    moderated_ci : Interval or None
        Of the same, moderated by the spread that the number of participants foretells.
    pooled_ci : Interval or None
        From a bootstrap of participants, or of groups that stay together.
    """

    mean: float | None
    sd: float | None
    per_fold: tuple[float | None, ...]
    pooled: float | None
    ci: Interval
    folds_ci: Interval | None = None
    moderated_ci: Interval | None = None
    pooled_ci: Interval | None = None


@dataclass(frozen=True)
class Permutation:
    """A test of the held-out predictions against shuffled labels.

    Parameters
    ----------
    of : str
        The measure.
    p : float or None
    """

    of: str
    p: float | None


@dataclass(frozen=True)
class Calibrated:
    """Whether probabilities are as often right as they say, in bins of equal width.

    Parameters
    ----------
    confidence, accuracy : tuple of float or None, probability
        Mean probability of the predicted class, and how often it was the true one; NaN or None
        where a bin is empty.
    count : tuple of int
        Scans.
    error : float
        Expected calibration error.
    """

    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    count: tuple[int, ...]
    error: float


@dataclass(frozen=True)
class Judged:
    """How good the held-out predictions of one model are.

    Parameters
    ----------
    scores : mapping of str to HeldOut
        By measure: ``accuracy``, ``roc_auc``, ``mae`` and so on.
    permutation : Permutation
    calibration : Calibrated or None
        None for numbers, and for models without probabilities.
    """

    scores: Mapping[str, HeldOut]
    permutation: Permutation
    calibration: Calibrated | None = None
