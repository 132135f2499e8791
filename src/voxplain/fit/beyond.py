"""Whether predictions tell more of the truth than the confounds do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from voxplain.fit.outcome import Outcome

__all__ = ["Beyond", "beyond_confounds"]

_TOGETHER = 6
_DEGREE = 3


@dataclass(frozen=True)
class Beyond:
    """What predictions tell once the confounds are taken out.

    Parameters
    ----------
    p : float
        Share of shuffles among scans of like confounds, the truth among them, that do as well.
    left : array (N, K)
        The outputs without what a cubic in the ranks of each confound foretells of them.
    movable : float
        Share of the scans among whose likes there is another truth: where it is 0, the confounds
        are the truth, and nothing can be told.
    """

    p: float
    left: NDArray[np.float64]
    movable: float


def beyond_confounds(
    outcome: Outcome,
    output: NDArray[np.floating],
    confounds: NDArray[np.float64],
    seed: int = 0,
    draws: int = 1000,
) -> Beyond:
    """Test held-out predictions among scans of like confounds.

    Scans are ordered by what the confounds foretell of the truth, six neighbours make a block, and
    truths are shuffled within blocks alone. So a network that knows the confounds, in whatever
    form, and no more does as well with shuffled truths; what differs within a block is taken out of
    the outputs by a cubic in ranks.

    Parameters
    ----------
    outcome : Outcome
    output : array (N, K)
    confounds : array (N, c)
    seed : int, default=0
    draws : int, default=1000

    Returns
    -------
    Beyond
    """
    n = len(outcome)
    columns = [np.ones(n)]
    for column in confounds.T:
        levels = np.unique(column)
        ranks = rankdata(column)
        ranks = (ranks - ranks.mean()) / n
        columns += [ranks**d for d in range(1, min(_DEGREE, len(levels) - 1) + 1)]
    basis = np.stack(columns, axis=1)
    given = np.asarray(output, dtype=np.float64)
    given = given - given.mean(axis=1, keepdims=True) if outcome.class_names else given
    left = given - basis @ np.linalg.lstsq(basis, given, rcond=None)[0]
    truth = outcome.values.astype(np.int64) if outcome.class_names else outcome.values
    told = np.eye(outcome.outputs)[truth] if outcome.class_names else truth[:, None].astype(float)
    foretold = basis @ np.linalg.lstsq(basis, told, rcond=None)[0]
    rng = np.random.default_rng(seed)
    # Equal confounds are ordered by lot: the order of the table may know the truth.
    lots = rng.permutation(n)
    order = lots[np.argsort(foretold[lots, -1], kind="stable")]
    blocks = np.array_split(order, max(1, n // _TOGETHER))
    movable = sum(len(block) for block in blocks if len(np.unique(truth[block])) > 1) / n

    def alike(index: NDArray[np.int64]) -> float:
        return float(np.sum(told[index] * left))

    found, as_good = alike(np.arange(n)), 0
    for _ in range(draws):
        index = np.arange(n)
        for block in blocks:
            index[block] = rng.permutation(block)
        as_good += alike(index) >= found - 1e-9 * (1 + abs(found))
    return Beyond((1 + as_good) / (1 + draws), left, movable)
