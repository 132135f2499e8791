"""How much of what differs between maps follows the confounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Following", "share_of_confounds"]


@dataclass(frozen=True)
class Following:
    """The share of the variance of maps over scans that confounds foretell.

    Parameters
    ----------
    share : float
    chance, limit : float
        Mean and 95th percentile where confounds are shuffled among scans of one network and target.
    """

    share: float
    chance: float
    limit: float


def share_of_confounds(
    maps: NDArray[np.floating],
    confounds: NDArray[np.float64],
    blocks: Sequence[str],
    seed: int = 0,
    draws: int = 200,
) -> Following | None:
    """Regress maps on confounds, within the scans of one network and target.

    Networks differ, and so do targets: their means are taken out of the maps and the confounds.
    Each map is brought to length 1 first, so that one strong map is not all of the variance.

    Parameters
    ----------
    maps : array (N, V)
    confounds : array (N, c)
    blocks : sequence of str, N
        Network and target of each.
    seed : int, default=0
    draws : int, default=200

    Returns
    -------
    Following or None
        None where no block has three scans or more.
    """
    names = np.asarray(blocks)
    members = [np.flatnonzero(names == one) for one in np.unique(names)]
    members = [rows for rows in members if len(rows) > 2]
    if not members:
        return None
    kept = np.concatenate(members)
    ends = np.cumsum([len(rows) for rows in members])
    spans = [np.arange(end - len(m), end) for end, m in zip(ends, members, strict=True)]
    own = np.asarray(maps, dtype=np.float64)[kept]
    length = np.linalg.norm(own, axis=1, keepdims=True)
    own, given = own / np.where(length > 0, length, 1), confounds[kept].copy()
    for rows in spans:
        own[rows] -= own[rows].mean(axis=0)
        given[rows] -= given[rows].mean(axis=0)
    alike = own @ own.T
    total = float(np.trace(alike))
    if total <= 0:
        return Following(0.0, 0.0, 0.0)

    def share(columns: NDArray[np.float64]) -> float:
        basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
        basis = basis[:, sizes > 1e-9 * max(1.0, float(sizes.max()))]
        return float(np.sum(basis * (alike @ basis))) / total

    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        order = np.concatenate([rng.permutation(rows) for rows in spans])
        drawn.append(share(given[order]))
    limit = float(np.quantile(drawn, 0.95, method="higher"))
    return Following(share(given), float(np.mean(drawn)), limit)
