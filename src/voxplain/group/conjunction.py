"""Where several tests agree: the conjunction of their effects, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError

__all__ = ["conjunction"]


def conjunction(
    t: Sequence[NDArray[np.floating]], p: Sequence[NDArray[np.floating]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Test whether all of several effects are there (minimum statistic, Nichols et al. 2005).

    The null is that one or more of them is missing. So the p of a voxel is the largest of its p,
    where all effects have one sign, and 1 elsewhere.

    Parameters
    ----------
    t, p : sequence of array (V,)
        Of each test, on the same voxels; p of both directions.

    Returns
    -------
    t : array (V,)
        The one nearest to 0; 0 where the signs differ.
    p : array (V,)

    Raises
    ------
    InputError
        If there are fewer than two tests, or they differ in their voxels.
    """
    if len(t) < 2 or len(t) != len(p) or len({one.shape for one in (*t, *p)}) != 1:
        raise InputError(
            f"A conjunction needs two tests or more of the same voxels; {len(t)} were given."
        )
    values = np.stack(t).astype(np.float64)
    signs = np.sign(values)
    agree = np.abs(signs.sum(axis=0)) == len(values)
    least = signs[0] * np.abs(values).min(axis=0)
    return np.where(agree, least, 0.0), np.where(agree, np.stack(p).max(axis=0), 1.0)
