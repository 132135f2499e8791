"""The confounds of a study: head size, age and site, read or measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxplain.fit import Outcome
from voxplain.fit.confounds import confound_columns, design
from voxplain.volume import Cohort

__all__ = ["Confounding", "is_there"]

_SIZE = "head size"
_WORDS = {
    "brain_ml": _SIZE,
    "tiv_ml": _SIZE,
    "etiv": _SIZE,
    "site_id": "site",
    "age_in_yrs": "age",
    "age_at_scan": "age",
}
_FAINT = 0.1


class Confounding:
    """The confounds of a study: those of its table, and head size measured where it has none.

    Parameters
    ----------
    cohort : Cohort
    outcome : Outcome
    asked : sequence of str
        Columns that the fit controlled for; the usual ones where it was not told.

    Attributes
    ----------
    names : list of str
        As they are told: "head size", "age".
    designs : list of array (N, c)
        Each as numbers, standardised.
    features : pandas.DataFrame
        A column each.
    """

    def __init__(self, cohort: Cohort, outcome: Outcome, asked: Sequence[str] = ()) -> None:
        table = cohort.participants.copy()
        columns = confound_columns(table, outcome, asked)
        if not asked and not any(_WORDS.get(name.lower()) == _SIZE for name in columns):
            volume = float(np.prod(cohort.grid.voxel_size)) / 1000
            table["brain_ml"] = [volume * is_there(one.values).sum() for one in cohort]
            columns = ["brain_ml", *columns]
        every = np.arange(len(table))
        self.names = [_WORDS.get(name.lower(), name) for name in columns]
        self.designs = [design(table[name], every) for name in columns]
        self.features = table[columns]

    @property
    def all(self) -> NDArray[np.float64]:
        """All of them side by side, array (N, c)."""
        return np.hstack(self.designs)


def is_there(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where a scan has something, array (X, Y, Z): not its background.

    The background is the median of the outermost voxels, and a tenth of the way from there to the
    bright end is something.
    """
    faces = [np.take(values, side, axis).ravel() for axis in range(3) for side in (0, -1)]
    off = np.abs(values - np.median(np.concatenate(faces)))
    there: NDArray[np.bool_] = off > _FAINT * np.quantile(off, 0.99)
    return there
