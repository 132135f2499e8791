"""What a test that trains takes, and which of it fits into the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter
from typing import Final

import numpy as np

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.attribution.network.numbers import Output
from voxplain.cohort.store.reader import open_store
from voxplain.fit import Processes, find_groups, make_folds, outcome_of
from voxplain.pipeline.fit.kept import TrainingRecord
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.places import place_of
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.trust.training.own import OwnStudy, kept
from voxplain.pipeline.trust.training.trainings import explained, options_of
from voxplain.progress import Silent
from voxplain.study import Study, StudyReader

__all__ = [
    "MOST_FOLDS",
    "Costs",
    "SpikeSize",
    "choose_spike",
    "read_costs",
    "share_of",
    "smallest_spike",
    "split_numbers",
]

MOST_FOLDS: Final = 5
"""Of trainings on a planted effect, however many the study's own fit has."""

# Of so few predictions, shuffled labels are often as right as a network of a usual accuracy.
_HELD_OUT = 20
# An effect that the network does not learn is followed by one of twice the d'.
_MORE = 2
_PLACE = "timing"
_LOOKED_AT = 10
# Seconds to judge a mean map of a million voxels, bootstrap and random maps included.
_JUDGING = 60.0


@dataclass(frozen=True)
class Costs:
    """What one training and one explanation of a study take here.

    Parameters
    ----------
    training : float, seconds
        Of the network of one fold, on all scans but those held out.
    explaining : float, seconds
        Of one scan by all methods together.
    judging : float, seconds
        Of the mean maps of all methods.
    scans, folds : int
        Of the study's fit.
    source : str
        Where they are from: ``"the study's own fit"`` or ``"a short trial"``.
    """

    training: float
    explaining: float
    judging: float
    scans: int
    folds: int
    source: str

    def of(self, folds: int, scans: int | None = None, explained: float = 1.0) -> float:
        """Foretell the seconds of training all of some folds.

        Parameters
        ----------
        folds : int
        scans : int, optional
            In all; the study's by default.
        explained : float, default=1.0
            Share of the scans that are explained.
        """
        scans = scans or self.scans
        learnt = (1 - 1 / folds) / (1 - 1 / self.folds) * scans / self.scans
        return folds * self.training * learnt + explained * scans * self.explaining + self.judging

    def of_spike(self, size: SpikeSize) -> float:
        """Foretell the seconds of a spike-in, which explains the half that has the effect."""
        whole = self.of(size.split, explained=0.5) - self.judging
        in_vain = size.first / size.split * (self.of(size.split, explained=0) - self.judging)
        return size.regions * (whole * size.folds / size.split + self.judging) + in_vain

    def of_own_folds(self, folds: int) -> float:
        """Foretell the seconds of training some of the study's own folds again."""
        return folds * (self.training + self.scans / self.folds * self.explaining) + self.judging


def read_costs(own: OwnStudy) -> Costs:
    """Read what the study's own fit and maps took, or measure it by a short trial.

    The study's own times hold where it was fitted on the kind of device that is used now, and has
    maps of all methods; otherwise one epoch of one fold is trained, and two scans are explained.

    Parameters
    ----------
    own : OwnStudy

    Returns
    -------
    Costs
    """
    study = Study(own.folder, "voxplain study", __version__)
    fit, cohort = study.read_json("summary.json")["fit"], open_store(own.folder / "cohort")
    device = Engine(device=own.device).resolve_device().type
    trained = float(fit["models"][own.network].get("training_seconds") or 0.0)
    parts = int(fit["folds"]) * int(fit.get("repeats", 1)) + bool(fit["options"].get("final"))
    training, explaining = trained / parts, _seconds_of_maps(own, study, cohort.subjects)
    source = "the study's own fit"
    if not (training and explaining and _device_of_fit(own) in (device, "")):
        request = own.request(device=device)
        told = kept(own.place(_PLACE), f"{device}.json", request, lambda: _measured(own))
        training, explaining = float(told["training"]), float(told["explaining"])
        source = "a short trial"
    voxels = float(np.prod(cohort.grid.shape))
    return Costs(
        training=training,
        explaining=explaining,
        judging=len(own.methods) * _JUDGING * voxels / 1e6,
        scans=int(fit["scans"]),
        folds=own.folds,
        source=source,
    )


def _seconds_of_maps(own: OwnStudy, study: Study, subjects: Sequence[str]) -> float | None:
    """Add up what a map of each method typically took; None where a method has no map."""
    total = 0.0
    for name in own.methods:
        each = [
            seconds
            for subject in subjects[:_LOOKED_AT]
            for _, _, seconds in study.maps_of(subject, name, own.network)
        ]
        if not each:
            return None
        # The first map of a run takes longer than the others.
        total += float(np.median(each))
    return total


