"""What all models of a study are trained and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.fit import Fold, Outcome
from voxplain.study import StudyReader
from voxplain.volume import Cohort

__all__ = ["Setting", "ceiling_of"]


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


def ceiling_of(study: Path) -> float | None:
    """Return the accuracy of the best observer of a study's classes, known of a phantom alone."""
    told = StudyReader(study).read_json("summary.json")
    ceiling: float | None = told.get("phantom", {}).get("bayes_accuracy")
    return ceiling
