"""An effect planted in a study's own scans, and whether its network and methods find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.stats import t as student

from voxplain.attribution.methods import METHODS
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.phantom import dprime_of
from voxplain.pipeline.trust.training.beside import brain_of
from voxplain.pipeline.trust.training.budget import SpikeSize
from voxplain.pipeline.trust.training.own import OwnStudy
from voxplain.pipeline.trust.training.places import regions_within
from voxplain.pipeline.trust.training.planted import DPRIMES, Planted, next_dprime, plant
from voxplain.pipeline.trust.training.trial import TrialMap
from voxplain.progress import Progress
from voxplain.report.words.numbers import share

__all__ = [
    "SpikeFinding",
    "SpikedMethod",
    "finding_of",
    "say",
    "spike_in",
]

_ML = (2.0, 12.0)
_HEADROOM = 1.5
_KINDS = {"intensity": "darkening", "volume": "growth"}


@dataclass(frozen=True, kw_only=True)
class SpikedMethod(TrialMap):
    """How a method's maps find planted effects: means over those that the network has learned.

    The interval is one over planted effects; of one effect, over participants and networks.

    Parameters
    ----------
    label : str
    found_in, of : int
        Effects at which the map exceeds 95 % of random maps, of how many.
    """

    label: str
    found_in: int
    of: int

    @property
    def found(self) -> bool:
        """Whether more than half of the effects are found."""
        return 2 * self.found_in > self.of


@dataclass(frozen=True)
class SpikeFinding:
    """What became of all planted effects.

    Parameters
    ----------
    own_accuracy : float or None
        Of the study's own network; the effects are made about as hard.
    planted : tuple of Planted
    methods : mapping of str to SpikedMethod
        By registry name; empty where the network has learned none of the effects, so that no method
        was tested.
    sentence : str
    """

    own_accuracy: float | None
    planted: tuple[Planted, ...]
    methods: Mapping[str, SpikedMethod]
    sentence: str


def spike_in(
    own: OwnStudy,
    progress: Progress,
    size: SpikeSize,
    where: Sequence[str] = (),
    kind: str = "intensity",
    dprime: float | None = None,
) -> SpikeFinding:
    """Plant effects in a study's own scans, one after the other, and see what finds them.

    Each makes a sub-study ``trust/spike-<k>``, on which the same network is trained by the same
    schedule, and explained by the same methods. The first effect is half as large again as makes
    the best observer as accurate as the study's own network, since no network is as good; each next
    one is changed so that the network itself comes out there. What an earlier run has done is kept.

    Parameters
    ----------
    own : OwnStudy
    progress : Progress
    size : SpikeSize
    where : sequence of str, optional
        One place an effect, see `voxplain.pipeline.spike.SpikeOptions`; regions drawn at random by
        default.
    kind : {"intensity", "volume"}, default="intensity"
    dprime : float, optional
        Of the first effect.

    Returns
    -------
    SpikeFinding

    Raises
    ------
    InputError
        If nobody knows how accurate the study's network is, or there are too few scans.
    VoxplainError
        If planting, training or explaining fails.
    """
    places = list(where) or _drawn(own, size.tries)
    wanted = None if own.accuracy is None else dprime_of(own.accuracy)
    if dprime is None and wanted is not None:
        dprime = float(np.clip(_HEADROOM * wanted, *DPRIMES))
    if dprime is None:
        raise InputError(
            f"{own.folder} has no network whose accuracy the effect could be fitted to; run "
            "'voxplain fit' first."
        )
    done: list[Planted] = []
    for number, place in enumerate(places, start=1):
        one = plant(own, number, place, kind, dprime, size, progress)
        done.append(one)
        if sum(each.trial.learned for each in done) >= size.regions:
            break
        if wanted is not None:
            dprime = next_dprime(one.dprime, one.trial.accuracy, wanted)
    return finding_of(own.accuracy, tuple(done))


def _drawn(own: OwnStudy, regions: int) -> list[str]:
    """Draw regions, each another one as long as there are others."""
    cohort = open_store(own.folder / "cohort")
    there = [one.name for one in regions_within(cohort, brain_of(cohort), _ML, own.seed)]
    if not there:
        raise InputError(
            f"No region of AAL lies in the brains of {own.folder}, so that no effect can be "
            "planted; build the cohort with --align affine."
        )
    return [there[i % len(there)] for i in range(regions)]


def finding_of(own_accuracy: float | None, planted: tuple[Planted, ...]) -> SpikeFinding:
    """Sum up planted effects; those that the network has not learned tell nothing of methods."""
    learned = [one for one in planted if one.trial.learned]
    names = learned[0].trial.maps if learned else ()
    methods = {name: _over(name, learned) for name in names}
    return SpikeFinding(own_accuracy, planted, methods, say(planted, methods))


def _over(name: str, learned: Sequence[Planted]) -> SpikedMethod:
    maps = [one.trial.maps[name] for one in learned]
    values = np.array([one.average_precision for one in maps])
    low, high = maps[0].low, maps[0].high
    if len(maps) > 1:
        reach = student.ppf(0.975, len(maps) - 1) * values.std(ddof=1) / np.sqrt(len(maps))
        low, high = max(values.mean() - reach, 0.0), min(values.mean() + reach, 1.0)

    def mean(key: str) -> Any:
        known = [value for one in maps if (value := getattr(one, key)) is not None]
        return float(np.mean(known)) if known else None

    means = {one.name: mean(one.name) for one in fields(TrialMap)}
    interval = {"low": None if low is None else float(low)}
    interval["high"] = None if high is None else float(high)
    return SpikedMethod(
        **(means | interval),
        label=METHODS[name].info.label,
        found_in=sum(one.found for one in maps),
        of=len(maps),
    )


def say(planted: Sequence[Planted], methods: Mapping[str, SpikedMethod]) -> str:
    """Say in one sentence, or two, what became of the planted effects."""
    scans, count = planted[0].trial.scans, len(planted)
    told = [one for one in planted if one.trial.learned] or planted
    accuracy = float(np.mean([one.trial.accuracy for one in told]))
    percent = 100 * float(np.mean([abs(one.strength) for one in told]))
    change = f"{percent:.0f} % {_KINDS[planted[0].kind]}"
    where = "one region" if count == 1 else f"one region ({count} in turn)"
    trial = told[0].trial
    part = "" if trial.whole else f" ({trial.folds} of {trial.split} folds)"
    start = f"In your own {scans} scans{part}, a planted {change} of {where}, which your network"
    if not methods:
        return (
            f"{start} does not learn ({100 * accuracy:.0f} % right), so that no method could be "
            "tested."
        )
    found = [one for one in methods.values() if one.found]
    missed = [one for one in methods.values() if not one.found]
    first = (found or missed)[0]
    details = [f"average precision {share(first.average_precision)}"]
    details += [f"chance {share(first.chance)}"]
    details += [] if first.t_map is None else [f"t-map {share(first.t_map)}"]

    def listed(some: Sequence[SpikedMethod]) -> str:
        each = [
            f"{one.label} ({', '.join(details) if one is first else share(one.average_precision)})"
            for one in some
        ]
        return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"

    said = f"{start} learns to {100 * accuracy:.0f} %, is "
    said += f"found by {listed(found)}" if found else ""
    said += " and " if found and missed else ""
    said += f"not {'found ' * (not found)}by {listed(missed)}" if missed else ""
    unlearned = sum(not one.trial.learned for one in planted)
    more = f" It did not learn {unlearned} of the {count}, which tell nothing of methods."
    return f"{said}.{more * bool(unlearned)}"
