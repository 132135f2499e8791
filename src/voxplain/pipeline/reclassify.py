"""What a network can still tell when a mask leaves it a part of the brain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.cohort.store import open_store
from voxplain.errors import InputError
from voxplain.explain import Engine, iter_explain
from voxplain.fit import Fold, Processes, Schedule, find_groups, make_folds, outcome_of, predict
from voxplain.group import mean_map
from voxplain.pipeline.fold import Learner
from voxplain.pipeline.scores import score_model
from voxplain.pipeline.setting import Setting
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.trust.localisation import strength
from voxplain.trust.masks import hard_mask, random_score, soft_mask
from voxplain.volume import Cohort

__all__ = ["ReclassifyOptions", "reclassify"]

Mask = NDArray[np.float32]
Outputs = dict[str, list[NDArray[np.float32]]]

_BRAIN = 0.05
JOINT, RANDOM = "joint", "random"


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
        See `voxplain.pipeline.fit.FitOptions`.
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


def reclassify(options: ReclassifyOptions, progress: Progress) -> dict[str, Any]:
    """Mask scans by where the evidence lies, and classify them again.

    In each fold a network is trained on whole images. Its maps of training scans, averaged by
    class, make a mask for each class and a joint one. Held-out scans are then classified from
    behind each mask by that network; and by networks trained inside the joint mask, outside it, and
    inside a random mask of the same size and smoothness. No mask has seen a held-out scan, unless
    `leaky` asks for it.

    Parameters
    ----------
    options : ReclassifyOptions
    progress : Progress

    Returns
    -------
    dict
        The part ``reclassify`` of ``summary.json``.

    Raises
    ------
    VoxplainError
        If the cohort, an option or the network cannot be used.
    """
    began = time.perf_counter()
    cohort = open_store(options.study / "cohort")
    outcome = outcome_of(cohort)
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
    for fold in folds:
        network, _ = learner.trained(fold, progress)
        masks = shared or maker.of_fold(network, fold)
        for name, mask in masks.items():
            place = f"masks/{'all' if shared else f'fold-{fold.number:02d}'}_{name}"
            study.write_volume(f"group/{place}", mask, cohort.grid)
        for name, given in _asked(options, learner, fold, masks, progress).items():
            outputs.setdefault(name, []).append(given)
    result = {
        "network": options.network,
        "method": options.method,
        "class_names": list(outcome.class_names),
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()},
        "grouping": said,
        "conditions": {name: score_model(setting, given) for name, given in outputs.items()},
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("summary.json", study.read_json("summary.json") | {"reclassify": result})
    return result


def _asked(
    options: ReclassifyOptions,
    learner: Learner,
    fold: Fold,
    masks: Mapping[str, Mask],
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """Give the outputs for a fold's held-out scans under every condition."""
    network, _ = learner.trained(fold, progress)
    whole, device = learner.cohort, learner.device
    found = {"whole images": predict(network, whole, fold.test, device=device)}
    for name, mask in masks.items():
        seen = _masked(whole, mask)
        found[f"tested behind the {name} mask"] = predict(network, seen, fold.test, device=device)
    if options.retrain:
        joint = masks[JOINT]
        for words, mask in (
            ("trained and tested inside the joint mask", joint),
            ("trained and tested outside the joint mask", 1 - joint),
            ("trained and tested inside a random mask", masks[RANDOM]),
        ):
            again = learner.on(_masked(whole, mask), words.split(" tested ")[1].replace(" ", "-"))
            found[words] = again.held_out(fold, progress)
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
        scores[JOINT] = np.sum([s / max(float(s.max()), 1e-30) for s in scores.values()], axis=0)
        seed = int(rng.integers(2**31))
        scores[RANDOM] = random_score(scores[JOINT], cohort.grid, brain, seed)
        make = soft_mask if options.soft else hard_mask
        return {name: make(score, brain, options.share) for name, score in scores.items()}

    def _brain(self, fold: Fold) -> NDArray[np.bool_]:
        mean = np.abs(self.setting.cohort.mean(fold.train))
        return np.asarray(mean > _BRAIN * mean.max())
