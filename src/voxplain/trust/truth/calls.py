"""How often a map passes for a finding, at places where nobody claims one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.surrogates import Envelope, drawn_like
from voxplain.trust.truth.localisation import truth_inside
from voxplain.volume import smooth

__all__ = ["WIDTH_MM", "Calls", "calls"]

WIDTH_MM = 45.0
"""Width of envelopes with which noise is called in less than one of twenty maps."""

_LEVEL = 0.05
_SLACK = 1e-12


@dataclass(frozen=True)
class Calls:
    """At how many places a map passes for a finding.

    Parameters
    ----------
    called, places : int
    limit : int
        What 95 % of random maps do not exceed: neighbouring places are called together.
    p : float
        Share of the maps, this one and the random ones, that are called at as many places.
    """

    called: int
    places: int
    limit: int
    p: float

    @property
    def rate(self) -> float:
        """Share of the places; .05 is what chance is set to."""
        return self.called / self.places


def calls(
    values: ArrayLike,
    places: Sequence[NDArray[np.bool_]],
    brain: ArrayLike,
    envelope: Envelope,
    fwhm: float,
    seed: int,
    draws: int = 99,
) -> Calls:
    """Ask of many places whether a map finds them better than 95 % of random maps like it.

    Random maps share the map's smoothness and envelope: a network's gradient is strong in some
    parts of the brain whatever it learnt, and maps that are alike all over the brain are called
    there less often. The map is ranked among the random ones, at each place and then by the number
    of places, so that a map that is one of them has a p below .05 less often than that (Phipson and
    Smyth 2010, *Statistical Applications in Genetics and Molecular Biology* 9:39).

    Parameters
    ----------
    values : array (X, Y, Z)
        The raw map.
    places : sequence of array (X, Y, Z), bool
    brain : array (X, Y, Z), bool
    envelope : Envelope
        Of `WIDTH_MM`, with what maps follow: the scan, the mean scan.
    fwhm : float, mm
        By which the map is smoothed before it is scored, see `strength`.
    seed : int
    draws : int, default=99
        Random maps.

    Returns
    -------
    Calls
    """
    mask = brain_mask(brain)
    inner = np.stack([truth_inside(place, mask) for place in places])
    smoothed = inside(smooth(np.asarray(values), envelope.grid, fwhm), mask, "The map")
    random = drawn_like(smoothed, mask, draws, seed, envelope.on(mask))
    found = np.array([_precisions(np.abs(one), inner) for one in (smoothed, *random)])
    every = len(found)
    # How many maps find a place as well, the map itself among them.
    rank = np.array([(found >= one - _SLACK).sum(axis=0) for one in found])
    called = (rank <= _LEVEL * every).sum(axis=1)
    return Calls(
        called=int(called[0]),
        places=len(inner),
        limit=int(np.quantile(called[1:], 1 - _LEVEL, method="higher")),
        p=float(np.mean(called >= called[0])),
    )


def _precisions(scores: NDArray[np.float64], places: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of one map at many places, array (places,), by one sort."""
    hits = places[:, np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / hits.sum(axis=1))
