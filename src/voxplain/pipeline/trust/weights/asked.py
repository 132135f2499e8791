"""Somebody's weights on a study's scans: asked, and opened for the tests that train nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.attribution import DEFAULT_METHOD, Engine, explain
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.target import TargetLike
from voxplain.errors import remarks
from voxplain.fit import Outcome
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import OutputRecord
from voxplain.pipeline.explain.scans.networks import Predicted, predict_scans, read_network_weights
from voxplain.pipeline.explain.study.variation import with_scans
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.case import Case, MethodMaps, StudyMap
from voxplain.pipeline.trust.training.own import kept
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Answers", "WeightsCase", "ask_weights", "engine_of", "explained_here", "open_weights"]

# Scans that are explained: as many as the test for confounds needs, and two more.
_SCANS, _FEWEST, _SHARE = 12, 2, 0.2


@dataclass(frozen=True, eq=False)
class Answers:
    """Networks of somebody's weights, and what they predict of a study's scans.

    Parameters
    ----------
    networks : list of torch.nn.Module
        In eval mode, one a file.
    said : OutputRecord
    predicted : Predicted
    """

    networks: list[nn.Module]
    said: OutputRecord
    predicted: Predicted

    @property
    def logits(self) -> NDArray[np.float64]:
        """Mean outputs, array (N, K); of a single logit, with the 0 of the other class."""
        found = np.array([one["logits"] for one in self.predicted.of_scans], dtype=np.float64)
        single = self.predicted.outputs.names and found.shape[1] == 1
        return np.hstack([np.zeros_like(found), found]) if single else found


def engine_of(options: ScanOptions) -> Engine:
    """Return the engine that was asked for."""
    return Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]


def ask_weights(options: ScanOptions, cohort: Cohort, progress: Progress) -> Answers:
    """Read weights, build their networks, and run them on all scans.

    Raises
    ------
    VoxplainError
        If the weights do not fit the network, or the network not the scans.
    """
    weights = read_network_weights(options, progress)
    scans = Some(cohort, range(len(cohort)))
    networks = weights.networks(options, scans[0], progress)
    with engine_of(options).run() as shared:
        predicted = predict_scans(options, weights.said, networks, scans, shared, progress)
    return Answers(networks, weights.said, predicted)


@dataclass(frozen=True, eq=False)
class _Given:
    """One network, as the tests ask a fitted one."""

    network: nn.Module
    outcome: str
    class_names: tuple[str, ...]
    rows: list[int] = field(default_factory=list)
    scale: tuple[float, float] = (0.0, 1.0)
    place: str = ""

    @property
    def together(self) -> tuple[_Given, ...]:
        """Return it alone."""
        return (self,)

    def load(self) -> nn.Module:
        """Return it."""
        return self.network


@dataclass(frozen=True)
class _Made(StudyMap):
    """A map that was made for the verdict, and lies in no study."""

    made: AttributionMap
    told: Mapping[str, Any]

    @property
    def sidecar(self) -> Mapping[str, Any]:
        """Return what is told of it."""
        return self.told

    def load(self) -> AttributionMap:
        """Return it."""
        return self.made


@dataclass(frozen=True, eq=False)
class WeightsCase(Case):
    """Somebody's networks on a study's scans.

    Parameters
    ----------
    number : callable
        From the outputs to the number that they are, where they tell no classes apart.
    """

    number: TargetLike = field(default_factory=Output)

    def target(self, maps: MethodMaps, row: int) -> TargetLike:
        """Return the class that is predicted, or the number."""
        del row
        return maps.rule if self.fits[0].class_names else self.number

    def maps_sha256(self, method: str) -> str:
        """Hash of a method's maps."""
        digest = hashlib.sha256()
        for one in self.methods[method].maps:
            digest.update(one.load().values.tobytes())
        return digest.hexdigest()


