"""Baselines and confounds on the folds of the networks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.cohort.check.balance import matched_by_size
from voxplain.cohort.find.participants import given_label, join, session_label, some_of
from voxplain.cohort.find.rows import find_row, named, require_once, row_keys
from voxplain.cohort.find.sessions import with_sessions
from voxplain.cohort.find.tables import participant_key, read_table
from voxplain.errors import InputError, VoxplainWarning
from voxplain.fit import Outcome, measures
from voxplain.fit.confounds import confounds_alone, design, residual_outputs
from voxplain.fit.morphometry import Features, fit_table, ranked, read_features, table_models
from voxplain.fit.voxels import Products, inner_products, voxel_models
from voxplain.pipeline.fit.setting import Setting
from voxplain.progress import Progress
from voxplain.results.fit import Confounds, Importance, Matched
from voxplain.volume import Cohort

__all__ = ["Baselines", "confound_scores", "features_of", "table_baselines", "voxel_baselines"]

Outputs = Sequence[NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Baselines:
    """What baselines predict.

    Parameters
    ----------
    outputs : dict of str to list of array (n, K)
        By name, for each fold's held-out scans.
    likely : set of str
        Those whose outputs are logarithms of probabilities, so that Brier scores mean something.
    products : Products, optional
        Of the voxels.
    importances : tuple of Importance
        Of a table's measures, best first.
    notes : tuple of str
    """

    outputs: dict[str, Outputs]
    likely: frozenset[str] = frozenset()
    products: Products | None = None
    importances: tuple[Importance, ...] = ()
    notes: tuple[str, ...] = ()


def voxel_baselines(setting: Setting, progress: Progress) -> Baselines:
    """Fit the models on voxels."""
    count = len(setting.cohort)
    with progress.step("Inner products of all scans", count**2) as advance:
        products = inner_products(setting.cohort, advance)
    models = voxel_models(bool(setting.outcome.class_names))
    outputs: dict[str, Outputs] = {}
    with progress.step("Models on voxels", len(models)) as advance:
        for number, (name, model) in enumerate(models.items(), 1):
            outputs[name] = [
                model(products, setting.outcome, fold, setting.groups) for fold in setting.folds
            ]
            advance(number)
    likely = frozenset(name for name in outputs if "logistic" in name)
    return Baselines(outputs, likely, products)


def features_of(path: Path, setting: Setting) -> Features:
    """Read a table of measures, keyed by participant.

    Raises
    ------
    InputError
        If the table cannot be used, names a participant twice, or lacks some.
    """
    return read_features(_aligned(path, setting.cohort), setting.outcome)


def table_baselines(features: Features, setting: Setting, progress: Progress) -> Baselines:
    """Fit the models on a table of measures."""
    models = table_models(bool(setting.outcome.class_names), setting.seed)
    fits = {}
    with progress.step("Models on the table", len(models) * len(setting.folds)) as advance:
        for number, (name, make) in enumerate(models.items()):
            start = number * len(setting.folds)
            fits[name] = fit_table(
                make,
                features,
                setting.outcome,
                setting.folds,
                setting.seed,
                lambda done, start=start: advance(start + done),  # type: ignore[misc]
            )
    outputs: dict[str, Outputs] = {f"table, {name}": fit.outputs for name, fit in fits.items()}
    likely = frozenset(name for name in outputs if "SV" not in name)
    importances = tuple(ranked(features, fits))
    return Baselines(outputs, likely, None, importances, features.notes)


def _aligned(path: Path, cohort: Cohort) -> pd.DataFrame:
    """Read a table, with a row per scan of the cohort in its order."""
    people = cohort.participants
    ours = "source_id" if "source_id" in people.columns else "participant_id"
    who = [given_label(value) for value in people[ours]]
    table = with_sessions(read_table(path, participant_key(path)), who)
    keys = row_keys(table)
    require_once([named(*key) for key in keys], str(path))
    rows = {key: row for row, key in enumerate(keys)}
    joined = join(who, (one for one, _ in keys))
    sessions = people["session_id"] if "session_id" in people.columns else [""] * len(people)
    found = [
        find_row(session_label(session), joined.rows.get(one), rows)[0]
        for one, session in zip(who, sessions, strict=True)
    ]
    lost = sorted({one for one, row in zip(who, found, strict=True) if row is None})
    if lost:
        raise InputError(
            f"{path} has no row for {len(lost)} of {len(set(who))} participants "
            f"({some_of(lost)}); add them, or leave them out of the cohort. {joined.hint}".rstrip()
        )
    if joined.said:
        warnings.warn(f"{path}: {joined.said}", VoxplainWarning, stacklevel=3)
    ordered = table.iloc[[row for row in found if row is not None]].reset_index(drop=True)
    return ordered.drop(columns=["participant_id", "session_id"], errors="ignore")


def confound_scores(
    setting: Setting,
    columns: Sequence[str],
    outputs: Mapping[str, Outputs],
    products: Products | None,
) -> Confounds:
    """Say what confounds do alone, and what each model does without them.

    Parameters
    ----------
    setting : Setting
    columns : sequence of str
        Of the participants' table.
    outputs : mapping of str to list of array
        Of every model.
    products : Products, optional
        Of the voxels; models on them are then fitted again on voxels without the confounds.

    Returns
    -------
    Confounds
    """
    table = setting.cohort.participants
    on_voxels = voxel_models(bool(setting.outcome.class_names)) if products is not None else {}
    sets = {name: [name] for name in columns}
    if len(columns) > 1:
        sets["all of them"] = list(columns)
    alone = {
        name: _pooled(setting, confounds_alone(table[part], setting.outcome, setting.folds))
        for name, part in sets.items()
    }
    removed = {}
    for name, given in outputs.items():
        if products is not None and name in on_voxels:
            model = on_voxels[name]
            left = [
                model(
                    products.without(_designs(table, columns, f.train), f.train),
                    setting.outcome, f, setting.groups,
                )
                for f in setting.folds
            ]  # fmt: skip
        else:
            every = np.arange(len(table))
            left = residual_outputs(given, setting.folds, _designs(table, columns, every))
        removed[name] = _pooled(setting, left)
    two = "brain_ml" in table.columns and len(setting.outcome.class_names) == 2
    return Confounds(tuple(columns), alone, removed, _matched(setting, outputs) if two else None)


def _designs(
    table: pd.DataFrame, columns: Sequence[str], train: NDArray[np.int64]
) -> NDArray[np.float64]:
    return np.hstack([design(table[name], train) for name in columns])


def _matched(setting: Setting, outputs: Mapping[str, Outputs]) -> Matched:
    table, outcome = setting.cohort.participants, setting.outcome
    first = np.flatnonzero(~table["participant_id"].duplicated())
    labels = [outcome.class_names[int(outcome.values[i])] for i in first]
    sizes = [float(table["brain_ml"].iloc[i]) for i in first]
    try:
        kept = first[matched_by_size(labels, sizes, outcome.class_names)]
    except InputError:
        # No two brains of both classes are of a size, which is a finding as well.
        return Matched(0, {})
    pooled = {name: _pooled(setting, given, kept) for name, given in outputs.items()}
    return Matched(len(kept), pooled)


def _pooled(
    setting: Setting, outputs: Outputs, only: NDArray[np.int64] | None = None
) -> dict[str, float]:
    """Measure all held-out outputs of the first repeat together, or those of some scans."""
    first = [(f.test, o) for f, o in zip(setting.folds, outputs, strict=True) if f.repeat == 1]
    rows = np.concatenate([test for test, _ in first])
    values = np.concatenate([out for _, out in first])
    chosen = np.ones(len(rows), bool) if only is None else np.isin(rows, only)
    outcome = setting.outcome
    part = Outcome(outcome.name, outcome.values[rows[chosen]], outcome.class_names)
    found = measures(part, values[chosen])
    return {name: value for name, value in found.items() if name != "brier"}
