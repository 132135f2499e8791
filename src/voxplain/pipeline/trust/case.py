"""What a verdict is given on: a study that was fitted and explained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import METHODS, Engine, weights_sha256
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.target import TargetLike
from voxplain.fit import Fold, Outcome
from voxplain.maps import AttributionMap
from voxplain.pipeline.trust.confounding import Confounding, is_there
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Case", "Held", "MethodMaps", "StudyMap"]

_MOST_SCANS = 50


def _whose(networks: Sequence[Held], scans: int) -> NDArray[np.int64]:
    found = np.zeros(scans, dtype=np.int64)
    for number, one in enumerate(networks):
        found[one.rows] = number
    return found


def _hash(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# Of the spread of the margins between two classes: bfloat16 moves a margin by less.
_CLOSE, _LEAST_MARGIN = 0.1, 1e-3


@dataclass(frozen=True)
class StudyMap:
    """A map that the study holds, and what its sidecar says.

    Parameters
    ----------
    row : int
        Position of its scan in the cohort.
    fold : int
        Index, in `Case.explainers`, of the networks that held the scan out.
    path : path
    study : Study
    """

    row: int
    fold: int
    path: Path
    study: Study

    @property
    def sidecar(self) -> Mapping[str, Any]:
        """Read what is told of it."""
        name = self.path.relative_to(self.study.folder).as_posix()
        return self.study.read_json(name.removesuffix(".nii.gz") + ".json")

    def load(self) -> AttributionMap:
        """Read it."""
        return self.study.load_map(self.path)


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """The held-out maps of one method, and how they were made.

    Parameters
    ----------
    method : str
        Registry name.
    options : mapping
        As the request of the maps tells them, ready for `make_method`.
    layer : str
        As it was asked for.
    rule : int or str
        How targets were chosen: ``"predicted"``, ``"own"``, or a class.
    seed : int
    maps : tuple of StudyMap
        In the order of the cohort; not of every scan, where a sample was explained.
    strangers : tuple of StudyMap
        Maps of scans that the cohort does not have; their row is -1.
    """

    method: str
    options: Mapping[str, Any]
    layer: str
    rule: int | str
    seed: int
    maps: tuple[StudyMap, ...]
    strangers: tuple[StudyMap, ...] = ()

    @property
    def label(self) -> str:
        """Name that is shown."""
        return METHODS[self.method].info.label if self.method in METHODS else self.method


class Held(Protocol):
    """A trained network as the tests ask it: a `Fitted` of the study, or somebody's weights."""

    @property
    def outcome(self) -> str:
        """``label``, or a column of numbers."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty for numbers."""

    @property
    def scale(self) -> tuple[float, float]:
        """A number is the first plus so many times the second as the output says."""

    @property
    def rows(self) -> list[int]:
        """Positions of the scans that it has not seen, where they are known."""

    @property
    def place(self) -> str:
        """Its folder in the study; empty of somebody's weights."""

    @property
    def together(self) -> Sequence[Held]:
        """The network, and those whose maps of these scans are averaged with its own."""

    def load(self) -> nn.Module:
        """Return the network, in eval mode."""


