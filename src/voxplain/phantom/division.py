"""Participants divided into two groups that differ in nothing that is known of them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.columns import numbers_or_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["Division", "divide"]

_DRAWS = 4000
_FEWEST = 8
_RARE = 2


class Division(NamedTuple):
    """Two groups of participants, as alike as chance allows.

    Parameters
    ----------
    chosen : array (N,), bool
        Which scans belong to the second group; all scans of a participant belong to one.
    balanced : tuple of str
        Columns in which the groups were made alike.
    largest : float
        Largest difference of the groups' means that is left in any of them, in standard
        deviations of the column.
    """

    chosen: NDArray[np.bool_]
    balanced: tuple[str, ...]
    largest: float


def divide(participants: pd.DataFrame, columns: Sequence[str], seed: int) -> Division:
    """Divide participants at random into two halves that are alike in some columns.

    Of many random divisions, that one is taken whose groups' means differ least where they differ
    most (rerandomisation, Morgan & Rubin 2012, *Annals of Statistics* 40:1263). Words count by the
    share of each level; a column that holds neither numbers nor groups is passed over.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row per scan, with ``participant_id``.
    columns : sequence of str
        Such as the class, age, site, brain volume and family.
    seed : int

    Returns
    -------
    Division

    Raises
    ------
    InputError
        If there are fewer than eight participants.
    """
    _, first, whose = np.unique(
        participants["participant_id"].astype(str), return_index=True, return_inverse=True
    )
    count = len(first)
    if count < _FEWEST:
        raise InputError(
            f"An effect is planted in one of two groups of participants, and {count} make no two "
            f"groups; give a study of at least {_FEWEST}."
        )
    table = participants.iloc[first]
    parts = {name: _numbers(table[name]) for name in dict.fromkeys(columns)}
    used = tuple(name for name, part in parts.items() if part.shape[1])
    rng = np.random.default_rng(seed)
    half = np.arange(count) < count // 2
    draws = np.array([rng.permutation(half) for _ in range(_DRAWS if used else 1)])
    if not used:
        return Division(draws[0][whose], (), 0.0)
    design = np.hstack([parts[name] for name in used])
    weights = draws / (count // 2) - ~draws / (count - count // 2)
    worst = np.abs(weights @ design).max(axis=1)
    best = int(worst.argmin())
    return Division(draws[best][whose], used, float(worst[best]))


def _numbers(column: pd.Series[str]) -> NDArray[np.float64]:
    """Turn a column into numbers of mean 0 and standard deviation 1, array (N, c)."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VoxplainWarning)
            read = numbers_or_words(column)
    except InputError:
        return np.empty((len(column), 0))
    if isinstance(read, np.ndarray):
        known = np.isfinite(read)
        values = np.where(known, read, read[known].mean())[:, None]
    else:
        shares = pd.get_dummies(read).to_numpy(dtype=np.float64).reshape(len(column), -1)
        values = shares[:, shares.sum(axis=0) >= _RARE]
    spread = values.std(axis=0)
    moves = spread > 0
    centred: NDArray[np.float64] = (values - values.mean(axis=0))[:, moves] / spread[moves]
    return centred
