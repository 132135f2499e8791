"""Maps made again by the study's networks, with the options that the maps' sidecars tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import METHODS, explain, iter_explain
from voxplain.attribution.method import Method
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.target import TargetLike
from voxplain.attribution.run import prepare_method
from voxplain.errors import InputError
from voxplain.pipeline.explain.study.variation import options_again
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.case import Case, MethodMaps
from voxplain.pipeline.trust.together import members_of, together
from voxplain.volume import Volume

__all__ = ["Maker", "seconds_of"]


def seconds_of(maps: MethodMaps) -> float:
    """Tell how long a map of a method took, as their sidecars say."""
    return float(np.median([one.sidecar.get("Seconds", 0.0) for one in maps.maps] or [0.0]))


class Maker:
    """Makes maps of one method as `voxplain explain` made those of the study.

    Parameters
    ----------
    case : Case
    method : str

    Raises
    ------
    InputError
        If the sidecars do not tell enough to make the maps again.
    """

    def __init__(self, case: Case, method: str) -> None:
        self.case, self.maps = case, case.methods[method]
        if method not in METHODS and not method.startswith("captum:"):
            raise InputError(f"The method {method!r} is not one of this version of voxplain.")
        self.options = options_again(method, self.maps.options, case.cohort)
        precision = self.maps.maps[0].sidecar["request"].get("precision", "auto")
        self.engine = replace(case.engine, precision=precision)
        self._network = lru_cache(maxsize=2)(self._load)

    def _load(self, which: int) -> nn.Module:
        return together([one.load() for one in self.case.explainers[which].together])

    def network(self, which: int) -> nn.Module:
        """Return what made maps: the network of a fold, or several that answer as one."""
        return self._network(which)

    def of_scans(self, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Explain held-out scans by the networks that held each one out."""
        found: dict[int, NDArray[np.float32]] = {}
        by = self.case.explained_by
        for which in sorted({int(by[row]) for row in rows}):
            mine = [row for row in rows if by[row] == which]
            found |= dict(zip(mine, self._held_out(which, mine), strict=True))
        return found

    def _held_out(self, which: int, rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Explain some scans of a fold; a method that surveys the scans sees all of the fold."""
        networks = members_of(self.network(which))
        every = [m.row for m in self.maps.maps if m.fold == which]
        method: str | Method = self.maps.method
        options = self.options
        if make_method(method, options).surveys:
            targets = self._targets(every)
            method = prepare_method(
                networks,
                Some(self.case.cohort, every),
                make_method(method, options),
                targets,
                class_names=self._names,
                engine=self.engine,
                seed=self.maps.seed,
            )
            options = {}
        made = iter_explain(
            networks,
            Some(self.case.cohort, rows),
            method,
            self._targets(rows),
            layer=self.maps.layer,
            class_names=self._names,
            output_unit=self._unit,
            engine=self.engine,
            seed=self.maps.seed,
            **options,
        )
        return [one.values for one in made]

    def by(
        self,
        network: nn.Module,
        volume: Volume,
        row: int,
        target: TargetLike | None = None,
        layer: str | None = None,
    ) -> NDArray[np.float32]:
        """Explain a scan, or a changed copy of it, by any network.

        Parameters
        ----------
        network : torch.nn.Module
            Of several together, the mean of their maps is made.
        volume : Volume
        row : int
            Whose target is taken: a class that was predicted stays the target.
        target, layer : optional
            In place of the map's own.
        """
        wanted = self.settled(row) if target is None else target
        return explain(
            members_of(network),
            volume,
            self.maps.method,
            wanted,
            layer=layer or self.maps.layer,
            class_names=self._names,
            output_unit=self._unit,
            engine=self.engine,
            seed=self.maps.seed,
            **self.options,
        ).values

    def settled(self, row: int) -> TargetLike:
        """Return the target of a scan, the predicted class by its number."""
        target = self.case.target(self.maps, row)
        if target == "predicted":
            return int(np.argmax(self.case.outputs[row]))
        return target

    def _targets(self, rows: Sequence[int]) -> TargetLike:
        targets = [self.case.target(self.maps, row) for row in rows]
        first = targets[0]
        if callable(first) or first == "predicted":
            return first
        return [one for one in targets if isinstance(one, int | str)]

    @property
    def _names(self) -> tuple[str, ...] | None:
        return self.case.fits[0].class_names or None

    @property
    def _unit(self) -> str | None:
        unit: str | None = self.maps.maps[0].sidecar["request"].get("output_unit")
        return unit
