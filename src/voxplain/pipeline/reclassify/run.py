"""What a network can still tell when a mask leaves it a part of the brain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.attribution import Engine, iter_explain
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.fit import Fold, Processes, Schedule, find_groups, make_folds, outcome_of, predict
from voxplain.group import mean_map
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.scores import score_model
from voxplain.pipeline.fit.setting import Setting, ceiling_of
from voxplain.pipeline.reclassify.pictures import reclassify_pictures
from voxplain.pipeline.truth import read_truth
from voxplain.progress import Progress
from voxplain.report.html.render import render
from voxplain.report.pages.reclassify import reclassify_page
from voxplain.results.reclassify import (
    RANDOM,
    Condition,
    MaskMaking,
    MaskOverlap,
    ReclassifyResult,
)
from voxplain.results.summary import reclassify_json
from voxplain.study import Study
from voxplain.trust.localisation import strength
from voxplain.trust.masks import Overlap, hard_mask, overlap, random_score, soft_mask
from voxplain.volume import Cohort

__all__ = ["ReclassifyOptions", "reclassify"]

Mask = NDArray[np.float32]

_BRAIN = 0.05
_JOINT, _RANDOM = "joint", RANDOM


Outputs = dict[Condition, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class ReclassifyOptions:
    """How masks are made, and what is asked of them.

    Parameters
    ----------
    study, out : path
        With the cohort, and where results go.
    network : str
    method : str
        Whose maps make the masks.
    share : float
        Of the brain that a mask lets through.
    soft : bool
        Weights by rank instead of all or nothing; see `voxplain.trust.masks`.
    fwhm : float, mm
        By which mean maps are smoothed.
    explained : int
        Scans of each class whose maps make a fold's masks, drawn from its training part.
    retrain : bool
        Whether networks are also trained inside, outside, and inside a random mask.
    leaky : bool
        Whether masks come from one network trained on all scans, and all scans' maps, as published
        with the paper: test scans then have a say in the mask that they are judged through.
    folds, group, schedule, seed, device
        See `voxplain.pipeline.fit.run.FitOptions`.
    """

    study: Path
    out: Path
    network: str = "mrinet"
    method: str = "gradient"
    share: float = 0.1
    soft: bool = False
    fwhm: float = 8.0
    explained: int = 20
    retrain: bool = True
    leaky: bool = False
    folds: int = 10
    group: str = "auto"
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"--share must lie between 0 and 1; {self.share} was given.")
        if self.explained < 1:
            raise InputError(f"--explained must be 1 or more; {self.explained} was given.")
        if self.leaky and self.retrain:
            raise InputError(
                "The paper's masks know the held-out scans, so that training inside them says "
                "nothing; give --no-retrain with --paper."
            )

    def making(self) -> MaskMaking:
        """Return what masks depend on."""
        return MaskMaking(
            share=self.share,
            soft=self.soft,
            fwhm=self.fwhm,
            explained=self.explained,
            retrain=self.retrain,
            leaky=self.leaky,
            seed=self.seed,
        )


def reclassify(options: ReclassifyOptions, progress: Progress) -> ReclassifyResult:
    """Mask scans by where the evidence lies, and classify them again.

    In each fold a network is trained on whole images. Its maps of training scans, averaged by
    class, make a mask for each class and a joint one. Held-out scans are then classified from
    behind each mask by that network; and by networks trained inside the joint mask, outside it, and
    inside a random mask of the same size and smoothness. No mask has seen a held-out scan, unless
    `leaky` asks for it. On a phantom, masks are held against the truth. Writes the masks below
    ``group/``, the page ``reclassify.html`` with its figures, and ``summary.json`` last.

    Parameters
    ----------
    options : ReclassifyOptions
    progress : Progress

    Returns
    -------
    ReclassifyResult
        As the part ``reclassify`` of ``summary.json`` has it.

    Raises
    ------
    VoxplainError
        If the cohort, an option or the network cannot be used.
    """
    began = time.perf_counter()
    cohort = open_store(options.study / "cohort")
    outcome = outcome_of(cohort)
    for name in (_JOINT, _RANDOM):
        if name in outcome.class_names:
            raise InputError(
                f"A class is called {name!r}, as one of the masks is; rename it in the labels."
            )
    groups, said = find_groups(cohort.participants, outcome, options.folds, options.group)
    folds = make_folds(outcome, options.folds, 1, groups, options.seed)
    progress.say(f"{outcome.counts()}. {said}")
    setting = Setting(cohort, outcome, folds, groups, options.seed)
    study = Study(options.out, "voxplain study", __version__)
    device = Engine(device=options.device).resolve_device().type
    processes = Processes(device=device)
    learner = Learner(study, options.network, setting, options.schedule, processes)
    learner.describe()
    if not all(learner.has(fold) for fold in folds):
        # Folds of another number or schedule must not be written over those of a fit.
        learner = learner.on(cohort, "whole-images")
    maker = _Masks(options, setting, progress)
    shared = None
    if options.leaky:
        everyone = Fold(1, 0, np.arange(len(cohort)), np.arange(0))
        shared = maker.of_fold(learner.trained(everyone, progress)[0], everyone)
    outputs: Outputs = {}
    means: dict[str, NDArray[np.floating]] = {}
    truth, overlaps = read_truth(options.study), dict[str, list[Overlap]]()
    for fold in folds:
        network, _ = learner.trained(fold, progress)
        masks = shared or maker.of_fold(network, fold)
        for name, mask in masks.items():
            whose = "all" if shared else f"fold-{fold.number:02d}"
            place = f"masks/{whose}_{name.replace('/', '-')}"
            study.write_volume(f"group/{place}", mask, cohort.grid)
            means[name] = means.get(name, 0) + mask / len(folds)
            if truth is not None:
                overlaps.setdefault(name, []).append(overlap(mask, truth.support))
        for condition, given in _asked(options, learner, fold, masks, progress).items():
            outputs.setdefault(condition, []).append(given)
    result = ReclassifyResult(
        network=options.network,
        method=options.method,
        class_names=outcome.class_names,
        class_counts=tuple(np.bincount(outcome.strata).tolist()),
        ceiling=ceiling_of(options.study),
        scans=len(outcome),
        folds=len(folds),
        schedule=options.schedule.describe(),
        options={k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()},
        making=options.making(),
        grouping=said,
        conditions={condition: score_model(setting, given) for condition, given in outputs.items()},
        overlap={
            name: MaskOverlap(*np.mean(found, axis=0).tolist()) for name, found in overlaps.items()
        },
        seconds=time.perf_counter() - began,
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    shown = {f"{name}\nmask": means[name] for name in (_JOINT, *cohort.class_names)}
    pictures = reclassify_pictures(result, setting, shown, truth and truth.support)
    study.write_text("reclassify.html", render(reclassify_page(result, pictures)))
    for name, picture in pictures.items():
        study.write_bytes(f"figures/reclassify-{name}.png", picture)
    summary = study.read_json("summary.json") | {"reclassify": reclassify_json(result)}
    study.write_json("summary.json", summary)
    return result


def _asked(
    options: ReclassifyOptions,
    learner: Learner,
    fold: Fold,
    masks: Mapping[str, Mask],
    progress: Progress,
) -> dict[Condition, NDArray[np.float32]]:
    """Give the outputs for a fold's held-out scans under every condition."""
    network, _ = learner.trained(fold, progress)
    whole, device = learner.cohort, learner.device
    found = {Condition("whole"): predict(network, whole, fold.test, device=device)}
    for name, mask in masks.items():
        seen = _masked(whole, mask)
        found[Condition("whole", name)] = predict(network, seen, fold.test, device=device)
    if options.retrain:
        joint = masks[_JOINT]
        for condition, mask in (
            (Condition("inside", _JOINT), joint),
            (Condition("outside", _JOINT), 1 - joint),
            (Condition("inside", _RANDOM), masks[_RANDOM]),
        ):
            again = learner.on(_masked(whole, mask), condition.place.replace(" ", "-"))
            found[condition] = again.held_out(fold, progress)
    return found


