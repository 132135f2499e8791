"""The study's network trained again on its own folds, with other labels or intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.attribution import Engine, explain
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.target import TargetLike
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StudyError, remarks
from voxplain.fit import (
    Outcome,
    Processes,
    find_groups,
    make_folds,
    measures,
    permutation_p,
)
from voxplain.fit.training.processes import helping
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.study.variation import with_scans
from voxplain.pipeline.fit.fitted import folds_of, held_out
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.training.own import OwnStudy
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort, Volume

__all__ = ["OwnMaps", "Trained", "explained", "learner_of", "options_of", "own_maps", "train_again"]

_SCANS = 40


@dataclass(frozen=True, eq=False)
class OwnMaps:
    """The mean map of each fold's held-out scans, for the target that most scans have.

    Parameters
    ----------
    target : str
    rows : mapping of int to list of int
        By fold, the scans whose maps were taken: those of this target, 40 at most.
    folds : mapping of int to array (X, Y, Z)
        Folds that held out no scan of this target are missing.
    """

    target: str
    rows: Mapping[int, list[int]]
    folds: Mapping[int, NDArray[np.float32]]


def own_maps(own: OwnStudy, method: str, most: int = _SCANS) -> OwnMaps:
    """Read the maps that a study holds, and average them fold by fold.

    Parameters
    ----------
    own : OwnStudy
    method : str
    most : int, default=40
        Scans of a fold.

    Returns
    -------
    OwnMaps

    Raises
    ------
    StudyError
        If there is no map.
    """
    place = own.folder
    study = Study(place, "voxplain study", __version__)
    study.require_whole_maps()
    found: dict[str, dict[int, list[tuple[int, Any]]]] = {}
    position = {subject: i for i, subject in enumerate(open_store(place / "cohort").subjects)}
    for subject, fold in held_out(study):
        for path, told, _ in study.maps_of(subject, method, own.network):
            held = found.setdefault(told, {}).setdefault(fold, [])
            if len(held) < most:
                held.append((position[subject], path))
    if not found:
        raise StudyError(
            f"{place} has no maps of {own.network} by {method}; run 'voxplain explain {place}' "
            f"with --method {method} first."
        )
    counts = {told: sum(map(len, folds.values())) for told, folds in found.items()}
    chosen = max(sorted(counts), key=lambda told: counts[told])
    means = {}
    for fold, held in sorted(found[chosen].items()):
        total = sum(study.load_map(path).values.astype(np.float64) for _, path in held)
        means[fold] = np.asarray(total / len(held), dtype=np.float32)
    rows = {fold: [row for row, _ in held] for fold, held in sorted(found[chosen].items())}
    return OwnMaps(chosen, rows, means)


@dataclass(frozen=True, eq=False)
class Trained:
    """The study's network trained again.

    Parameters
    ----------
    folds, scans : int
        How many folds were trained, and the scans that they held out.
    score : str
        ``accuracy`` or ``r``.
    value : float
        Of all held-out predictions together.
    p : float
        Of these against shuffled outcomes.
    maps : mapping of str to mapping of int to array (X, Y, Z)
        By method and fold, the mean map of the scans that `OwnMaps` is of, for its target.
    """

    folds: int
    scans: int
    score: str
    value: float
    p: float
    maps: Mapping[str, Mapping[int, NDArray[np.float32]]]


def train_again(
    own: OwnStudy,
    name: str,
    cohort: Cohort,
    outcome: Outcome,
    folds: int,
    maps: Mapping[str, OwnMaps],
    progress: Progress,
) -> Trained:
    """Train the study's network on its own first folds, with other scans or outcomes.

    Networks are kept in ``trust/<name>``, so that a rerun finds them.

    Parameters
    ----------
    own : OwnStudy
    name : str
        Of the sub-study.
    cohort : Cohort
        The study's scans, changed or not, in their order.
    outcome : Outcome
        What is to be told of each.
    folds : int
        How many of the study's folds are trained.
    maps : mapping of str to OwnMaps
        By method, the scans and the target that are explained.
    progress : Progress

    Returns
    -------
    Trained

    Raises
    ------
    VoxplainError
        If training or explaining fails.
    """
    made = folds_of(Study(own.folder, "voxplain study", __version__), cohort)[:folds]
    groups, _ = find_groups(cohort.participants, outcome, own.folds, own.group)
    learner = _learner(own, own.place(name), Setting(cohort, outcome, made, groups, own.seed))
    engine = Engine(device=own.device)
    given = options_of(own, tuple(maps), cohort)
    outputs, means = [], {name: dict[int, NDArray[np.float32]]() for name in maps}
    for fold in made:
        network, scale = learner.trained(fold, progress)
        outputs.append(learner.held_out(fold, progress))
        with engine.run() as shared, progress.step("Explaining them", len(maps)) as advance:
            for done, (method, asked) in enumerate(maps.items(), start=1):
                rows = asked.rows.get(fold.number, [])
                if rows:
                    told = explained(
                        own,
                        network,
                        Some(cohort, rows),
                        method,
                        _target(outcome, asked.target, scale),
                        given[method],
                        shared,
                    )
                    total = np.sum([one.values for one in told], axis=0, dtype=np.float64)
                    means[method][fold.number] = np.asarray(total / len(told), dtype=np.float32)
                advance(done)
    held_rows = np.concatenate([fold.test for fold in made])
    part = Outcome(outcome.name, outcome.values[held_rows], outcome.class_names)
    together = np.concatenate(outputs)
    main = "accuracy" if outcome.class_names else "r"
    held = None if groups is None else groups[held_rows]
    return Trained(
        folds=len(made),
        scans=len(held_rows),
        score=main,
        value=measures(part, together)[main],
        p=permutation_p(part, together, main, held, seed=own.seed),
        maps=means,
    )


def learner_of(
    own: OwnStudy,
    folder: Path,
    cohort: Cohort,
    outcome: Outcome,
    split: int,
    trained: int | None = None,
) -> Learner:
    """Make ready to train a study's network on folds of a sub-study.

    Parameters
    ----------
    own : OwnStudy
    folder : path
        Of the sub-study, where networks are kept.
    cohort : Cohort
        Of the sub-study.
    outcome : Outcome
    split : int
        Folds.
    trained : int, optional
        How many of them, the first ones, its setting has; all by default.
    """
    groups, _ = find_groups(cohort.participants, outcome, split, own.group)
    made = make_folds(outcome, split, 1, groups, own.seed)
    return _learner(own, folder, Setting(cohort, outcome, made[:trained], groups, own.seed))


def _learner(own: OwnStudy, folder: Path, setting: Setting) -> Learner:
    if helping():
        raise InputError("voxplain trust runs in one process; start it without torchrun.")
    study = Study(folder, "voxplain study", __version__)
    processes = Processes(device=Engine(device=own.device).resolve_device().type)
    learner = Learner(study, own.network, setting, own.schedule, processes)
    learner.describe()
    return learner


def options_of(own: OwnStudy, methods: Sequence[str], cohort: Cohort) -> dict[str, Any]:
    """Return the options of each method, with the scans that it learns from."""
    return with_scans({name: own.options.get(name, {}) for name in methods}, cohort)


def explained(
    own: OwnStudy,
    network: nn.Module,
    volumes: Sequence[Volume],
    method: str,
    target: TargetLike,
    given: Mapping[str, Any],
    engine: Engine,
    layer: str = "",
) -> list[AttributionMap]:
    """Explain scans of a sub-study; remarks on single maps, such as empty ones, are not told.

    Parameters
    ----------
    own : OwnStudy
        Its layer is taken where none is named.
    network : torch.nn.Module
    volumes : sequence of Volume
    method : str
    target : int or callable
    given : mapping
        Options of the method, see `options_of`.
    engine : Engine
    layer : str, optional
    """
    number = callable(target)
    with remarks():
        return explain(
            network,
            list(volumes),
            method,
            target,
            layer=layer or own.layer_of(method),
            output_unit=own.outcome if number else None,
            engine=engine,
            seed=own.seed,
            **given,
        )


def _target(outcome: Outcome, target: str, scale: tuple[float, float]) -> TargetLike:
    if outcome.class_names:
        return outcome.class_names.index(target)
    return Output(outcome.name, *scale)
