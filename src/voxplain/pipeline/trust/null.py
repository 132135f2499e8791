"""The same network trained on shuffled labels: whether its maps differ, and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution.methods import make_method
from voxplain.cohort import load_atlas
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.fit import Outcome, find_groups, outcome_of
from voxplain.fit.inference import shuffler
from voxplain.pipeline.planting import find_region
from voxplain.pipeline.trust.beside import Beside, beside, brain_of, comparison_of
from voxplain.pipeline.trust.own import OwnStudy, kept
from voxplain.pipeline.trust.trainings import OwnMaps, own_maps, train_again
from voxplain.progress import Progress
from voxplain.trust import FWHM_MM
from voxplain.trust.truth.calls import Calls, calls
from voxplain.volume import Cohort

__all__ = ["NullFinding", "NullMethod", "null_test", "shuffled_outcome"]

_SHUFFLES = 200
_PLACES = 20
_ML = (2.0, 20.0)


@dataclass(frozen=True)
class NullMethod:
    """What a method shows of a network that was trained on shuffled labels.

    Parameters
    ----------
    beside : Beside
        Its maps beside those of the study's own network.
    called : Calls
        Places at which its mean map passes for a finding.
    called_own : Calls
        The same of the study's own network.
    """

    beside: Beside
    called: Calls
    called_own: Calls


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

    request = own.request(folds=folds, outcome=own.outcome, what=name)
    told = kept(own.place(name), "found.json", request, make)
    methods = {
        method: NullMethod(
            Beside.from_dict(one["beside"]), Calls(**one["called"]), Calls(**one["called_own"])
        )
        for method, one in told["methods"].items()
    }
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
    how, places = comparison_of(cohort, own.seed), some_places(own, cohort)
    methods = {}
    with progress.step("Holding the null's maps beside the study's", len(maps)) as advance:
        for done, (method, ours) in enumerate(maps.items(), start=1):
            width = 0.0 if make_method(method).smooth_mm else FWHM_MM
            called = [
                calls(
                    np.mean(list(of_folds.values()), axis=0),
                    places,
                    how.brain,
                    cohort.grid,
                    width,
                    own.seed + done,
                )
                for of_folds in (trained.maps[method], ours.folds)
            ]
            found = NullMethod(beside(method, ours, trained.maps[method], how), *called)
            methods[method] = asdict(found)
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


def some_places(own: OwnStudy, cohort: Cohort) -> list[NDArray[np.bool_]]:
    """Choose regions of an atlas at random, of each its voxels, array (X, Y, Z)."""
    regions, brain = load_atlas("AAL"), brain_of(cohort)
    size = np.bincount(regions.labels.ravel()) * regions.grid.voxel_volume / 1000
    names = sorted(name for label, name in regions.names.items() if _ML[0] <= size[label] <= _ML[1])
    drawn = np.random.default_rng([own.seed, 5]).permutation(names)
    places: list[NDArray[np.bool_]] = []
    for name in drawn:
        _, fraction = find_region(own.folder, str(name), "AAL", cohort, own.seed)
        inside = (fraction >= 0.5) & brain
        if inside.any():
            places.append(inside)
        if len(places) == _PLACES:
            break
    return places
