"""The same network trained on the same brains written down inverted, and its maps compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.store.reader import open_store
from voxplain.fit import outcome_of
from voxplain.phantom import background_of
from voxplain.pipeline.trust.training.beside import Beside, beside, comparison_of
from voxplain.pipeline.trust.training.own import OwnStudy, kept
from voxplain.pipeline.trust.training.trainings import OwnMaps, own_maps, train_again
from voxplain.progress import Progress
from voxplain.trust import inverted
from voxplain.volume import Cohort

__all__ = ["EncodingFinding", "encoding_test", "inverted_cohort"]

_FOLDER = "encoding-1"
_RANGE = (1, 99)


@dataclass(frozen=True)
class EncodingFinding:
    """What became of the training on inverted scans.

    Parameters
    ----------
    scans, folds : int
    level : float, intensity
        The signal ``x`` of each brain's voxels was written down as ``level - x``.
    score : str
        ``accuracy`` or ``r``, held out.
    value : float
        Of the network on inverted scans.
    p : float
        Of its predictions against shuffled outcomes.
    own : float or None
        Score of the study's own network.
    methods : mapping of str to Beside
        By registry name; `Beside.kept` is 1 where maps show what the network knows alone, and less
        where they show how scans were encoded.
    """

    scans: int
    folds: int
    level: float
    score: str
    value: float
    p: float
    own: float | None
    methods: Mapping[str, Beside]


def encoding_test(own: OwnStudy, progress: Progress, folds: int | None = None) -> EncodingFinding:
    """Train the study's network on inverted scans, explain it, and compare the maps.

    An intensity and its inverse carry the same information (Clark et al. 2026, arXiv 2602.09238).
    Folds, labels and first weights are the study's own. Networks are kept in ``trust/encoding-1``,
    and so is what was found.

    Parameters
    ----------
    own : OwnStudy
    progress : Progress
    folds : int, optional
        How many of the study's folds are trained; all by default.

    Returns
    -------
    EncodingFinding

    Raises
    ------
    VoxplainError
        If the study has no maps, or training or explaining fails.
    """
    folds = folds or own.folds
    maps = {method: own_maps(own, method) for method in own.methods}
    request = own.request(folds=folds, outcome=own.outcome, what=_FOLDER)
    told = kept(
        own.place(_FOLDER), "found.json", request, lambda: _trained(own, folds, maps, progress)
    )
    methods = {name: Beside.from_dict(one) for name, one in told["methods"].items()}
    return EncodingFinding(**{**told, "own": own.accuracy, "methods": methods})


def inverted_cohort(cohort: Cohort) -> tuple[Cohort, float]:
    """Write all brains of a cohort down inverted; what is outside them stays as it is.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    inverted : Cohort
        Made when loaded.
    level : float, intensity
        Sum of the 1st and the 99th percentile of the signal, so the range stays about as it is.
    """
    ends = []
    for i in range(len(cohort)):
        values = cohort.load(i)
        signal = values - background_of(values)
        ends.append(np.percentile(signal[signal != 0], _RANGE).sum() if signal.any() else 0.0)
    level = float(np.median(ends))

    def load(i: int) -> NDArray[np.float32]:
        values = cohort.load(i)
        floor = background_of(values)
        signal = values - floor
        return inverted(signal, signal != 0, level) + np.float32(floor)

    return Cohort(cohort.participants, cohort.class_names, cohort.grid, load), level


def _trained(
    own: OwnStudy, folds: int, maps: Mapping[str, OwnMaps], progress: Progress
) -> dict[str, Any]:
    cohort = open_store(own.folder / "cohort")
    turned, level = inverted_cohort(cohort)
    outcome = outcome_of(cohort, own.outcome)
    trained = train_again(own, _FOLDER, turned, outcome, folds, maps, progress)
    how = comparison_of(cohort, own.seed)
    return {
        "scans": trained.scans,
        "folds": trained.folds,
        "level": level,
        "score": trained.score,
        "value": trained.value,
        "p": trained.p,
        "methods": {
            name: beside(name, ours, trained.maps[name], how).to_dict()
            for name, ours in maps.items()
        },
    }
