"""What head size, age and site do alone, and what is left without them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, VoxplainWarning
from voxplain.fit.outcome import Outcome
from voxplain.fit.splits import Fold
from voxplain.tables.columns import numbers_or_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["confound_columns", "confounds_alone", "design", "residual_outputs"]

_USUAL = ("brain_ml", "tiv_ml", "etiv", "age", "age_in_yrs", "age_at_scan", "site", "site_id")


def confound_columns(table: pd.DataFrame, outcome: Outcome, asked: Sequence[str] = ()) -> list[str]:
    """Choose the columns that are looked at.

    Parameters
    ----------
    table : pandas.DataFrame
    outcome : Outcome
        Never its own confound.
    asked : sequence of str
        By default brain volume, age and site, as far as the table has them.

    Raises
    ------
    InputError
        If a column that was asked for is missing, or holds neither numbers nor groups.
    """
    exact = {str(name): str(name) for name in table.columns}
    # A column that is called just so comes before one that differs by case.
    names = {name.lower(): name for name in exact} | exact
    found = [names.get(name, names.get(name.lower(), "")) for name in asked or _USUAL]
    for name, column in zip(asked, found, strict=False):
        if not column:
            raise InputError(
                f"The participants have no column {name!r} to control for; they have: "
                f"{', '.join(map(str, table.columns))}."
            )
    used = [name for name in dict.fromkeys(found) if name and name != outcome.name]
    return [name for name in used if _usable(table[name], asked=bool(asked))]


def _usable(column: pd.Series[Any], asked: bool) -> bool:
    """Whether a column says anything; one that cannot be read is refused where it was asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VoxplainWarning)
            values = numbers_or_words(column)
    except InputError as error:
        if asked:
            raise
        warnings.warn(f"{error} It is not controlled for.", VoxplainWarning, stacklevel=3)
        return False
    known = values[np.isfinite(values)] if isinstance(values, np.ndarray) else values.dropna()
    return len(set(known)) > 1


def design(column: pd.Series[Any], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn a column into numbers, array (N, c), standardised on the training part.

    Missing numbers become the training part's median; words one column each.
    """
    import pandas as pd

    read = numbers_or_words(column)
    if isinstance(read, np.ndarray):
        given = read[:, None]
        seen = given[train][np.isfinite(given[train])]
        values = np.where(np.isfinite(given), given, np.median(seen) if len(seen) else 0.0)
    else:
        values = pd.get_dummies(read.fillna("n/a")).to_numpy(dtype=np.float64)
    spread = values[train].std(axis=0)
    return np.asarray((values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def confounds_alone(
    features: pd.DataFrame, outcome: Outcome, folds: Sequence[Fold]
) -> list[NDArray[np.float64]]:
    """Predict from some columns alone, with a linear model, on the given folds.

    Parameters
    ----------
    features : pandas.DataFrame
    outcome : Outcome
    folds : sequence of Fold

    Returns
    -------
    list of array (n, K)
        Outputs for each fold's held-out scans.
    """
    from sklearn.linear_model import LinearRegression, LogisticRegression

    made = []
    for fold in folds:
        x = np.hstack([design(features[name], fold.train) for name in features.columns])
        if outcome.class_names:
            model: Any = LogisticRegression(max_iter=1000)
            model.fit(x[fold.train], outcome.values[fold.train])
            made.append(np.log(np.maximum(model.predict_proba(x[fold.test]), 1e-12)))
        else:
            model = LinearRegression().fit(x[fold.train], outcome.values[fold.train])
            made.append(np.asarray(model.predict(x[fold.test]))[:, None])
    return made


def residual_outputs(
    outputs: Sequence[NDArray[np.floating]], folds: Sequence[Fold], confounds: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Take confounds out of held-out outputs.

    What each output owes to the confounds is fitted on the held-out outputs of the other folds of
    the repeat, so that nothing is fitted on the scans that it is applied to, and taken away as far
    as a scan differs from the mean of those others.

    Parameters
    ----------
    outputs : sequence of array (n, K)
    folds : sequence of Fold
    confounds : array (N, c)

    Returns
    -------
    list of array (n, K)
    """
    made = []
    for i, fold in enumerate(folds):
        others = [j for j, f in enumerate(folds) if f.repeat == fold.repeat and j != i]
        rows = np.concatenate([folds[j].test for j in others])
        known = np.concatenate([np.asarray(outputs[j], dtype=np.float64) for j in others])
        off = confounds - confounds[rows].mean(axis=0)
        slopes = np.linalg.lstsq(off[rows], known - known.mean(axis=0), rcond=None)[0]
        made.append(np.asarray(outputs[i], dtype=np.float64) - off[fold.test] @ slopes)
    return made
