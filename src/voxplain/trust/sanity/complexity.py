"""How complex a map is, and how much more so once the network knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from voxplain.errors import InputError
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.sanity.randomisation import Explain, randomised

if TYPE_CHECKING:
    from torch import nn

__all__ = ["EntropyChange", "entropy", "entropy_change"]


def entropy(values: ArrayLike, brain: ArrayLike, bins: int = 100) -> float:
    """Measure how complex a map is inside the brain.

    Parameters
    ----------
    values : array (X, Y, Z)
    brain : array (X, Y, Z), bool
    bins : int, default=100
        Of equal width, from the map's least to its largest value.

    Returns
    -------
    float, nat
        Shannon's, of the histogram: 0 for a constant map, ``log(bins)`` at most.
    """
    taken = inside(values, brain_mask(brain), "The map")
    if np.ptp(taken) == 0:
        return 0.0
    share = np.histogram(taken, bins)[0] / len(taken)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


@dataclass(frozen=True)
class EntropyChange:
    """How much more complex a map is once its network knows nothing.

    Parameters
    ----------
    entropy : float, nat
        Of the map.
    change : float
        Mean over random networks of their entropy minus this one's, over this one's.
    change_95 : float
        95th percentile of the same change from one random network to another.
    networks : int
    """

    entropy: float
    change: float
    change_95: float
    networks: int

    @property
    def above_chance(self) -> bool:
        """Whether maps of random networks are more complex by more than they differ."""
        return self.change > self.change_95


def entropy_change(
    explain: Explain, model: nn.Module, brain: ArrayLike, seed: int, networks: int = 5
) -> EntropyChange:
    """Compare a map's complexity with that of wholly random networks' maps.

    The efficient test of parameter randomisation (eMPRT; Hedström et al. 2024, arXiv 2405.02383):
    no similarity of maps is needed, and no order of layers.

    Parameters
    ----------
    explain : callable
    model : torch.nn.Module
    brain : array (X, Y, Z), bool
    seed : int
    networks : int, default=5
        Random ones; at least 3.

    Returns
    -------
    EntropyChange

    Raises
    ------
    InputError
        If there are fewer than 3 networks, or the map is constant.
    """
    if networks < 3:
        raise InputError(f"At least 3 random networks are needed; {networks} were asked for.")
    own = entropy(explain(model), brain)
    if own == 0:
        raise InputError("The map is constant inside the brain: its entropy cannot be compared.")
    found = []
    for number in range(networks):
        *_, (_, last) = randomised(model, seed + 1000 * number)
        found.append(entropy(explain(last), brain))
    between = [abs(a - b) / max(min(a, b), 1e-12) for a, b in combinations(found, 2)]
    return EntropyChange(
        entropy=own,
        change=float(np.mean([(h - own) / own for h in found])),
        change_95=float(np.quantile(between, 0.95, method="higher")),
        networks=networks,
    )
