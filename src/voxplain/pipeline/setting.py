"""What all models of a study are trained and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.fit import Fold, Outcome
from voxplain.volume import Cohort

__all__ = ["Setting"]


@dataclass(frozen=True, eq=False)
class Setting:
    """What all models are judged on.

    Parameters
    ----------
    cohort : Cohort
    outcome : Outcome
    folds : sequence of Fold
    groups : array (N,) or None
    seed : int
    """

    cohort: Cohort
    outcome: Outcome
    folds: Sequence[Fold]
    groups: NDArray[np.int64] | None
    seed: int
