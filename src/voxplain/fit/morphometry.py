"""Models on a table of measures, such as FreeSurfer's volumes and thicknesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome
from voxplain.fit.splits import Fold
from voxplain.results.fit import Importance
from voxplain.tables.cells import missing, shown
from voxplain.tables.columns import read_numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Features", "TableFit", "fit_table", "ranked", "read_features", "table_models"]

Matrix = NDArray[np.float64]

_MOST_WORDS = 20
_REPEATS = 5


@dataclass(frozen=True, eq=False)
class Features:
    """Measures of every scan.

    Parameters
    ----------
    names : tuple of F str
    values : array (N, F)
        NaN where a measure is missing.
    notes : tuple of str
        What was left out or encoded, a sentence each.
    """

    names: tuple[str, ...]
    values: Matrix
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TableFit:
    """A model of a table on all folds.

    Parameters
    ----------
    outputs : list of array (n, K)
        For each fold's held-out scans.
    permutation : array (F,)
        Mean loss of held-out accuracy (of numbers, of R²) when a measure is shuffled.
    own : array (F,) or None
        The model's own importance, mean over folds, where it has one.
    """

    outputs: list[Matrix]
    permutation: NDArray[np.float64]
    own: NDArray[np.float64] | None


def read_features(table: pd.DataFrame, outcome: Outcome) -> Features:
    """Turn a table into numbers.

    Words of few kinds, such as a release, become one column each. Columns that tell the outcome by
    themselves, because they hold it under another name, are left out, and so are constant ones.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per scan, in their order; without the participants' names.
    outcome : Outcome

    Returns
    -------
    Features

    Raises
    ------
    InputError
        If a column holds infinite values or words of too many kinds, or no column is left.
    """
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    same: list[str] = []
    encoded: list[str] = []
    for name in map(str, table.columns):
        column = table[name]
        blank = column.map(missing)
        read = read_numbers(column)
        if _tells(column.astype(str), outcome):
            same.append(name)
        elif read.numeric and read.unread:
            raise InputError(
                f"Column {name!r} holds numbers, but for {shown(read.unread)}; write numbers with "
                "a decimal point and in one unit, and n/a where there is none."
            )
        elif read.numeric or blank.all():
            if np.isinf(read.values).any():
                raise InputError(
                    f"Column {name!r} holds infinite values; correct them or leave the column out."
                )
            if len(np.unique(read.values[np.isfinite(read.values)])) > 1:
                names.append(name)
                columns.append(read.values)
        elif column[~blank].nunique() <= _MOST_WORDS:
            encoded.append(name)
            for word in sorted(set(column[~blank].astype(str))):
                names.append(f"{name}={word}")
                columns.append((column.astype(str) == word).to_numpy().astype(np.float64))
        else:
            raise InputError(
                f"Column {name!r} holds words, such as {column[~blank].iloc[0]!r}, of "
                f"{column[~blank].nunique()} kinds; keep measures alone in the table."
            )
    if not names:
        raise InputError("The table holds no measure that varies; give one with numbers.")
    notes = [f"Left out, they hold the outcome itself: {', '.join(same)}."] if same else []
    notes += [f"One column for each word: {', '.join(encoded)}."] if encoded else []
    return Features(tuple(names), np.stack(columns, axis=1), tuple(notes))


def _tells(column: pd.Series[str], outcome: Outcome) -> bool:
    """Whether each value of a column of words belongs to one class, and each class has one."""
    if not outcome.class_names or column.nunique() != len(outcome.class_names):
        return False
    pairs = {(word, int(value)) for word, value in zip(column, outcome.values, strict=True)}
    return len(pairs) == len(outcome.class_names)


def table_models(classes: bool, seed: int = 0) -> dict[str, Callable[[], Any]]:
    """Name the models, and how each is made anew.

    Scaling and the filling of gaps are part of a model, so that they are fitted inside a fold.
    XGBoost is among them where it is installed.

    Parameters
    ----------
    classes : bool
        Whether classes are told apart, or numbers predicted.
    seed : int
    """
    from sklearn import ensemble, linear_model, neighbors, svm
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def scaled(made: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), made())

    if classes:
        models = {
            "logistic regression": scaled(lambda: linear_model.LogisticRegression(max_iter=5000)),
            "SVC": scaled(svm.SVC),
            "k-NN (15)": scaled(partial(neighbors.KNeighborsClassifier, 15)),
            "gradient boosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=seed),
        }
    else:
        models = {
            "ridge regression": scaled(lambda: linear_model.RidgeCV(np.logspace(-3, 3, 13))),
            "SVR": scaled(svm.SVR),
            "k-NN (15)": scaled(partial(neighbors.KNeighborsRegressor, 15)),
            "gradient boosting": lambda: ensemble.HistGradientBoostingRegressor(random_state=seed),
        }
    try:
        import xgboost
    except ImportError:
        return models
    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    return {**models, "XGBoost": lambda: kind(random_state=seed, n_jobs=1)}


def fit_table(
    make: Callable[[], Any],
    features: Features,
    outcome: Outcome,
    folds: Sequence[Fold],
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda done: None,
) -> TableFit:
    """Fit a model on every fold, predict who is held out, and shuffle one measure at a time.

    Parameters
    ----------
    make : callable
        Of `table_models`.
    features : Features
    outcome : Outcome
    folds : sequence of Fold
    seed : int
    on_progress : callable
        Takes the number of folds done.

    Returns
    -------
    TableFit

    Raises
    ------
    InputError
        If a training part is too small for the model.
    """
    from sklearn.inspection import permutation_importance

    outputs, losses, own = [], [], []
    for number, fold in enumerate(folds, 1):
        model = make()
        learn, test = features.values[fold.train], features.values[fold.test]
        try:
            model.fit(learn, outcome.values[fold.train])
            outputs.append(_outputs(model, test, outcome))
        except ValueError as error:
            first = str(error).strip().splitlines()[0].rstrip(".")
            raise InputError(
                f"A model of the table cannot be fitted on {len(learn)} scans: {first}."
            ) from error
        if len(fold.test) > 1:
            shuffled = permutation_importance(
                model, test, outcome.values[fold.test], n_repeats=_REPEATS, random_state=seed
            )
            losses.append(shuffled["importances_mean"])
        found = getattr(model, "feature_importances_", None)
        if found is not None:
            own.append(np.asarray(found, dtype=np.float64))
        on_progress(number)
    width = len(features.names)
    return TableFit(
        outputs,
        np.mean(losses, axis=0) if losses else np.full(width, np.nan),
        np.mean(own, axis=0) if own else None,
    )


def _outputs(model: Any, test: Matrix, outcome: Outcome) -> Matrix:
    if not outcome.class_names:
        return np.asarray(model.predict(test), dtype=np.float64)[:, None]
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(np.asarray(model.predict_proba(test), np.float64), 1e-6))
    scores = np.asarray(model.decision_function(test), dtype=np.float64)
    return np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores


def ranked(features: Features, fits: Mapping[str, TableFit]) -> list[Importance]:
    """Rank measures by what shuffling them costs, mean over the models.

    Parameters
    ----------
    features : Features
    fits : mapping of str to TableFit

    Returns
    -------
    list of Importance
        Best first.
    """
    mean = np.mean([fit.permutation for fit in fits.values()], axis=0)
    rows = []
    for i in np.argsort(-np.nan_to_num(mean, nan=-np.inf), kind="stable"):
        own = {name: float(fit.own[i]) for name, fit in fits.items() if fit.own is not None}
        rows.append(Importance(features.names[i], float(mean[i]), own))
    return rows
