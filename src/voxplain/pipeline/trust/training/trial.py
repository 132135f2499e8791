"""One training on scans with a planted effect: what the network learns, what its maps find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.attribution.methods import make_method
from voxplain.cohort.store.reader import open_store
from voxplain.errors import StudyError
from voxplain.fit import outcome_of
from voxplain.pipeline.fit.fitted import Fitted, find_fitted
from voxplain.pipeline.fit.scores import score_model
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.training.beside import comparison_of
from voxplain.pipeline.trust.training.budget import SpikeSize
from voxplain.pipeline.trust.training.own import OwnStudy
from voxplain.pipeline.trust.training.trainings import explained, learner_of, options_of
from voxplain.pipeline.truth import read_truth
from voxplain.progress import Progress
from voxplain.results.judgement import Found, Judgement
from voxplain.study import Study
from voxplain.trust import (
    FWHM_MM,
    Stability,
    SubjectMaps,
    TMap,
    judge,
    stability,
    strength,
)
from voxplain.volume import Cohort

__all__ = ["LEARNED", "Trial", "TrialMap", "networks_of_trial", "run_trial"]

_RESAMPLES, _DRAWS = 200, 50
_HOPELESS = 0.25

LEARNED = 0.05
"""A network has learned an effect if shuffled labels would do as well less often than this."""


@dataclass(frozen=True)
class TrialMap:
    """How the mean map of the cases finds the planted effect.

    Parameters
    ----------
    average_precision : float
    low, high : float or None
        95 % interval over participants and networks.
    chance, chance_95 : float
        Of a map that knows nothing: on average, and what 95 % of random maps as smooth stay below.
    t_map, edges, ceiling : float or None
        Average precision of the voxel-wise t-map of all scans, of an edge filter, and of the true
        change itself.
    stable, stable_95 : float or None
        Mean rank correlation over pairs of the folds' mean maps, and what 95 % of random maps with
        the same envelope stay below; None where fewer than two folds have a map.
    """

    average_precision: float
    low: float | None
    high: float | None
    chance: float
    chance_95: float
    t_map: float | None
    edges: float | None
    ceiling: float | None
    stable: float | None = None
    stable_95: float | None = None

    @property
    def found(self) -> bool:
        """Whether the map exceeds 95 % of random maps."""
        return self.average_precision > self.chance_95

    @classmethod
    def from_judged(cls, judged: Judgement, steady: Stability | None) -> TrialMap:
        """Take what is told of a mean map, and of those of the folds."""
        ap = judged.found.average_precision

        def beside(found: Found | None) -> float | None:
            return None if found is None else found.average_precision.value

        return cls(
            average_precision=ap.value,
            low=ap.low,
            high=ap.high,
            chance=judged.chance_ap,
            chance_95=judged.chance_ap_95,
            t_map=beside(judged.controls.get("t-map-all")),
            edges=beside(judged.controls.get("edges")),
            ceiling=beside(judged.ceiling),
            stable=None if steady is None else steady.spearman,
            stable_95=None if steady is None else steady.spearman_95,
        )


@dataclass(frozen=True)
class Trial:
    """A network trained on scans with a planted effect, and how maps of it find the effect.

    Parameters
    ----------
    scans, folds : int
        Of the study, and of its folds those that were trained.
    split : int
        Folds that the scans were split into.
    accuracy : float
        Held out, mean over folds.
    low, high : float or None
        95 % interval.
    p : float
        Of the held-out predictions against shuffled labels.
    maps : mapping of str to TrialMap
        By method.
    """

    scans: int
    folds: int
    split: int
    accuracy: float
    low: float | None
    high: float | None
    p: float
    maps: Mapping[str, TrialMap]

    @property
    def learned(self) -> bool:
        """Whether the network knows the effect at all; if not, no map can be blamed."""
        return self.p < LEARNED

    @property
    def whole(self) -> bool:
        """Whether all folds were trained."""
        return self.folds == self.split

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as `from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Trial:
        """Read what `to_dict` wrote."""
        maps = {name: TrialMap(**one) for name, one in told["maps"].items()}
        return cls(**{**told, "maps": maps})


def run_trial(
    own: OwnStudy, folder: Path, split: int, progress: Progress, spike: SpikeSize | None = None
) -> Trial:
    """Train on a sub-study whose truth is known, explain held-out scans, and judge the mean maps.

    Scans of the group with the effect are explained, each by the network that had not seen it. For
    a spike-in, nothing is explained where the network has not learned the effect, and not all folds
    are trained where the first ones give no hope of that.

    Parameters
    ----------
    own : OwnStudy
    folder : path
        Of the sub-study, see `voxplain.pipeline.spike.make_spiked_study`.
    split : int
        Folds.
    progress : Progress
    spike : SpikeSize, optional
        How many of the folds are trained; all by default. A later run with more finds them trained.

    Returns
    -------
    Trial

    Raises
    ------
    VoxplainError
        If training or explaining fails.
    """
    cohort = open_store(folder / "cohort")
    for count in (split,) if spike is None else sorted({spike.first, spike.folds}):
        learned = _learned(own, folder, cohort, split, count, progress)
        if learned.p > _HOPELESS:
            break
    if spike is not None and not learned.learned:
        return learned
    judge_maps = _MapJudge(own, folder, learned.folds, progress)
    names = own.methods_for(len(cohort))
    return replace(learned, maps={name: judge_maps.of(name) for name in names})


def _learned(
    own: OwnStudy, folder: Path, cohort: Cohort, split: int, count: int, progress: Progress
) -> Trial:
    """Train the first folds, and judge what they know; maps are still to come."""
    learner = learner_of(own, folder, cohort, outcome_of(cohort), split, count)
    outputs = [learner.held_out(fold, progress) for fold in learner.setting.folds]
    judged = score_model(learner.setting, outputs)
    score = judged.scores["accuracy"]
    found = score.mean if score.mean is not None else score.pooled
    p = 1.0 if judged.permutation.p is None else judged.permutation.p
    return Trial(len(cohort), count, split, float(found or 0.0), *score.ci, p, {})


def networks_of_trial(own: OwnStudy, folder: Path, trained: int, cohort: Cohort) -> list[Fitted]:
    """Find the network of each fold that a trial has trained, with the scans that it held out."""
    study = Study(folder, "voxplain study", __version__)
    return [find_fitted(study, own.network, (1, n + 1), cohort) for n in range(trained)]


class _MapJudge:
    """Explains the cases of a sub-study whose truth is known, and judges the mean maps."""

    def __init__(self, own: OwnStudy, folder: Path, trained: int, progress: Progress) -> None:
        cohort, truth = open_store(folder / "cohort"), read_truth(folder)
        if truth is None:
            raise StudyError(f"{folder} holds no truth; delete it, and it is made again.")
        self.own, self.cohort, self.truth, self.progress = own, cohort, truth, progress
        self.folds = networks_of_trial(own, folder, trained, cohort)
        self.case = len(cohort.class_names) - 1
        self.given = options_of(own, own.methods_for(len(cohort)), cohort)
        self.how = comparison_of(cohort, own.seed, _DRAWS)
        t_map = TMap()
        for i in range(len(cohort)):
            t_map.add(cohort.load(i), int(cohort.labels[i]))
        self.controls = {"t-map-all": t_map.t()}

    def of(self, method: str) -> TrialMap:
        """Judge one method."""
        smooth_mm = make_method(method).smooth_mm
        means: list[NDArray[np.float32]] = []
        judged = judge(
            self._maps(method, means),
            self.truth.known,
            self.cohort.grid,
            networks=tuple(str(number) for number in range(len(self.folds))),
            controls=self.controls,
            smooth_mm=smooth_mm,
            seed=self.own.seed,
            draws=_RESAMPLES,
        )
        width = 0.0 if smooth_mm else FWHM_MM
        strong = [strength(one, self.cohort.grid, width) for one in means]
        return TrialMap.from_judged(
            judged.group, stability(strong, self.how) if len(means) > 1 else None
        )

    def _maps(self, method: str, means: list[NDArray[np.float32]]) -> Iterator[SubjectMaps]:
        """Explain the cases that each fold held out, and add up the mean map of each fold."""
        people = self.cohort.participants["participant_id"].astype(str).tolist()
        words = f"{METHODS[method].info.label} of scans with the effect"
        with self.progress.step(words, len(self.folds)) as advance:
            for number, fold in enumerate(self.folds):
                rows = [row for row in fold.rows if self.cohort.labels[row] == self.case]
                if not rows:
                    continue
                made = explained(
                    self.own,
                    fold.load(),
                    Some(self.cohort, rows),
                    method,
                    self.case,
                    self.given[method],
                    Engine(device=self.own.device),
                )
                for row, one in zip(rows, made, strict=True):
                    maps = {str(number): one.values}
                    yield SubjectMaps(maps, self.cohort.load(row), subject=people[row])
                total = np.sum([one.values for one in made], axis=0, dtype=np.float64)
                means.append(np.asarray(total / len(made), dtype=np.float32))
                advance(number + 1)