@dataclass(frozen=True, eq=False)
class Case:
    """A study that was fitted and explained.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    network : str
        Name of the network.
    fits : sequence of Held
        The network of each fold of the first repeat; their rows are the scans that it held out.
    outcome : Outcome
        The truth that was to be predicted.
    groups : array (N,) or None
        Scans that must stay on one side of a split.
    outputs : array (N, K)
        Held-out predictions, in the order of the cohort.
    fit : mapping
        The part ``fit`` of ``summary.json``.
    methods : mapping of str to MethodMaps
    engine : Engine
    seed : int
    power : tuple of int
        Numbers of scans for the power curve; empty where none is asked for.
    ensembles : sequence of Held
        Where maps are means over networks of several repeats: for each set of scans that the same
        networks held out, these networks.
    """

    study: Study
    cohort: Cohort
    network: str
    fits: Sequence[Held]
    outcome: Outcome
    groups: NDArray[np.int64] | None
    outputs: NDArray[np.float64]
    fit: Mapping[str, Any]
    methods: Mapping[str, MethodMaps]
    engine: Engine
    seed: int = 0
    power: tuple[int, ...] = ()
    ensembles: Sequence[Held] = ()

    @property
    def explainers(self) -> Sequence[Held]:
        """The networks that made the maps."""
        return self.ensembles or self.fits

    @cached_property
    def explained_by(self) -> NDArray[np.int64]:
        """Index, in `explainers`, of the networks that held each scan out, array (N,)."""
        return _whose(self.explainers, len(self.cohort))

    @cached_property
    def fold_of(self) -> NDArray[np.int64]:
        """Index, in `fits`, of the network that held each scan out, array (N,)."""
        return _whose(self.fits, len(self.cohort))

    @cached_property
    def folds(self) -> list[Fold]:
        """Who trained each network, and who was held out; not who decided when to stop."""
        every = np.arange(len(self.cohort))
        return [
            Fold(1, number, np.setdiff1d(every, one.rows), np.sort(np.asarray(one.rows)))
            for number, one in enumerate(self.fits, start=1)
        ]

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """Where most scans have a brain, array (X, Y, Z): a scan differs there from its background.

        Of a cohort of whole heads it is the head.
        """
        rows = self.sample(len(self.cohort), _MOST_SCANS)
        there = np.zeros(self.cohort.grid.shape)
        for row in rows:
            there += is_there(self.cohort.load(row))
        return there > len(rows) / 2

    @cached_property
    def confounding(self) -> Confounding:
        """Head size, age and site."""
        asked = (self.fit.get("options") or {}).get("confounds") or ()
        return Confounding(self.cohort, self.outcome, tuple(asked))

    @cached_property
    def predictions_sha256(self) -> str:
        """Hash of the held-out outputs, the truth and the folds."""
        return _hash(self.outputs, self.outcome.values, self.fold_of)

    @cached_property
    def table_sha256(self) -> str:
        """Hash of the participants' table."""
        return hashlib.sha256(self.cohort.participants.to_csv().encode()).hexdigest()

    @cached_property
    def scans_sha256(self) -> str:
        """Hash of all scans."""
        digest = hashlib.sha256()
        for one in self.cohort:
            digest.update(one.values.tobytes())
        return digest.hexdigest()

    @cached_property
    def weights_sha256(self) -> tuple[str, ...]:
        """Hash of the weights of each network, or set of networks, that made maps."""
        return tuple(
            ", ".join(weights_sha256(member.load()) for member in one.together)
            for one in self.explainers
        )

    def maps_sha256(self, method: str) -> str:
        """Hash of a method's maps and of what their sidecars say."""
        digest = hashlib.sha256()
        maps = self.methods[method]
        for one in (*maps.maps, *maps.strangers):
            place = str(one.path.relative_to(self.study.folder))
            digest.update(self.study.read_bytes(place) or b"")
            digest.update(repr(sorted(one.sidecar["request"].items())).encode())
        return digest.hexdigest()

    def sample(self, of: int, most: int) -> list[int]:
        """Draw some of a number of things by lot, in their order."""
        drawn = np.random.default_rng(self.seed).permutation(of)[:most]
        return sorted(drawn.tolist())

    def sure(self, row: int) -> bool:
        """Whether a network's prediction for a scan is beyond what rounding could turn over."""
        if self.outputs.shape[1] < 2:
            return True
        first, second = np.sort(self.outputs, axis=1)[:, :-3:-1].T
        margins = first - second
        return bool(margins[row] > max(_LEAST_MARGIN, _CLOSE * float(margins.std())))

    def target(self, maps: MethodMaps, row: int) -> TargetLike:
        """Return the target of a scan, as its method's maps have it."""
        fitted = self.fits[int(self.fold_of[row])]
        if not fitted.class_names:
            return Output(fitted.outcome, *fitted.scale)
        if maps.rule == "own":
            return int(self.cohort.labels[row])
        return maps.rule
