"""The tests that train: declared, and planned within the time that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from voxplain.errors import StudyError
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.training.budget import (
    MOST_FOLDS,
    Costs,
    SpikeSize,
    choose_spike,
    read_costs,
    share_of,
    smallest_spike,
    split_numbers,
)
from voxplain.pipeline.trust.training.encoding import encoding_test
from voxplain.pipeline.trust.training.layers import layer_sweep, needs_layer
from voxplain.pipeline.trust.training.measured import (
    encoding_measurements,
    layer_measurement,
    null_measurements,
    power_measurement,
    spike_measurements,
)
from voxplain.pipeline.trust.training.null import null_test
from voxplain.pipeline.trust.training.own import OwnStudy, read_own_study
from voxplain.pipeline.trust.training.planted import Planted, find_planted
from voxplain.pipeline.trust.training.power import power_curve
from voxplain.pipeline.trust.training.spike import spike_in
from voxplain.progress import Progress
from voxplain.report.words.numbers import duration
from voxplain.results.trust import Measurement

__all__ = ["RETRAINED", "SPIKE_IN", "own_of"]

_MOST_REGIONS = 3
_NULL_FOLDS = 3
_HALF = 0.5


def own_of(case: Case) -> OwnStudy:
    """Say how a study was trained and explained, from what was opened of it."""
    own = read_own_study(
        case.study.folder, case.network, tuple(case.methods), device=case.engine.device
    )
    return replace(
        own,
        layers={name: maps.layer for name, maps in case.methods.items()},
        options={
            name: {k: v for k, v in maps.options.items() if k != "scans"}
            for name, maps in case.methods.items()
        },
    )


def _reads(case: Case) -> Mapping[str, Any]:
    return own_of(case).request(folds=len(case.fits), device=case.engine.device)


def _too_long(costs: Costs, least: float, left: float) -> str:
    return (
        f"needs {duration(least)} or more, and {duration(left)} of the budget was left (by "
        f"{costs.source}, a training takes {duration(costs.training)}); give a larger --budget"
    )


def _trainings(count: int) -> str:
    return f"{count} training{'s' * (count != 1)}"


def _plan_spike(case: Case, seconds: float) -> Plan | str:
    costs = read_costs(own_of(case))
    size = choose_spike(costs, _MOST_REGIONS, share_of(seconds, 2 + bool(case.power)), seconds)
    if size is None:
        return _too_long(costs, costs.of_spike(smallest_spike(costs)), seconds)
    words = f"{_trainings(size.regions * size.folds)} on {costs.scans} scans with a planted effect"
    if size.folds < size.split:
        words += f", {size.folds} of {size.split} folds"
    return Plan(
        size=size.regions * 100 + size.folds,
        seconds=costs.of_spike(size),
        words=words,
        settings=asdict(size),
    )


def _run_spike(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    found = spike_in(own_of(case), progress, SpikeSize(**(plan.settings or {})))
    return spike_measurements(found, tuple(case.methods))


def _plan_null(case: Case, seconds: float) -> Plan | str:
    return _plan_own_folds(case, seconds, 1 + bool(case.power), "shuffled labels")


def _plan_own_folds(case: Case, seconds: float, later: int, words: str) -> Plan | str:
    """Plan a training of as many of the study's own folds as fit, three at least."""
    costs = read_costs(own_of(case))
    most = len(case.fits)
    if most < _NULL_FOLDS:
        return (
            f"needs {_NULL_FOLDS} networks to be compared with each other, and the study has "
            f"{most}; run 'voxplain fit' with --cv {_NULL_FOLDS} or more"
        )
    folds = [n for n in (most, 5, 4, _NULL_FOLDS) if n <= most]
    share = share_of(seconds, later)
    fit = next((n for n in folds if costs.of_own_folds(n) <= share), None)
    fit = fit or next((n for n in folds[-1:] if costs.of_own_folds(n) <= seconds), None)
    if fit is None:
        return _too_long(costs, costs.of_own_folds(_NULL_FOLDS), seconds)
    return Plan(
        size=fit,
        seconds=costs.of_own_folds(fit),
        words=f"{_trainings(fit)} on {words}",
        settings={"folds": fit},
    )