def _masked(cohort: Cohort, mask: Mask) -> Cohort:
    load: Callable[[int], NDArray[np.float32]] = cohort.load
    return replace(cohort, load=lambda index: load(index) * mask)


class _Masks:
    """Makes the masks of a fold from maps of some of its training scans."""

    def __init__(self, options: ReclassifyOptions, setting: Setting, progress: Progress) -> None:
        self.options, self.setting, self.progress = options, setting, progress
        self.engine = Engine(device=options.device)

    def of_fold(self, network: nn.Module, fold: Fold) -> dict[str, Mask]:
        """Return masks by name: of each class, joint, and random."""
        options, cohort = self.options, self.setting.cohort
        brain = self._brain(fold)
        rng = np.random.default_rng([options.seed, fold.number])
        scores = {}
        for index, name in enumerate(cohort.class_names):
            members = fold.train[self.setting.outcome.values[fold.train] == index]
            chosen = rng.permutation(members)[: options.explained]
            words = f"Maps of {name}" + f", fold {fold.number}" * bool(fold.number)
            with self.progress.step(words, len(chosen)) as advance:
                maps = iter_explain(
                    network,
                    [cohort[int(i)] for i in sorted(chosen)],
                    options.method,
                    index,
                    engine=self.engine,
                    seed=options.seed,
                    on_progress=lambda done, _, advance=advance: advance(done),  # type: ignore[misc]
                )
                mean = mean_map(maps).values
            scores[name] = strength(mean, cohort.grid, options.fwhm)
        # Maps of a class have a scale of their own, which is not to decide whose voxels are joint.
        scores[_JOINT] = np.sum([s / max(float(s.max()), 1e-30) for s in scores.values()], axis=0)
        seed = int(rng.integers(2**31))
        scores[_RANDOM] = random_score(scores[_JOINT], cohort.grid, brain, seed)
        make = soft_mask if options.soft else hard_mask
        return {name: make(score, brain, options.share) for name, score in scores.items()}

    def _brain(self, fold: Fold) -> NDArray[np.bool_]:
        mean = np.abs(self.setting.cohort.mean(fold.train))
        return np.asarray(mean > _BRAIN * mean.max())
