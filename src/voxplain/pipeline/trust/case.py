"""What a verdict is given on: a study that was fitted and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import METHODS, Engine
from voxplain.attribution.network.target import TargetLike
from voxplain.fit import Outcome
from voxplain.maps import AttributionMap
from voxplain.pipeline.fit.fitted import Fitted
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Case", "MethodMaps", "StudyMap"]


@dataclass(frozen=True)
class StudyMap:
    """A map that the study holds, and what its sidecar says.

    Parameters
    ----------
    row : int
        Position of its scan in the cohort.
    fold : int
        Index, in `Case.fits`, of the network that held the scan out.
    path : path
    sidecar : mapping
    """

    row: int
    fold: int
    path: Path
    sidecar: Mapping[str, Any]

    def load(self) -> AttributionMap:
        """Read it."""
        return AttributionMap.load(self.path)


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
    """

    method: str
    options: Mapping[str, Any]
    layer: str
    rule: int | str
    seed: int
    maps: tuple[StudyMap, ...]

    @property
    def label(self) -> str:
        """Name that is shown."""
        return METHODS[self.method].info.label if self.method in METHODS else self.method


@dataclass(frozen=True, eq=False)
class Case:
    """A study that was fitted and explained.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    network : str
        Name of the network.
    fits : sequence of Fitted
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
    """

    study: Study
    cohort: Cohort
    network: str
    fits: Sequence[Fitted]
    outcome: Outcome
    groups: NDArray[np.int64] | None
    outputs: NDArray[np.float64]
    fit: Mapping[str, Any]
    methods: Mapping[str, MethodMaps]
    engine: Engine
    seed: int = 0
    power: tuple[int, ...] = ()

    @property
    def fold_of(self) -> NDArray[np.int64]:
        """Index, in `fits`, of the network that held each scan out, array (N,)."""
        found = np.zeros(len(self.cohort), dtype=np.int64)
        for number, one in enumerate(self.fits):
            found[one.rows] = number
        return found

    def target(self, maps: MethodMaps, row: int) -> TargetLike:
        """Return the target of a scan, as its method's maps have it."""
        from voxplain.attribution.network.numbers import Output

        fitted = self.fits[int(self.fold_of[row])]
        if not fitted.class_names:
            return Output(fitted.outcome, *fitted.scale)
        if maps.rule == "own":
            return int(self.cohort.labels[row])
        return maps.rule