def open_weights(
    options: ScanOptions, cohort: Cohort, answers: Answers, seconds: float, progress: Progress
) -> WeightsCase:
    """Explain some scans of a study by somebody's weights, ready for the tests that train nothing.

    Parameters
    ----------
    options : ScanOptions
        `out` is the study.
    cohort : Cohort
    answers : Answers
    seconds : float
        That the verdict may take; a fifth of it goes into the maps.
    progress : Progress

    Raises
    ------
    VoxplainError
        If a method cannot explain the network.
    """
    outputs = answers.predicted.outputs
    known = bool(outputs.names)
    values = np.asarray(cohort.labels) if known else np.zeros(len(cohort))
    outcome = Outcome("label" if known else outputs.unit or "output", values, outputs.names)
    case = WeightsCase(
        study=Study(options.out, "voxplain study", __version__),
        cohort=cohort,
        network=options.network,
        fits=[_Given(one, outcome.name, outcome.class_names) for one in answers.networks],
        outcome=outcome,
        groups=None,
        outputs=answers.logits,
        fit={},
        methods={},
        engine=engine_of(options),
        seed=options.seed,
        number=outputs.each[0] if outputs.each else Output(),
    )
    names = options.methods or (DEFAULT_METHOD,)
    made, share = {}, _SHARE * seconds / len(names)
    with progress.step("Explaining some scans", len(names)) as advance:
        for done, name in enumerate(names, start=1):
            each = _seconds_of(case, name, options.layer)
            count = min(_SCANS, max(_FEWEST, int(share / max(each, 1e-6))))
            made[name] = explained_here(case, name, options.layer, count, each)
            advance(done)
    return replace(case, methods=made)


def explained_here(
    case: WeightsCase, method: str, layer: str, count: int, seconds: float = 0.0
) -> MethodMaps:
    """Explain some scans by a method, of each class about as many.

    Parameters
    ----------
    case : WeightsCase
    method : str
    layer : str
    count : int
        Scans.
    seconds : float, default=0.0
        That a map takes, where it is known.

    Returns
    -------
    MethodMaps
    """
    names = case.outcome.class_names
    options = with_scans({method: {}}, case.cohort)[method]
    unit = None if names else case.outcome.name

    rows = _mixed(case, count)
    with remarks():
        made = explain(
            case.fits[0].load(),
            list(Some(case.cohort, rows)),
            method,
            "predicted" if names else case.number,
            layer=layer,
            class_names=names or None,
            output_unit=unit,
            engine=case.engine,
            seed=case.seed,
            **options,
        )
    told = {
        "request": {"precision": case.engine.precision, "output_unit": unit},
        "Seconds": seconds,
    }
    maps = sorted(
        (
            _Made(row, 0, Path(), case.study, one, {**told, "Target": one.target})
            for row, one in zip(rows, made, strict=True)
        ),
        key=lambda one: one.row,
    )
    described: Mapping[str, Any] = describe_options(make_method(method, options))
    return MethodMaps(method, described, layer, "predicted", case.seed, tuple(maps))


def _seconds_of(case: WeightsCase, method: str, layer: str) -> float:
    """Measure what a map takes, once for all runs: how many are made follows from it."""

    def measured() -> dict[str, float]:
        began = time.perf_counter()
        explained_here(case, method, layer, _FEWEST)
        return {"seconds": (time.perf_counter() - began) / _FEWEST}

    asked = {"weights": case.weights_sha256[0], "method": method, "layer": layer}
    device = case.engine.resolve_device().type
    place = case.study.folder / "trust" / "timing"
    found = kept(place, f"weights-{method}-{device}.json", asked, measured)
    return float(found["seconds"])


def _mixed(case: Case, most: int) -> list[int]:
    """Draw scans by lot, of each class in turn."""
    labels = case.cohort.labels
    drawn = np.random.default_rng(case.seed).permutation(len(labels))
    order = sorted(drawn.tolist(), key=_turns(drawn, labels).__getitem__)
    return order[:most]


def _turns(drawn: NDArray[np.int64], labels: NDArray[np.int64]) -> Sequence[int]:
    """Say as how many-th of its class each scan was drawn."""
    turn, counts = np.zeros(len(labels), int), dict[int, int]()
    for row in drawn:
        label = int(labels[row])
        turn[row] = counts.get(label, 0)
        counts[label] = turn[row] + 1
    found: list[int] = turn.tolist()
    return found
