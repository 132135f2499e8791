"""Where the brain of a study lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.progress import Progress
from voxplain.volume import Cohort

__all__ = ["brain_of"]

_KEPT = 0.5


def brain_of(cohort: Cohort, rows: Sequence[int], progress: Progress) -> NDArray[np.bool_]:
    """Take for the brain where half of the scans or more are not zero, array (X, Y, Z)."""
    counts = np.zeros(cohort.grid.shape, dtype=np.int64)
    with progress.step("Where the brain is", len(rows)) as advance:
        for done, row in enumerate(rows, start=1):
            counts += cohort[row].values != 0
            advance(done)
    found: NDArray[np.bool_] = counts >= _KEPT * len(rows)
    if not found.any():
        raise InputError("The scans of the study are zero everywhere; there is no brain to test.")
    return found
