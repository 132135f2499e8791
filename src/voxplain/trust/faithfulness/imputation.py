"""Removed voxels filled in from their neighbours (ROAD, in three dimensions)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix, diags_array
from scipy.sparse.linalg import cg

from voxplain.errors import InputError, VoxplainError
from voxplain.trust.ranks import brain_mask, inside

__all__ = ["Imputation"]

_OFFSETS = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
_EXACTNESS = 1e-6
_MOST_STEPS = 5000


@dataclass(frozen=True)
class Imputation:
    """Noisy linear imputation (ROAD; Rong et al. 2022, ICML, PMLR 162:18770), in 3D.

    Each removed voxel becomes the weighted mean of its 26 neighbours, those that were removed too
    included: one sparse system of linear equations. In two dimensions a neighbour across an edge
    weighs twice as much as one across a corner; here each axis along which a neighbour is displaced
    halves its weight. Neighbours outside the brain have no weight, so that background does not
    bleed in.

    Parameters
    ----------
    noise : float, default=0.01
        Standard deviation of the noise that is added to what was filled in, in standard deviations
        of the image inside the brain; it hides which voxels were removed.

    Raises
    ------
    InputError
        If the noise is negative.
    """

    noise: float = 0.01

    def __post_init__(self) -> None:
        if not self.noise >= 0:
            raise InputError(f"The noise must be 0 or more; {self.noise} was given.")

    def fill(
        self, image: ArrayLike, removed: ArrayLike, brain: ArrayLike, seed: int
    ) -> NDArray[np.float32]:
        """Fill in what was removed.

        Parameters
        ----------
        image : array (X, Y, Z)
        removed : array (X, Y, Z), bool
            What lies outside the brain is left as it is.
        brain : array (X, Y, Z), bool
        seed : int

        Returns
        -------
        array (X, Y, Z), float32
            Voxels of a part of the brain that was removed whole become the mean of the rest.

        Raises
        ------
        GridError
            If the shapes differ.
        InputError
            If the whole brain was removed.
        """
        mask = brain_mask(brain)
        values = inside(image, mask, "The image")
        gone = inside(removed, mask, "What was removed") > 0
        out = np.array(image, dtype=np.float32)
        if gone.all():
            raise InputError("All of the brain was removed: nothing is left to fill it in from.")
        if gone.any():
            filled = _solved(values, gone, mask)
            scale = self.noise * float(values.std())
            filled += scale * np.random.default_rng(seed).standard_normal(len(filled))
            values[gone] = filled
            out[mask] = values
        return out


def _solved(
    values: NDArray[np.float64], gone: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Solve for the removed voxels: each total weight times the value is the weighted sum."""
    number = np.full(np.array(mask.shape) + 2, -1)
    core = number[1:-1, 1:-1, 1:-1]
    core[mask] = np.arange(len(values))
    place = np.argwhere(mask)[gone] + 1
    unknown = np.cumsum(gone) - 1
    count = len(place)
    total, known = np.zeros(count), np.zeros(count)
    rows, columns, weights = [], [], []
    for step in _OFFSETS:
        weight = 0.5 ** (np.count_nonzero(step) - 1)
        beside = number[tuple((place + step).T)]
        there = beside >= 0
        total += weight * there
        given = there & ~gone[beside]
        known[given] += weight * values[beside[given]]
        (linked,) = np.nonzero(there & gone[beside])
        rows.append(linked)
        columns.append(unknown[beside[linked]])
        weights.append(np.full(len(linked), weight))
    ij = (np.concatenate(rows), np.concatenate(columns))
    between = coo_matrix((np.concatenate(weights), ij), shape=(count, count)).tocsr()
    mean = float(values[~gone].mean())
    # A touch of the mean fills parts that touch nothing known; elsewhere it changes no digit.
    touch = 1e-7
    system = (diags_array(total + touch) - between).tocsr()
    scale = 1 / (total + touch)
    start, wanted, jacobi = np.full(count, mean), known + touch * mean, diags_array(scale)
    found, left = cg(system, wanted, x0=start, rtol=_EXACTNESS, maxiter=_MOST_STEPS, M=jacobi)
    if left:
        raise VoxplainError("The removed voxels could not be filled in: the solver did not settle.")
    return np.asarray(found, dtype=np.float64)
