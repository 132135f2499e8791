"""How good a classifier is on held-out subjects, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from voxplain.errors import InputError

__all__ = ["Score", "classification_scores"]


@dataclass(frozen=True)
class Score:
    """A figure and its 95 % interval.

    Parameters
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


def classification_scores(
    logits: NDArray[np.float32], labels: NDArray[np.int64], *, draws: int = 2000, seed: int = 0
) -> dict[str, Score]:
    """Score two-class predictions.

    The intervals are the 2.5th and 97.5th percentile over bootstrap samples of the subjects, drawn
    within each class so that both are always there. They tell what another draw of subjects would
    change, not what another training would.

    Parameters
    ----------
    logits : array (N, 2), logit
    labels : array (N,)
        Class indices 0 and 1, both present.
    draws : int, default=2000
    seed : int, default=0

    Returns
    -------
    dict of str to Score
        ``accuracy``, ``balanced_accuracy`` and ``roc_auc``.

    Raises
    ------
    InputError
        If a class is absent or there are more than two.
    """
    if set(np.unique(labels)) != {0, 1} or logits.shape != (len(labels), 2):
        raise InputError(
            f"Two-class scores need logits (N, 2) and subjects of both classes; logits "
            f"{logits.shape} with classes {sorted(set(labels.tolist()))} were given."
        )
    margin = (logits[:, 1] - logits[:, 0]).astype(np.float64)
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == c) for c in (0, 1)]
    samples = [np.concatenate([rng.choice(m, len(m)) for m in members]) for _ in range(draws)]
    return {
        name: _score(measure, margin, labels, samples)
        for name, measure in (
            ("accuracy", _accuracy),
            ("balanced_accuracy", _balanced_accuracy),
            ("roc_auc", _roc_auc),
        )
    }


_Measure = Callable[[NDArray[np.float64], NDArray[np.int64]], float]


def _score(
    measure: _Measure,
    margin: NDArray[np.float64],
    labels: NDArray[np.int64],
    samples: list[NDArray[np.int64]],
) -> Score:
    values = [measure(margin[s], labels[s]) for s in samples]
    low, high = np.percentile(values, [2.5, 97.5])
    return Score(measure(margin, labels), float(low), float(high))


def _accuracy(margin: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(np.mean((margin > 0) == (labels == 1)))


def _balanced_accuracy(margin: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(np.mean([np.mean((margin[labels == c] > 0) == (c == 1)) for c in (0, 1)]))


def _roc_auc(margin: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(roc_auc_score(labels, margin))
