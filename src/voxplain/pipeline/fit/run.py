"""Cross-validate networks and baselines on a study's cohort, on the same folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.cohort.store.reader import open_store
from voxplain.errors import NetworkError, StoppedError, VoxplainError
from voxplain.fit import Fold, Schedule, find_groups, make_folds, outcome_of
from voxplain.fit.confounds import confound_columns
from voxplain.fit.training.processes import Processes, helping, joined
from voxplain.pipeline.fit.baselines import (
    Baselines,
    confound_scores,
    features_of,
    table_baselines,
    voxel_baselines,
)
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.pictures import fit_pictures
from voxplain.pipeline.fit.places import FOLDS, file_part
from voxplain.pipeline.fit.scores import predictions_table, score_model
from voxplain.pipeline.fit.setting import Setting, ceiling_of
from voxplain.pipeline.made import write_page
from voxplain.progress import Progress, Silent
from voxplain.report.pages.fit import fit_page
from voxplain.results.fit import FitResult, ModelResult, TrainedNetwork
from voxplain.results.summary import fit_json
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["FitOptions", "ready_learners", "run_fit", "setting_of"]

Outputs = Sequence[NDArray[np.floating]]


@dataclass(frozen=True)
class FitOptions:
    """What is trained, and how it is judged.

    Parameters
    ----------
    study : path
        With the cohort that `voxplain cohort` made.
    out : path
        The study that is written to; the same one, or another.
    networks : tuple of str
        Names of `voxplain.nets.NETWORKS`, or ``package.module:function``.
    outcome : str
        ``label``, or a column of numbers such as age.
    folds : int
        0 leaves one scan, or one group, out at a time.
    repeats : int
    group : str
        See `voxplain.fit.find_groups`.
    schedule : Schedule
    final : bool
        Whether a network is trained on all scans as well, to be used on others.
    baselines : bool
        Whether linear and kernel models are fitted on the voxels.
    table : path, optional
        Of measures, such as FreeSurfer's, for models on these.
    confounds : tuple of str
        Columns of the participants' table; brain volume, age and site by default.
    seed : int
    device : str
    replace : bool
        Whether networks that were trained with other options are trained anew.
    """

    study: Path
    out: Path
    networks: tuple[str, ...] = ("mrinet",)
    outcome: str = "label"
    folds: int = 10
    repeats: int = 1
    group: str = "auto"
    schedule: Schedule = field(default_factory=Schedule)
    final: bool = True
    baselines: bool = True
    table: Path | None = None
    confounds: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    replace: bool = False


def run_fit(
    options: FitOptions, progress: Progress, between: Callable[[], None] = lambda: None
) -> FitResult | None:
    """Train and score every network on every fold.

    Writes below ``options.out`` the folds (``model/folds.tsv``), for each network its weights,
    losses and held-out predictions a fold (``model/<network>/``), and ``summary.json`` last. What
    an earlier run with the same options has finished is kept, and a fold that was cut short goes
    on from its last whole epoch. A network that fails while it is trained leaves the others: it is
    named, with the reason, in ``failed``.

    Parameters
    ----------
    options : FitOptions
    progress : Progress
    between : callable
        Called after every epoch and every training; what it raises ends the work.

    Returns
    -------
    FitResult or None
        As the part ``fit`` of ``summary.json`` has it; None in a process that helps another.

    Raises
    ------
    VoxplainError
        If the cohort, an option or a network cannot be used, or training failed for all networks.
    """
    began = time.perf_counter()
    progress = Silent() if helping() else progress
    study = Study(options.out, "voxplain study", __version__)
    setting, said = setting_of(options, progress)
    outcome, folds = setting.outcome, setting.folds
    columns = confound_columns(setting.cohort.participants, outcome, options.confounds)
    features = None if options.table is None else features_of(options.table, setting)
    every, trained, failed = _trained(options, study, setting, progress, between)
    if helping():
        return None
    models = {
        name: ModelResult(name, score_model(setting, every[name]), network)
        for name, network in trained.items()
    }
    voxels = voxel_baselines(setting, progress) if options.baselines else Baselines({})
    measures = table_baselines(features, setting, progress) if features else Baselines({})
    for baselines in (voxels, measures):
        for name, given in baselines.outputs.items():
            every[name] = given
            models[name] = ModelResult(name, score_model(setting, given, name in baselines.likely))
        for note in baselines.notes:
            progress.say(note)
    result = FitResult(
        outcome=options.outcome,
        class_names=outcome.class_names,
        class_counts=tuple(np.bincount(outcome.strata).tolist()) if outcome.class_names else (),
        ceiling=ceiling_of(options.study) if options.outcome == "label" else None,
        scans=len(outcome),
        folds=len(folds) // options.repeats,
        repeats=options.repeats,
        grouping=said,
        schedule=options.schedule.describe(),
        options={k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()},
        models=models,
        confounds=confound_scores(setting, columns, every, voxels.products) if columns else None,
        importances=measures.importances,
        failed=failed,
        seconds=time.perf_counter() - began,
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    pictures = fit_pictures(result, setting, {n: every[n] for n in trained})
    write_page(study, "fit.html", fit_page(result, pictures))
    for name, picture in pictures.items():
        study.write_bytes(f"figures/fit-{file_part(name)}.png", picture)
    summary = study.read_json("summary.json") | {"fit": fit_json(result)}
    study.write_json("summary.json", summary)
    return result


def setting_of(options: FitOptions, progress: Progress) -> tuple[Setting, str]:
    """Open the cohort and split it; also say what stays together."""
    cohort = open_store(options.study / "cohort")
    outcome = outcome_of(cohort, options.outcome)
    groups, said = find_groups(cohort.participants, outcome, options.folds, options.group)
    units = len(cohort) if groups is None else len(np.unique(groups))
    folds = make_folds(outcome, options.folds or units, options.repeats, groups, options.seed)
    progress.say(f"{outcome.counts()}. {said}")
    if not options.folds and outcome.class_names:
        progress.say(
            "With one scan left out its class is the rarer one in training, so that a model that "
            "knows nothing is right less often than by chance."
        )
    return Setting(cohort, outcome, folds, groups, options.seed), said


def _trained(
    options: FitOptions,
    study: Study,
    setting: Setting,
    progress: Progress,
    between: Callable[[], None],
) -> tuple[dict[str, Outputs], dict[str, TrainedNetwork], dict[str, str]]:
    """Train every network on every fold.

    Returns outputs for held-out scans, what each network is, and why others failed.
    """
    outputs: dict[str, Outputs] = {}
    trained: dict[str, TrainedNetwork] = {}
    failed: dict[str, str] = {}
    device = Engine(device=options.device).resolve_device().type
    with joined(device) as processes:
        learners = ready_learners(options, study, setting, processes, between)
        for learner, (kind, parameters) in learners:
            try:
                made = [learner.held_out(fold, progress) for fold in setting.folds]
                if options.final:
                    learner.all_scans(progress)
            except StoppedError:
                raise
            except VoxplainError as error:
                # Processes that train together would wait for each other for ever.
                if len(learners) == 1 or processes.count > 1:
                    raise
                failed[learner.name] = str(error)
                progress.say(f"{learner.name} failed, and is left out: {error}")
                continue
            outputs[learner.name] = made
            found = learner.arithmetic
            trained[learner.name] = TrainedNetwork(
                kind,
                parameters,
                learner.seconds,
                found.to_dict() if found else None,
                found.describe() if found else "",
            )
            if processes.first:
                table = predictions_table(setting.cohort, setting.outcome, setting.folds, made)
                study.write_text(f"{learner.folder}/predictions.tsv", table)
    if not trained:
        reasons = " ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise NetworkError(f"No network could be trained. {reasons}")
    return outputs, trained, failed


def ready_learners(
    options: FitOptions,
    study: Study,
    setting: Setting,
    processes: Processes,
    between: Callable[[], None] = lambda: None,
) -> list[tuple[Learner, tuple[str, int]]]:
    """Make what trains each network, find all that can be wrong, and write the folds.

    Returns
    -------
    list of (Learner, (str, int))
        Each with the class of its network and the number of its parameters.

    Raises
    ------
    VoxplainError
        Before hours of training.
    """
    learners = [
        Learner(study, name, setting, options.schedule, processes, between=between)
        for name in options.networks
    ]
    described = [learner.describe() for learner in learners]
    if not options.replace:
        for learner in learners:
            learner.refuse_others(setting.folds)
    study.write_text(FOLDS, _folds_table(setting.cohort, setting.folds))
    return list(zip(learners, described, strict=True))


def _folds_table(cohort: Cohort, folds: Sequence[Fold]) -> str:
    lines = ["scan\trepeat\tfold"]
    for fold in folds:
        lines += [f"sub-{cohort.subjects[i]}\t{fold.repeat}\t{fold.number}" for i in fold.test]
    return "\n".join(lines) + "\n"
