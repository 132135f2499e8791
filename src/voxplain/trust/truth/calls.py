"""How often a map passes for a finding, at places where nobody claims one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.grid import Grid
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.truth.chance import like_fields
from voxplain.trust.truth.localisation import average_precision, strength, truth_inside

__all__ = ["Calls", "calls"]

_LEVEL = 0.05


@dataclass(frozen=True)
class Calls:
    """At how many places a map passes for a finding.

    Parameters
    ----------
    called, places : int
    limit : int
        What 95 % of random maps as smooth do not exceed: neighbouring places are called together.
    """

    called: int
    places: int
    limit: int

    @property
    def rate(self) -> float:
        """Share of the places; .05 is what chance is set to."""
        return self.called / self.places


def calls(
    values: ArrayLike,
    places: Sequence[NDArray[np.bool_]],
    brain: ArrayLike,
    grid: Grid,
    fwhm: float,
    seed: int,
    draws: int = 100,
) -> Calls:
    """Ask of many places whether a map finds them better than 95 % of random maps like it.

    Parameters
    ----------
    values : array (X, Y, Z)
        The raw map.
    places : sequence of array (X, Y, Z), bool
    brain, grid, fwhm, seed, draws
        See `chance_of`.

    Returns
    -------
    Calls
    """
    mask = brain_mask(brain)
    inner = [truth_inside(place, mask) for place in places]
    score = inside(strength(values, grid, fwhm), mask, "The map")
    own = np.array([average_precision(one, score) for one in inner])
    _, fields = like_fields(values, mask, grid, fwhm, seed, draws)
    null = np.array([[average_precision(one, field) for one in inner] for field in fields])
    limit = np.quantile(null, 1 - _LEVEL, axis=0, method="higher")
    at_random = (null > limit).sum(axis=1)
    most = int(np.quantile(at_random, 1 - _LEVEL, method="higher"))
    return Calls(int(np.sum(own > limit)), len(inner), most)
