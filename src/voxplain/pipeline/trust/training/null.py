"""The same network trained on shuffled labels: whether its maps differ, and what they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import METHODS
from voxplain.attribution.methods import make_method
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.fit import Outcome, find_groups, outcome_of
from voxplain.fit.inference import shuffler
from voxplain.pipeline.trust.training.beside import comparison_of
from voxplain.pipeline.trust.training.own import OwnStudy, kept
from voxplain.pipeline.trust.training.places import regions_within
from voxplain.pipeline.trust.training.trainings import OwnMaps, own_maps, train_again
from voxplain.progress import Progress
from voxplain.trust import FWHM_MM, Comparison
from voxplain.trust.retraining import Shared, shared_with
from voxplain.trust.rules import MEASURED
from voxplain.trust.truth.calls import WIDTH_MM, Calls, calls
from voxplain.volume import smooth

__all__ = ["NullFinding", "NullMethod", "null_test", "shuffled_outcome"]

_SHUFFLES = 200
_FEWEST = 3
_PLACES = 20
_ML = (2.0, 20.0)


@dataclass(frozen=True)
class NullMethod:
    """What a method shows of a network that was trained on shuffled labels.

    Parameters
    ----------
    label : str
        Of the method.
    target : str
    shared : Shared or None
        What its maps share with those of the study's own network, fold by fold, signed; None where
        fewer than three folds have a map.
    called : Calls
        Places at which its mean map passes for a finding.
    called_own : Calls
        The same of the study's own network.
    """

    label: str
    target: str
    shared: Shared | None
    called: Calls
    called_own: Calls

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> NullMethod:
        """Read what `dataclasses.asdict` wrote."""
        shared = told["shared"]
        return cls(
            told["label"],
            told["target"],
            None if shared is None else Shared(**shared),
            Calls(**told["called"]),
            Calls(**told["called_own"]),
        )


@dataclass(frozen=True)
class NullFinding:
    """What became of the training on shuffled labels.

    Parameters
    ----------
    scans, folds : int
    score : str
        ``accuracy`` or ``r``.
    value : float
        Held out, against the shuffled labels: about chance.
    p : float
        Of it, against labels shuffled once more.
    same : float
        Correlation of the shuffled labels with the true ones.
    methods : mapping of str to NullMethod
        By registry name.
    """

    scans: int
    folds: int
    score: str
    value: float
    p: float
    same: float
    methods: Mapping[str, NullMethod]


def null_test(
    own: OwnStudy, progress: Progress, folds: int | None = None, number: int = 1
) -> NullFinding:
    """Train the study's network on shuffled labels, explain it, and compare the maps.

    Labels are shuffled as they are exchangeable: those that the fit keeps together stay together.
    Of many shuffles, that is taken whose labels go least with the true ones. Folds, scans and
    first weights are the study's own, so that labels are all that differs. Networks are kept in
    ``trust/null-<number>``, and so is what was found.

    Parameters
    ----------
    own : OwnStudy
    progress : Progress
    folds : int, optional
        How many of the study's folds are trained; all by default.
    number : int, default=1

    Returns
    -------
    NullFinding

    Raises
    ------
    VoxplainError
        If the study has no maps, or training or explaining fails.
    """
    folds, name = folds or own.folds, f"null-{number}"
    maps = {method: own_maps(own, method) for method in own.methods}

    def make() -> dict[str, Any]:
        return _trained(own, name, folds, maps, own.seed + number, progress)

    request = own.request(folds=folds, outcome=own.outcome, what=name, edition=MEASURED)
    told = kept(own.place(name), "found.json", request, make)
    methods = {method: NullMethod.from_dict(one) for method, one in told["methods"].items()}
    return NullFinding(**{**told, "methods": methods})


def shuffled_outcome(
    outcome: Outcome, groups: NDArray[np.int64] | None, seed: int
) -> tuple[Outcome, float]:
    """Shuffle an outcome so that it tells as little of the true one as can be.

    Parameters
    ----------
    outcome : Outcome
    groups : array (N,), optional
        See `voxplain.fit.find_groups`.
    seed : int

    Returns
    -------
    outcome : Outcome
    same : float
        Correlation with the true one.

    Raises
    ------
    InputError
        If no shuffle changes anything.
    """
    shuffle = shuffler(outcome, groups, np.random.default_rng(seed))
    drawn = [shuffle() for _ in range(_SHUFFLES)]
    moved = [values for values in drawn if (values != outcome.values).any()]
    if not moved:
        raise InputError(
            "The labels cannot be shuffled without parting scans that belong together, so that "
            "there is no null to train on."
        )

    def same(values: NDArray[Any]) -> float:
        return float(np.corrcoef(values, outcome.values)[0, 1])

    best = min(moved, key=lambda values: abs(same(values)))
    return Outcome(outcome.name, best, outcome.class_names), same(best)


def _trained(
    own: OwnStudy,
    name: str,
    folds: int,
    maps: Mapping[str, OwnMaps],
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    cohort = open_store(own.folder / "cohort")
    outcome = outcome_of(cohort, own.outcome)
    groups, _ = find_groups(cohort.participants, outcome, own.folds, own.group)
    shuffled, same = shuffled_outcome(outcome, groups, seed)
    trained = train_again(own, name, cohort, shuffled, folds, maps, progress)
    how = comparison_of(cohort, own.seed)
    found = regions_within(cohort, how.brain, _ML, own.seed)
    places = [one.voxels for one in found[:_PLACES]]
    methods = {}
    with progress.step("Holding the null's maps beside the study's", len(maps)) as advance:
        for done, (method, ours) in enumerate(maps.items(), start=1):
            one = _judged(method, ours, trained.maps[method], places, how, own.seed + done)
            methods[method] = asdict(one)
            advance(done)
    return {
        "scans": trained.scans,
        "folds": trained.folds,
        "score": trained.score,
        "value": trained.value,
        "p": trained.p,
        "same": same,
        "methods": methods,
    }


def _judged(
    method: str,
    ours: OwnMaps,
    theirs: Mapping[int, NDArray[np.float32]],
    places: Sequence[NDArray[np.bool_]],
    how: Comparison,
    seed: int,
) -> NullMethod:
    """Compare maps of a method with those of the null, and count what either would find.

    The sign stays: what two unsigned maps share is above all where any network is strong.
    """
    if how.envelope is None:
        raise ValueError("The comparison needs an envelope.")
    envelope = replace(how.envelope, width=WIDTH_MM)
    width = 0.0 if make_method(method).smooth_mm else FWHM_MM
    both = [fold for fold in ours.folds if fold in theirs]
    shared = None
    if len(both) >= _FEWEST:
        mine, others = (
            [smooth(of_folds[fold], envelope.grid, width) for fold in both]
            for of_folds in (ours.folds, theirs)
        )
        shared = shared_with(mine, others, how.brain)
    called, called_own = (
        calls(np.mean(list(of_folds.values()), axis=0), places, how.brain, envelope, width, seed)
        for of_folds in (theirs, ours.folds)
    )
    return NullMethod(METHODS[method].info.label, ours.target, shared, called, called_own)
