"""Small cohorts with something to learn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from voxplain.fit import Outcome
from voxplain.grid import Grid
from voxplain.volume import Cohort

GRID = Grid((7, 8, 9), np.diag([-2, 2, 3, 1.0]))


def make_cohort(n: int = 24, signal: float = 3.0, classes: int = 2, seed: int = 0) -> Cohort:
    """Classes in turn, told apart by a bright block."""
    rng = np.random.default_rng(seed)
    names = ("control", "case", "other")[:classes]
    labels = np.arange(n) % classes
    images = rng.normal(size=(n, *GRID.shape)).astype(np.float32)
    images[:, 3, 2:5, 2:5] += signal * labels[:, None, None]
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "label": [names[k] for k in labels],
            "age": 40 + 5 * labels + rng.normal(size=n),
        }
    )
    return Cohort(table, names, GRID, lambda i: images[i])


def classes(*values: int, names: tuple[str, ...] = ("control", "case")) -> Outcome:
    return Outcome("label", np.array(values, dtype=np.int64), names)


def numbers(values: np.ndarray) -> Outcome:
    return Outcome("age", np.asarray(values, dtype=np.float64))
