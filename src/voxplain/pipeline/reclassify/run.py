"""What a network can still tell when a mask leaves it a part of the brain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.fit import Fold, Processes, find_groups, make_folds, outcome_of, predict
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.scores import score_model
from voxplain.pipeline.fit.setting import Setting, ceiling_of
from voxplain.pipeline.made import write_page
from voxplain.pipeline.reclassify.masks import Mask, MaskMaker
from voxplain.pipeline.reclassify.options import ReclassifyOptions
from voxplain.pipeline.reclassify.pictures import reclassify_pictures
from voxplain.pipeline.shards.alone import works_alone
from voxplain.pipeline.truth import Truth, read_truth
from voxplain.progress import Progress
from voxplain.report.pages.reclassify import reclassify_page
from voxplain.results.reclassify import JOINT, RANDOM, Condition, MaskOverlap, ReclassifyResult
from voxplain.results.scores import Judged
from voxplain.results.summary import reclassify_json
from voxplain.study import Study
from voxplain.trust.masks import Overlap, overlap
from voxplain.volume import Cohort

__all__ = ["ReclassifyOptions", "reclassify"]


@works_alone
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
    setting, said = _setting(options, progress)
    study = Study(options.out, "voxplain study", __version__)
    learner = _learner(options, setting, study)
    found = _Found(study, setting, read_truth(options.study))
    maker = MaskMaker(options, setting, progress)
    shared = None
    if options.leaky:
        everyone = Fold(1, 0, np.arange(len(setting.cohort)), np.arange(0))
        shared = maker.of_fold(learner.trained(everyone, progress)[0], everyone)
    for fold in setting.folds:
        network, _ = learner.trained(fold, progress)
        masks = shared or maker.of_fold(network, fold)
        found.take_masks(masks, "all" if shared else f"fold-{fold.number:02d}")
        found.take_outputs(_asked(options, learner, fold, masks, progress))
    result = _result(options, found, said, began)
    _write_page(study, setting, found, result)
    summary = study.read_json("summary.json") | {"reclassify": reclassify_json(result)}
    study.write_json("summary.json", summary)
    return result


def _setting(options: ReclassifyOptions, progress: Progress) -> tuple[Setting, str]:
    """Open the cohort and make its folds; say how scans were kept together."""
    cohort = open_store(options.study / "cohort")
    outcome = outcome_of(cohort)
    for name in (JOINT, RANDOM):
        if name in outcome.class_names:
            raise InputError(
                f"A class is called {name!r}, as one of the masks is; rename it in the labels."
            )
    groups, said = find_groups(cohort.participants, outcome, options.folds, options.group)
    folds = make_folds(outcome, options.folds, 1, groups, options.seed)
    progress.say(f"{outcome.counts()}. {said}")
    return Setting(cohort, outcome, folds, groups, options.seed), said


def _learner(options: ReclassifyOptions, setting: Setting, study: Study) -> Learner:
    """Find the networks of a fit, or a place of their own for those of other folds."""
    device = Engine(device=options.device).resolve_device().type
    processes = Processes(device=device)
    learner = Learner(study, options.network, setting, options.schedule, processes)
    learner.describe()
    if all(learner.has(fold) for fold in setting.folds):
        return learner
    # Folds of another number or schedule must not be written over those of a fit.
    return learner.on(setting.cohort, "whole-images")


@dataclass(frozen=True, eq=False)
class _Found:
    """What the folds gave so far."""

    study: Study
    setting: Setting
    truth: Truth | None
    outputs: dict[Condition, list[NDArray[np.float32]]] = field(default_factory=dict)
    means: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    overlaps: dict[str, list[Overlap]] = field(default_factory=dict)

    def take_masks(self, masks: Mapping[str, Mask], whose: str) -> None:
        """Write the masks of a fold, add to their means, and hold them against the truth."""
        for name, mask in masks.items():
            place = f"masks/{whose}_{name.replace('/', '-')}"
            self.study.write_volume(f"group/{place}", mask, self.setting.cohort.grid)
            self.means[name] = self.means.get(name, 0) + mask / len(self.setting.folds)
            if self.truth is not None:
                self.overlaps.setdefault(name, []).append(overlap(mask, self.truth.support))

    def take_outputs(self, given: Mapping[Condition, NDArray[np.float32]]) -> None:
        """Add the outputs for a fold's held-out scans."""
        for condition, outputs in given.items():
            self.outputs.setdefault(condition, []).append(outputs)

    def conditions(self) -> dict[Condition, Judged]:
        """Score every condition."""
        return {
            condition: score_model(self.setting, given) for condition, given in self.outputs.items()
        }

    def overlap(self) -> dict[str, MaskOverlap]:
        """Average the overlaps with the truth over the folds."""
        return {
            name: MaskOverlap(*np.mean(each, axis=0).tolist())
            for name, each in self.overlaps.items()
        }


def _result(options: ReclassifyOptions, found: _Found, said: str, began: float) -> ReclassifyResult:
    """Say what was asked, of whom, and what was found."""
    outcome, folds = found.setting.outcome, found.setting.folds
    conditions = found.conditions()
    return ReclassifyResult(
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
        conditions=conditions,
        overlap=found.overlap(),
        seconds=time.perf_counter() - began,
        versions={"voxplain": __version__, "torch": torch.__version__},
    )


def _write_page(study: Study, setting: Setting, found: _Found, result: ReclassifyResult) -> None:
    names = (JOINT, *setting.cohort.class_names)
    shown = {f"{name}\nmask": found.means[name] for name in names}
    truth = found.truth and found.truth.support
    pictures = reclassify_pictures(result, setting, shown, truth)
    write_page(study, "reclassify.html", reclassify_page(result, pictures))
    for name, picture in pictures.items():
        study.write_bytes(f"figures/reclassify-{name}.png", picture)


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
        joint = masks[JOINT]
        for condition, mask in (
            (Condition("inside", JOINT), joint),
            (Condition("outside", JOINT), 1 - joint),
            (Condition("inside", RANDOM), masks[RANDOM]),
        ):
            again = learner.on(_masked(whole, mask), condition.place.replace(" ", "-"))
            found[condition] = again.held_out(fold, progress)
    return found


def _masked(cohort: Cohort, mask: Mask) -> Cohort:
    load: Callable[[int], NDArray[np.float32]] = cohort.load
    return replace(cohort, load=lambda index: load(index) * mask)
