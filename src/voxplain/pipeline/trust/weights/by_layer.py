"""Methods that look at a layer, layer by layer, where no truth is known: what deletion costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from voxplain.errors import VoxplainError
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.maps.networks import FAITHFULNESS
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.training.layers import layers_of, needs_layer
from voxplain.pipeline.trust.weights.asked import WeightsCase, explained_here
from voxplain.progress import Progress, Silent
from voxplain.results.trust import Measurement

__all__ = ["BY_LAYER"]

_SCANS = 3


def _looking(case: Case) -> list[str]:
    return [name for name in case.methods if needs_layer(name)]


def _plan(case: Case, seconds: float) -> Plan | str:
    looking = _looking(case)
    if not looking:
        return Plan()
    one = FAITHFULNESS.plan(case, 1e9)
    if isinstance(one, str):
        return one
    layers = len(layers_of(case.fits[0].load(), case.cohort.grid.shape))
    takes = one.seconds / one.size * _SCANS * layers * len(looking)
    if takes > seconds:
        return "The budget has no time for it."
    return Plan(1, takes, f"{layers} layers, {_SCANS} scans each")


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan
    if not isinstance(case, WeightsCase):
        raise TypeError("Layers are looked at without a truth for somebody's weights alone.")
    found = []
    layers = list(layers_of(case.fits[0].load(), case.cohort.grid.shape))
    looking = _looking(case)
    with progress.step("Layer by layer", max(1, len(layers) * len(looking))) as advance:
        for number, name in enumerate(looking):
            told, lost = [], dict[str, float | None]()
            for done, layer in enumerate(layers, start=1):
                p, words = _at(case, name, layer)
                lost[layer] = p
                told.append(f"at {layer} {words}")
                advance(number * len(layers) + done)
            label = case.methods[name].label
            said = (
                f"{label}, layer by layer, deletion against random maps as smooth: "
                f"{'; '.join(told)}."
            )
            found.append(Measurement("layers", name, None, said, figures=lost))
    return found


def _at(case: WeightsCase, method: str, layer: str) -> tuple[float | None, str]:
    """Measure what deletion costs by maps of one layer; the p, and words for it."""
    try:
        maps = explained_here(case, method, layer, _SCANS)
    except VoxplainError as error:
        return None, f"there is no map ({str(error).rstrip('.')})"
    settings = {"scans": {method: _SCANS}, "title": ""}
    there = replace(case, methods={method: maps})
    one = next(iter(FAITHFULNESS.run(there, Plan(settings=settings), Silent())))
    return one.value, "not told" if one.value is None else f"p = {one.value:.2g}"


def _reads(case: Case) -> Mapping[str, Any]:
    return FAITHFULNESS.reads(case)


BY_LAYER: Final = Test("layers", (), "Layer by layer", _run, _reads, _plan)
"""Judged by no rule: that of layers needs a planted effect, and so a training."""
