"""Bootstrap over subjects and networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Resamples", "interval_about", "resample_both"]

_SUBJECT_DRAWS = 10


class Resamples(NamedTuple):
    """How often each subject and each network is drawn.

    Parameters
    ----------
    subjects : array (B, S), int
    networks : array (B', K), int
        The draw of the networks that belongs to draw b of the subjects is ``b // (B / B')``.
    """

    subjects: NDArray[np.int64]
    networks: NDArray[np.int64]

    @property
    def per_network(self) -> int:
        """Draws of subjects for each draw of networks."""
        return len(self.subjects) // len(self.networks)

    def weights(self, subject: Sequence[int], network: Sequence[int]) -> NDArray[np.float32]:
        """Weigh maps by how often their subject and their network are drawn.

        Parameters
        ----------
        subject, network : sequence of int
            Of each of M maps.

        Returns
        -------
        array (B', M), float32
            Rows sum to 1; draws without any map are left out.
        """
        of_networks = np.repeat(self.networks, self.per_network, axis=0)
        both = (self.subjects[:, list(subject)] * of_networks[:, list(network)]).astype(np.float32)
        total = both.sum(axis=1)
        found: NDArray[np.float32] = both[total > 0] / total[total > 0, None]
        return found


def resample_both(subjects: int, networks: int, draws: int, seed: int) -> Resamples:
    """Draw subjects and networks with replacement, independently of each other.

    A map counts as often as its subject times as often as its network, whether every network saw
    every subject or each its own (the pigeonhole bootstrap, Owen 2007, *Annals of Applied
    Statistics* 1:386; it errs on the side of intervals that are too wide). One network is kept.

    Parameters
    ----------
    subjects, networks : int
    draws : int
        A multiple of 10: of each draw of networks there are ten of subjects.
    seed : int

    Returns
    -------
    Resamples
    """
    rng = np.random.default_rng(seed)
    outer = draws // _SUBJECT_DRAWS if networks > 1 else 1
    each = rng.multinomial(networks, np.full(networks, 1 / networks), outer)
    return Resamples(
        rng.multinomial(subjects, np.full(subjects, 1 / subjects), draws).astype(np.int64),
        each.astype(np.int64),
    )


def interval_about(value: float, draws: NDArray[np.float64]) -> tuple[float, float]:
    """Lay the draws' middle 95 % about a value.

    A mean map over a resample has fewer different subjects than that over all, and finds a truth
    less well: all draws lie lower. What they tell is how far figures spread, so their median is
    moved to the value.

    Parameters
    ----------
    value : float
    draws : array (B,)

    Returns
    -------
    low, high : float
    """
    low, median, high = np.percentile(draws, [2.5, 50, 97.5])
    return float(value - (median - low)), float(value + (high - median))