def _run_null(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    return null_measurements(null_test(own_of(case), progress, (plan.settings or {}).get("folds")))


def _plan_encoding(case: Case, seconds: float) -> Plan | str:
    return _plan_own_folds(case, seconds, bool(case.power), "inverted intensities")


def _run_encoding(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    folds = (plan.settings or {}).get("folds")
    return encoding_measurements(encoding_test(own_of(case), progress, folds))


def _planted(case: Case) -> Planted:
    """Return the first planted effect that was learned, or the first; nothing is trained.

    Raises
    ------
    StudyError
        If it is not there.
    """
    own, there = own_of(case), list[Planted]()
    while (one := find_planted(own, len(there) + 1)) is not None:
        there.append(one)
    if not there:
        raise StudyError("It needs the networks of the spike-in, which was not tested.")
    return next((one for one in there if one.trial.learned), there[0])


def _plan_layers(case: Case, seconds: float) -> Plan | str:
    costs, looking = read_costs(own_of(case)), [n for n in case.methods if needs_layer(n)]
    if not looking:
        return Plan()
    each = 20 * costs.explaining / len(case.methods) * len(looking) * 8
    takes = each + costs.judging
    if takes > seconds:
        return _too_long(costs, takes, seconds)
    return Plan(size=1, seconds=takes, words="20 scans, layer by layer; no training")


def _run_layers(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    looking = [name for name in case.methods if needs_layer(name)]
    if not looking:
        return []
    planted = _planted(case)
    if not planted.trial.learned:
        why = "The network does not learn the planted effect."
        return [Measurement("layer", name, None, why) for name in looking]
    found = layer_sweep(own_of(case), planted, progress)
    return [layer_measurement(name, one) for name, one in found.items()]


def _plan_power(case: Case, seconds: float) -> Plan | str:
    if not case.power:
        return "not asked for; give --power 50,100,200"
    costs = read_costs(own_of(case))
    folds = min(costs.folds, MOST_FOLDS)
    done, left = split_numbers(costs, case.power, folds, seconds)
    if not done:
        return _too_long(costs, costs.of(folds, min(case.power), _HALF), seconds)
    more = f"; left out: {', '.join(map(str, left))}" if left else ""
    words = f"{_trainings(folds * len(done))} on {', '.join(map(str, done))} scans{more}"
    return Plan(
        size=len(done) * 100 + folds,
        seconds=sum(costs.of(folds, n, _HALF) for n in done),
        words=words,
        settings={"numbers": done, "folds": folds, "left_out": left},
    )


def _run_power(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    settings, planted = plan.settings or {}, _planted(case)
    own, numbers, folds = own_of(case), settings["numbers"], settings["folds"]
    found = power_curve(own, planted, numbers, progress, folds)
    return [power_measurement(found, settings["left_out"])]


def _reads_power(case: Case) -> Mapping[str, Any]:
    return {**_reads(case), "power": list(case.power)}


SPIKE_IN = Test(
    name="spike-in",
    rules=("spike-in",),
    title="An effect planted in your own scans",
    run=_run_spike,
    reads=_reads,
    plan=_plan_spike,
)

RETRAINED: tuple[Test, ...] = (
    Test(
        name="null",
        rules=("null-maps", "null-calls"),
        title="The network trained on shuffled labels",
        run=_run_null,
        reads=_reads,
        plan=_plan_null,
    ),
    Test(
        name="encoding",
        rules=("encoding",),
        title="The network trained on inverted intensities",
        run=_run_encoding,
        reads=_reads,
        plan=_plan_encoding,
    ),
    Test(
        name="layers",
        rules=("layer",),
        title="Methods that look at a layer, layer by layer",
        run=_run_layers,
        reads=_reads,
        plan=_plan_layers,
    ),
    Test(
        name="power",
        rules=(),
        title="How many scans it takes",
        run=_run_power,
        reads=_reads_power,
        plan=_plan_power,
    ),
)
"""In the order in which they are done, all after the spike-in, whose networks two of them ask."""