def _device_of_fit(own: OwnStudy) -> str:
    told = TrainingRecord.read(StudyReader(own.folder), place_of(own.network, (1, 1)))
    return "" if told is None else str(told.request.get("device", ""))


def _measured(own: OwnStudy) -> dict[str, float]:
    """Train one epoch of one fold, and explain one scan by every method, twice."""
    cohort = open_store(own.folder / "cohort")
    outcome = outcome_of(cohort, own.outcome)
    groups, _ = find_groups(cohort.participants, outcome, own.folds, own.group)
    fold = make_folds(outcome, own.folds, 1, groups, own.seed)[0]
    engine = Engine(device=own.device)
    processes = Processes(device=engine.resolve_device().type)
    once = replace(own.schedule, epochs=1, patience=None)
    study = Study(own.place(_PLACE), "voxplain study", __version__)
    setting = Setting(cohort, outcome, [fold], groups, own.seed)
    learner = Learner(study, own.network, setting, once, processes)
    network, _ = learner.trained(fold, Silent())
    given = options_of(own, own.methods, cohort)
    spent = 0.0
    for name in own.methods:
        began = perf_counter()
        with engine.run() as shared:
            target = 0 if outcome.class_names else Output(outcome.name)
            explained(own, network, [cohort[0], cohort[1]], name, target, given[name], shared)
        spent += (perf_counter() - began) / 2
    return {"training": learner.seconds * own.schedule.epochs, "explaining": spent}


@dataclass(frozen=True)
class SpikeSize:
    """How much of a spike-in is done.

    Parameters
    ----------
    regions : int
        With an effect, in turn.
    split : int
        Folds that the scans are split into: the study's own number, five at most. It is the same
        of every size, so that what a smaller spike-in has trained is part of a larger one.
    folds : int
        Of these, how many are trained.
    first : int
        How many of them are trained before the others: where these give no hope that the effect is
        learned, another is planted, and nothing is explained.
    """

    regions: int
    split: int
    folds: int
    first: int = 1

    @property
    def tries(self) -> int:
        """Effects that may be planted in all, as some may not be learned."""
        return self.regions + _MORE


def choose_spike(costs: Costs, regions: int, aim: float, most: float) -> SpikeSize | None:
    """Choose the largest spike-in that fits: fewer regions first, then fewer folds.

    Parameters
    ----------
    costs : Costs
    regions : int
        At most.
    aim : float, seconds
        That it should keep to.
    most : float, seconds
        That the smallest may take where nothing fits into `aim`.

    Returns
    -------
    SpikeSize or None
        None where not even one region fits with as many folds as hold out 20 scans.
    """
    split = min(costs.folds, MOST_FOLDS)
    smallest = smallest_spike(costs)
    sizes = [replace(smallest, regions=n, folds=split) for n in range(regions, 0, -1)]
    sizes += [replace(smallest, folds=n) for n in range(split - 1, smallest.folds - 1, -1)]
    fit = next((one for one in sizes if costs.of_spike(one) <= aim), None)
    return fit or (smallest if costs.of_spike(smallest) <= most else None)


def smallest_spike(costs: Costs) -> SpikeSize:
    """Return the smallest spike-in that can tell anything."""
    split = min(costs.folds, MOST_FOLDS)
    first = min(split, ceil(_HELD_OUT * split / costs.scans))
    return SpikeSize(1, split, first, first)


def share_of(seconds: float, later: int) -> float:
    """Give a test its share of the time that is left, when others come after it.

    Parameters
    ----------
    seconds : float
        That are left.
    later : int
        Tests that train and come after this one.

    Returns
    -------
    float, seconds
        Twice as much as each of those, as what they leave over is not lost.
    """
    return seconds * 2 / (2 + later)


def split_numbers(
    costs: Costs, numbers: Sequence[int], folds: int, seconds: float
) -> tuple[list[int], list[int]]:
    """Choose the numbers of scans of a power curve that fit, the small ones first.

    Parameters
    ----------
    costs : Costs
    numbers : sequence of int
    folds : int
    seconds : float

    Returns
    -------
    done, left_out : list of int
    """
    done: list[int] = []
    for number in sorted(set(numbers)):
        seconds -= costs.of(folds, number, explained=0.5)
        if seconds < 0:
            break
        done.append(number)
    return done, [number for number in sorted(set(numbers)) if number not in done]
