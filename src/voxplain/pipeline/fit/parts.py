"""``voxplain fit`` in parts: one training is a unit."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.cohort.store.reader import check_store
from voxplain.fit import Fold
from voxplain.fit.training.processes import joined
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.run import FitOptions, ready_learners, run_fit, setting_of
from voxplain.pipeline.shards.cluster import make_parts
from voxplain.pipeline.shards.manifest import BUSY, STORE, cohort_hashes, find_manifest, fixed_run
from voxplain.pipeline.shards.parts import Part, PartRecord, Workers
from voxplain.pipeline.shards.stopping import stoppable
from voxplain.progress import Progress, Silent
from voxplain.results.fit import FitResult
from voxplain.study import Study, StudyReader
from voxplain.study.locks import at_work

__all__ = ["fit_on_workers", "fit_part", "fit_study"]


def fit_study(options: FitOptions, progress: Progress) -> FitResult | None:
    """Train what no part has trained, and score all; see `run_fit`.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    VoxplainError
        As `run_fit`; and if others work in the study, or parts of this fit were made of another
        cohort.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Processes that train one network together are started, and ended, by their own launcher.
        return run_fit(options, progress)
    store, busy = options.study / STORE, BUSY.format(options.study)
    with at_work(store, together=False, busy=busy), stoppable() as stop:
        study = StudyReader(options.out)
        kept = find_manifest(study, _asked(options), None)
        if kept is not None:
            kept.require(cohort_hashes(StudyReader(options.study)), study)
        result = run_fit(options, progress, stop)
        if kept is not None:
            kept.join(Study(options.out, "voxplain study", __version__))
        return result


def fit_part(options: FitOptions, part: Part, progress: Progress, name: str | None = None) -> str:
    """Train a part of the networks of all folds, for `fit_study` to score.

    Parameters
    ----------
    options : FitOptions
    part : Part
    progress : Progress
    name : str, optional
        Of the run, as part 0 returns it; by default the one that was asked the same.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    VoxplainError
        As `run_fit`; and if the cohort was changed since the run was fixed.
    """
    store, busy = options.study / STORE, BUSY.format(options.study)
    with at_work(store, together=True, busy=busy), stoppable() as stop:
        setting, _ = setting_of(options, progress)
        study = Study(options.out, "voxplain study", __version__)
        found = cohort_hashes(StudyReader(options.study))
        manifest = fixed_run(study, "fit", _asked(options), found, name)
        device = Engine(device=options.device).resolve_device().type
        with joined(device) as processes:
            learners = ready_learners(options, study, setting, processes, stop)
            units = [
                (learner, fold)
                for learner, _ in learners
                for fold in [*setting.folds, *[None] * options.final]
            ]
            mine = part.cut(units)
            if part.number:
                if changed := check_store(options.study / "cohort"):
                    manifest.refuse(f"The image of {changed[0]}", study)
                record = PartRecord(study, manifest.name, part, len(mine))
                with record.kept():
                    for learner, fold in mine:
                        _train(learner, fold, progress)
                        record.done += 1
                        record.tell("running")
        return manifest.name


def fit_on_workers(options: FitOptions, workers: Workers, progress: Progress) -> FitResult | None:
    """Fit as `fit_study` does, with networks that workers train, each training a part.

    Raises
    ------
    VoxplainError
        As `fit_study` and `voxplain.pipeline.shards.cluster.make_parts`.
    """
    options = replace(options, study=options.study.absolute(), out=options.out.absolute())
    name = fit_part(options, Part(0, 1), progress)
    setting, _ = setting_of(options, Silent())
    units = len(options.networks) * (len(setting.folds) + options.final)
    make_parts(partial(_fit_one, options, name), units, workers, progress)
    return fit_study(options, progress)


def _fit_one(options: FitOptions, name: str, part: Part) -> None:
    fit_part(options, part, Silent(), name)


def _train(learner: Learner, fold: Fold | None, progress: Progress) -> None:
    if fold is None:
        learner.all_scans(progress)
    else:
        learner.trained(fold, progress)


def _asked(options: FitOptions) -> dict[str, Any]:
    """Return all that networks depend on and a user chose; scores are made at joining."""
    names = ("networks", "outcome", "folds", "repeats", "group", "schedule", "final", "seed")
    told = asdict(options)
    asked: dict[str, Any] = json.loads(json.dumps({name: told[name] for name in names}))
    return asked
