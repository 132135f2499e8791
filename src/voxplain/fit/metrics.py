"""How good held-out predictions are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome

__all__ = [
    "Calibration",
    "Score",
    "calibration",
    "measures",
    "probabilities_of",
    "scorer",
]

_Values = NDArray[np.int64] | NDArray[np.float64]
_Rows = NDArray[np.int64] | slice
_ALL = slice(None)

_BINS = 10
_Z = 1.96


class Scorer(Protocol):
    """See `scorer`."""

    def __call__(self, values: _Values, rows: _Rows = ...) -> dict[str, float]:
        """Give the measures of some predictions."""


@dataclass(frozen=True)
class Score:
    """A figure and its 95 % interval.

    Parameters
    ----------
    value, low, high : float
    error : float, optional
        Standard error, where one is known.
    """

    value: float
    low: float
    high: float
    error: float | None = None

    def unless_perfect(self, n: int) -> Score:
        """Widen an interval without width, that of a share of 0 or 1, to Wilson's of n subjects.

        Who draws anew from subjects that were all right finds none that is wrong: a bootstrap is
        then certain, of ten as of a thousand.
        """
        if self.low < self.high or self.value not in (0.0, 1.0):
            return self
        reach = _Z**2 / (n + _Z**2)
        low, high = (1 - reach, 1.0) if self.value else (0.0, reach)
        return Score(self.value, low, high, self.error)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether probabilities are as often right as they say, in bins of equal width.

    Parameters
    ----------
    confidence, accuracy : array (bins,), probability
        Mean probability of the predicted class, and how often it was the true one; NaN where a bin
        is empty.
    count : array (bins,)
    error : float
        Expected calibration error: the mean difference of the two, weighed by count (Naeini,
        Cooper & Hauskrecht 2015).
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]
    error: float


def probabilities_of(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax of logits, array (N, K)."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64), axis=1))


def measures(
    outcome: Outcome, output: NDArray[np.floating], only: str | None = None
) -> dict[str, float]:
    """Score predictions.

    Parameters
    ----------
    outcome : Outcome
        Of the scans that were predicted.
    output : array (N, K), logit; or array (N, 1), in the unit of the outcome
    only : str, optional
        The one measure of classes that is wanted; all are worked out by default.

    Returns
    -------
    dict of str to float
        Of classes: ``accuracy``, ``balanced_accuracy`` (mean of the recalls), ``roc_auc`` (for more
        than two classes the mean over pairs; NaN where a class is absent) and ``brier`` (mean
        squared distance of the probabilities from the truth, summed over classes and halved, so
        that it lies between 0 and 1). Of numbers: ``mae``, ``rmse``, ``r`` (Pearson) and ``r2``.

    Raises
    ------
    InputError
        If the output has another shape than the outcome asks for, or is not finite.
    """
    return scorer(outcome, output, only)(outcome.values)


def scorer(outcome: Outcome, output: NDArray[np.floating], only: str | None = None) -> Scorer:
    """Make what scores predictions, or some of them, against the truth or a shuffled one.

    What a thousand samples of the same predictions have in common is worked out once.

    Parameters
    ----------
    outcome : Outcome
    output : array (N, K), logit; or array (N, 1), in the unit of the outcome
    only : str, optional
        See `measures`.

    Returns
    -------
    callable
        From the values of an outcome, array (n,), and the rows of the output that they belong to,
        array (n,), or all of them, to `measures`.

    Raises
    ------
    InputError
        As `measures`.
    """
    wanted = (len(outcome), outcome.outputs)
    if output.shape != wanted or not np.isfinite(output).all():
        raise InputError(
            f"Predictions of {outcome.counts()} must be finite and of shape {wanted}; shape "
            f"{output.shape} was given."
        )
    numbers = output.astype(np.float64)
    if not outcome.class_names:
        return lambda values, rows=_ALL: _number_measures(numbers[rows, 0], values.astype(float))
    chances = probabilities_of(output)
    predicted = chances.argmax(axis=1)
    certain = np.eye(outcome.outputs)

    def score(values: _Values, rows: _Rows = _ALL) -> dict[str, float]:
        labels, chance = values.astype(np.int64), chances[rows]
        ways: dict[str, Callable[[], float]] = {
            "accuracy": lambda: float(np.mean(predicted[rows] == labels)),
            "balanced_accuracy": lambda: _balanced_accuracy(predicted[rows], labels),
            "roc_auc": lambda: _roc_auc(numbers[rows], labels),
            "brier": lambda: float(np.mean(((chance - certain[labels]) ** 2).sum(axis=1) / 2)),
        }
        return {name: way() for name, way in ways.items() if only in (None, name)}

    return score


def _number_measures(
    predicted: NDArray[np.float64], truth: NDArray[np.float64]
) -> dict[str, float]:
    error = predicted - truth
    varied = len(truth) > 1 and np.ptp(truth) > 0
    constant = np.ptp(predicted) == 0
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r": float(np.corrcoef(predicted, truth)[0, 1]) if varied and not constant else np.nan,
        "r2": float(1 - (error**2).mean() / truth.var()) if varied else np.nan,
    }


def _balanced_accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    present = np.unique(labels)
    return float(np.mean([np.mean(predicted[labels == c] == c) for c in present]))


def _roc_auc(output: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    classes = output.shape[1]
    if len(np.unique(labels)) < classes:
        return float("nan")
    if classes == 2:
        # As the Mann-Whitney statistic, because it is asked for thousands of times: pairs in which
        # the second class scores higher, those that tie counted as halves.
        score = output[:, 1] - output[:, 0]
        first, second = np.sort(score[labels == 0]), score[labels == 1]
        pairs = first.searchsorted(second, "left").sum() + first.searchsorted(second, "right").sum()
        return float(pairs / 2 / (len(first) * len(second)))
    return float(roc_auc_score(labels, probabilities_of(output), multi_class="ovo"))


def calibration(outcome: Outcome, logits: NDArray[np.floating]) -> Calibration:
    """Hold the probability of the predicted class beside how often it is right.

    Parameters
    ----------
    outcome : Outcome
        Of classes.
    logits : array (N, K), logit

    Returns
    -------
    Calibration
    """
    chances = probabilities_of(logits)
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == outcome.values
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        told = np.bincount(place, confidence, _BINS) / count
        was = np.bincount(place, right, _BINS) / count
    error = float(np.nansum(np.abs(told - was) * count) / len(confidence))
    return Calibration(told, was, count, error)
