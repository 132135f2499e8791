"""The demo's maps held against the truth, against controls and against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import METHODS
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.group import mean_map
from voxplain.maps import AttributionMap, GroupMap
from voxplain.phantom import Phantom
from voxplain.pipeline.maps import Question
from voxplain.pipeline.writing import Explained
from voxplain.results.localisation import (
    AgreementPair,
    AgreementResult,
    ControlResult,
    MethodResult,
)
from voxplain.trust import (
    EDGE_SIGMA_MM,
    FWHM_MM,
    Localisation,
    TMap,
    agreement,
    chance_interval,
    chance_of,
    edge_filter,
    localise,
    say,
    strength,
)

__all__ = [
    "AFFECTED_CLASS",
    "CONTROL_LABELS",
    "Judge",
    "controls",
    "group_maps",
]

AFFECTED_CLASS = "case"
"""The class that carries the effect."""

TOP_FRACTION = 0.05
CONTROL_LABELS = {"edges": "Edge filter of the image", "t-map": "t-map of the training images"}


def controls(
    phantom: Phantom,
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
    on_progress: Callable[[float], None],
) -> dict[str, NDArray[np.float32]]:
    """Make the two maps that know nothing of the network.

    Returns
    -------
    dict of str to array (X, Y, Z)
        ``edges``: the mean edge filter of the held-out cases. ``t-map``: voxel-wise Welch t of
        cases against controls over the training images.
    """
    cohort, labels = phantom.cohort, phantom.cohort.labels
    cases = [int(i) for i in held_out if labels[i] == 1]
    total = len(cases) + len(train)
    edges = np.zeros(cohort.grid.shape)
    for done, i in enumerate(cases, start=1):
        edges += edge_filter(cohort.load(i), cohort.grid, EDGE_SIGMA_MM) / len(cases)
        on_progress(done / total)
    t_map = TMap()
    for done, i in enumerate(train, start=len(cases) + 1):
        t_map.add(cohort.load(int(i)), int(labels[i]))
        on_progress(done / total)
    return {"edges": edges.astype(np.float32), "t-map": t_map.t()}


def group_maps(
    explained: Mapping[str, Explained], class_names: Sequence[str]
) -> dict[tuple[str, str], GroupMap]:
    """Average each method's maps over the subjects in whom one class was explained."""
    out = {}
    for name, result in explained.items():
        for class_name in class_names:
            mine = [map_ for map_ in result.maps if map_.target == class_name]
            if mine:
                out[name, class_name] = mean_map(mine)
    return out


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores maps of one phantom.

    Parameters
    ----------
    phantom : Phantom
    controls : mapping of str to array (X, Y, Z)
    groups : mapping of (method, class) to GroupMap
    seed : int
        Of the null distributions and the bootstrap.
    """

    phantom: Phantom
    controls: Mapping[str, NDArray[np.float32]]
    groups: Mapping[tuple[str, str], GroupMap]
    seed: int

    def control_scores(self) -> dict[str, ControlResult]:
        """Localisation of each control against the truth in template space."""
        return {
            name: ControlResult(*_group_figures(self._localised(values)), CONTROL_LABELS[name])
            for name, values in self.controls.items()
        }

    def chance(self) -> tuple[float, float]:
        """Chance average precision, and what 95 % of random maps of the kernel's width miss."""
        interval = chance_interval(
            self.phantom.support, self.phantom.brain, self.phantom.cohort.grid, FWHM_MM, self.seed
        )
        return float(self.phantom.support[self.phantom.brain].mean()), interval.percentile_95

    def method_scores(
        self, question: Question, explained: Explained, class_name: str
    ) -> MethodResult:
        """Every figure of one method: per subject, per group, against chance and controls.

        Parameters
        ----------
        question : Question
            What was asked.
        explained : Explained
            The maps and their cost.
        class_name : str
            The class whose group map is held against the truth: the one with the effect.
        """
        phantom, grid, name = self.phantom, self.phantom.cohort.grid, question.method
        info = METHODS[name].info
        method = make_method(name, question.options)
        per_subject = [self._subject_ap(map_) for map_ in explained.maps]
        group = self._localised(self.groups[name, class_name].values)
        raw = localise(
            strength(self.groups[name, class_name].values, grid, 0.0),
            phantom.support,
            phantom.brain,
        )
        null = chance_of(
            self.groups[name, class_name].values,
            phantom.support,
            phantom.brain,
            grid,
            FWHM_MM,
            self.seed,
        )
        bars = {n: self._localised(v).average_precision for n, v in self.controls.items()}
        verdict = say(
            info.label,
            group.average_precision,
            chance_ap=group.chance_ap,
            chance_95=null.percentile_95,
            edge_ap=bars["edges"],
            t_map_ap=bars["t-map"],
            class_name=class_name,
        )
        group_ap, auroc, dice, mass = _group_figures(group)
        own_groups = {c: map_ for (n, c), map_ in self.groups.items() if n == name}
        return MethodResult(
            label=info.label,
            citation=info.citation,
            unit=method.unit,
            sign=method.sign,
            complete=info.complete,
            passes=info.passes,
            options=describe_options(method),
            subjects=len(explained.maps),
            subject_ap=float(np.mean(per_subject)),
            subject_ap_ci=_bootstrap_mean(per_subject, self.seed),
            subject_ap_by_class=_mean_by_class(per_subject, explained.maps),
            group_class=class_name,
            group_ap=group_ap,
            auroc=auroc,
            dice=dice,
            mass=mass,
            group_ap_raw=raw.average_precision,
            group_ap_by_class={
                c: self._localised(map_.values).average_precision for c, map_ in own_groups.items()
            },
            group_subjects={c: map_.n_subjects for c, map_ in own_groups.items()},
            group_fwhm_mm=null.fwhm,
            chance_ap_95=null.percentile_95,
            one_sided=null.one_sided,
            seconds_per_subject=explained.seconds,
            better_than_chance=verdict.better_than_chance,
            beats_edges=verdict.beats_edges,
            beats_t_map=verdict.beats_t_map,
            verdict=verdict.sentence,
        )

    def agreements(self, class_name: str) -> AgreementResult:
        """Agreement between the methods' group maps, pair by pair, with its chance levels."""
        grid, brain = self.phantom.cohort.grid, self.phantom.brain
        ready = {
            name: strength(map_.values, grid, FWHM_MM)
            for (name, c), map_ in self.groups.items()
            if c == class_name
        }
        pairs = []
        for a, b in combinations(ready, 2):
            scores = agreement(ready[a], ready[b], brain, TOP_FRACTION, self.seed)
            pairs.append(
                AgreementPair(
                    a,
                    b,
                    dice=scores.dice,
                    dice_chance=scores.dice_chance,
                    dice_surrogates=scores.dice_surrogates,
                    dice_95=scores.dice_95,
                    spearman=scores.spearman,
                    spearman_95=scores.spearman_95,
                    draws=scores.draws,
                )
            )
        return AgreementResult(TOP_FRACTION, class_name, tuple(pairs))

    def _localised(self, values: NDArray[np.float32]) -> Localisation:
        score = strength(values, self.phantom.cohort.grid, FWHM_MM)
        return localise(score, self.phantom.support, self.phantom.brain)

    def _subject_ap(self, map_: AttributionMap) -> float:
        position = self.phantom.cohort.subjects.index(map_.subject)
        truth = self.phantom.own_supports[position]
        brain = self.phantom.cohort.load(position) > 0
        return localise(strength(map_.values, map_.grid, FWHM_MM), truth, brain).average_precision


def _group_figures(scores: Localisation) -> tuple[float, float, float, float]:
    """Return average precision, AUROC, Dice and mass."""
    return scores.average_precision, scores.auroc, scores.dice_matched, scores.mass


def _mean_by_class(values: Sequence[float], maps: Sequence[AttributionMap]) -> dict[str, float]:
    by_class: dict[str, list[float]] = {}
    for value, map_ in zip(values, maps, strict=True):
        by_class.setdefault(map_.target, []).append(value)
    return {name: float(np.mean(own)) for name, own in by_class.items()}


def _bootstrap_mean(values: Sequence[float], seed: int, draws: int = 2000) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    array = np.asarray(values)
    means = array[rng.integers(0, len(array), (draws, len(array)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
