"""How well size, age and site alone tell the classes apart: what a network could have learnt."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.columns import numbers_or_words
from voxplain.errors import InputError, VoxplainWarning
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Balance", "balance", "matched_by_size"]

_FOLDS = 10
_SEED = 0
_WARN_AUC = 0.6


@dataclass(frozen=True)
class Balance:
    """What one covariate alone says about the label.

    Parameters
    ----------
    name : str
        Column of the participants' table.
    auc : float
        Area under the ROC curve. Of a number and two classes, that of the number itself, in the
        sense in which it is .5 or more; else that of a cross-validated logistic regression, for
        more than two classes the mean over pairs.
    by_class : dict of str to str
        What the covariate looks like in each class.
    telling : bool
        Whether a reader should be warned: the lower end of the interval lies above .5, and the
        area at or above .6.
    interval : tuple of 2 floats
        95 % interval of the area from its standard error (Hanley and McNeil 1982).
    n : int
        Participants with a value.
    """

    name: str
    auc: float
    by_class: dict[str, str]
    telling: bool
    interval: tuple[float, float]
    n: int


def balance(cohort: Cohort, columns: Sequence[str] | None = None) -> list[Balance]:
    """Predict the label from one covariate at a time.

    Parameters
    ----------
    cohort : Cohort
    columns : sequence of str, optional
        By default brain volume, age, site and the like, as far as the table has them.

    Returns
    -------
    list of Balance
        Columns that are constant or without values for a class are left out.
    """
    # Several scans of one participant say no more of the balance than the first.
    first = ~cohort.participants["participant_id"].duplicated()
    table, labels = cohort.participants[first], cohort.labels[first.to_numpy()]
    names = (
        [name for name in table.columns if name.lower() in _USUAL] if columns is None else columns
    )
    out = []
    for name in names:
        if name not in table.columns:
            raise InputError(f"The participants have no column {name!r} to look at.")
        found = _one(table[name], labels, cohort.class_names)
        if found is not None:
            out.append(found)
    return out


_USUAL = frozenset(
    (
        "brain_ml",
        "tiv_ml",
        "etiv",
        "age",
        "age_in_yrs",
        "age_at_scan",
        "site",
        "site_id",
        "scanner",
        "release",
    )
)


def _one(
    column: pd.Series[str], every: NDArray[np.int64], class_names: Sequence[str]
) -> Balance | None:
    import pandas as pd

    try:
        read = numbers_or_words(column)
    except InputError as error:
        warnings.warn(f"{error} It is not looked at.", VoxplainWarning, stacklevel=4)
        return None
    number = isinstance(read, np.ndarray)
    every_value = pd.Series(read, index=column.index)
    known = every_value.notna().to_numpy()
    labels = every[known]
    counts = np.bincount(labels, minlength=len(class_names))
    values = every_value[known]
    if values.nunique() < 2 or counts.min() < 2:
        return None
    if number:
        features = values.to_numpy(dtype=np.float64)[:, None]
        features = (features - features.mean()) / features.std()
        told = {
            name: f"{values[labels == i].mean():.1f} ± {values[labels == i].std():.1f}"
            for i, name in enumerate(class_names)
        }
    else:
        features = pd.get_dummies(values).to_numpy(dtype=np.float64)
        told = {
            name: ", ".join(f"{k} {n}" for k, n in values[labels == i].value_counts().items())
            for i, name in enumerate(class_names)
        }
    if number and len(counts) == 2:
        # Nothing is fitted here; predictions of held-out folds would fall below .5 by chance.
        auc = _auc(labels, features[:, 0])
    else:
        auc = _cross_validated_auc(features, labels)
    half = 1.96 * _standard_error(auc, counts)
    interval = (max(0.0, auc - half), min(1.0, auc + half))
    telling = interval[0] > 0.5 and auc >= _WARN_AUC
    return Balance(str(column.name), auc, told, telling, interval, int(known.sum()))


def _auc(labels: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    found = float(roc_auc_score(labels, values))
    return max(found, 1 - found)


def _cross_validated_auc(features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(
        min(_FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=_SEED
    )
    model = LogisticRegression(class_weight="balanced")
    chances = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    if chances.shape[1] == 2:
        return float(roc_auc_score(labels, chances[:, 1]))
    return float(roc_auc_score(labels, chances, multi_class="ovo"))


def _standard_error(auc: float, counts: NDArray[np.int64]) -> float:
    """Hanley and McNeil (1982), of the two smallest classes where there are more."""
    a, b = np.sort(counts)[:2]
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (a - 1) * (q1 - auc**2) + (b - 1) * (q2 - auc**2)
    return float(np.sqrt(variance / (a * b)))


def matched_by_size(
    labels: Sequence[str],
    brain_ml: Sequence[float],
    class_names: Sequence[str],
    within_ml: float = 25.0,
) -> list[int]:
    """Choose as many pairs of both classes as possible whose brains are of a size.

    Parameters
    ----------
    labels : sequence of str
    brain_ml : sequence of float, mL
        Brain volume of each participant.
    class_names : sequence of 2 str
    within_ml : float, mL, default=25.0
        Largest difference within a pair.

    Returns
    -------
    list of int
        Positions, in order; as many of one class as of the other.

    Raises
    ------
    InputError
        If there are not two classes, or no pair is of a size.
    """
    if len(class_names) != 2:
        raise InputError(f"Matching by size needs two classes; there are {len(class_names)}.")
    size = np.asarray(brain_ml, dtype=np.float64)
    first, second = (
        sorted((i for i, label in enumerate(labels) if label == name), key=lambda i: size[i])
        for name in class_names
    )
    # Both in order of size: pairing the smallest two that fit never costs a pair.
    chosen: list[int] = []
    i = j = 0
    while i < len(first) and j < len(second):
        gap = size[first[i]] - size[second[j]]
        if abs(gap) <= within_ml:
            chosen += [first[i], second[j]]
            i, j = i + 1, j + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    if not chosen:
        raise InputError(f"No two brains of different classes are within {within_ml:g} mL of size.")
    return sorted(chosen)
