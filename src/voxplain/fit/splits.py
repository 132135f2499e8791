"""Who trains and who is held out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from voxplain.errors import InputError
from voxplain.volume import Cohort

__all__ = ["hold_out"]


def hold_out(
    cohort: Cohort, fraction: float, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split a cohort once, with the classes in equal proportion on both sides.

    Parameters
    ----------
    cohort : Cohort
    fraction : float
        Share of the subjects that is held out.
    seed : int, default=0

    Returns
    -------
    train, held_out : array (N,), positions in the cohort, ascending

    Raises
    ------
    InputError
        If a side would lack a class.
    """
    labels = cohort.labels
    try:
        train, test = train_test_split(
            np.arange(len(cohort)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        counts = ", ".join(
            f"{(labels == c).sum()} {name}" for c, name in enumerate(cohort.class_names)
        )
        raise InputError(
            f"{len(cohort)} subjects ({counts}) are too few to hold out {fraction:.0%} with every "
            "class on both sides; take more subjects."
        ) from error
    return np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)
