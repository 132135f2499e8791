"""Intervals of cross-validated scores: few folds, single scans, and whether they cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxplain.fit import Fold, Outcome, bootstrap, make_folds
from voxplain.grid import Grid
from voxplain.pipeline.demo.judge import _bootstrap_mean
from voxplain.pipeline.fit.scores import Intervals, score_model, widest_intervals
from voxplain.pipeline.fit.setting import Setting
from voxplain.volume import Cohort

GRID = Grid((2, 2, 2), np.eye(4))
NAMES = ("control", "case")


def setting_of(n: int, folds: int, seed: int = 0) -> Setting:
    labels = np.arange(n) % 2
    names = [f"sub-{i:03d}" for i in range(n)]
    table = pd.DataFrame({"participant_id": names, "label": np.array(NAMES)[labels]})
    cohort = Cohort(table, NAMES, GRID, lambda i: np.zeros(GRID.shape, np.float32))
    outcome = Outcome("label", labels, NAMES)
    return Setting(cohort, outcome, make_folds(outcome, folds, 1, None, seed), None, seed)


def answers(labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    margin = np.where(right == (labels == 1), 1.0, -1.0)
    return np.stack([-margin, margin], axis=1)


def outputs_of(setting: Setting, shares: list[float]) -> list[np.ndarray]:
    """Be right in a share of each fold's scans of each class."""
    out = []
    for fold, share in zip(setting.folds, shares, strict=True):
        labels = setting.outcome.values[fold.test]
        right = np.zeros(len(labels), bool)
        for c in (0, 1):
            members = np.flatnonzero(labels == c)
            right[members[: round(share * len(members))]] = True
        out.append(answers(labels, right))
    return out


@pytest.mark.parametrize("shares", [[0.6, 0.8], [0.5, 0.9], [0.7, 0.9, 0.6], [0.5, 0.8, 0.9, 0.7]])
def test_few_folds_do_not_make_an_interval_say_nothing(shares: list[float]) -> None:
    """The spread over folds alone reached below 0 or above 1, and all between was left open."""
    setting = setting_of(120, len(shares))
    told = score_model(setting, outputs_of(setting, shares)).scores["accuracy"]
    low, high = told.ci
    assert told.folds_ci[1] - told.folds_ci[0] > high - low
    assert 0.25 < low < told.mean < high <= 1
    for part in (told.moderated_ci, told.pooled_ci):
        assert low <= max(part[0], 0)
        assert high >= min(part[1], 1)


def test_five_folds_and_more_have_a_say_of_their_own() -> None:
    setting = setting_of(100, 5)
    told = score_model(setting, outputs_of(setting, [0.2, 1.0, 0.4, 1.0, 0.6])).scores["accuracy"]
    assert told.ci == (max(0.0, told.folds_ci[0]), min(1.0, told.folds_ci[1]))


def test_single_scans_left_out_know_of_other_trainings() -> None:
    setting = setting_of(30, 30)
    told = score_model(setting, outputs_of(setting, [1.0, 1.0, 0.0] * 10)).scores["accuracy"]
    assert told.folds_ci is None
    pooled, joint = (ends[1] - ends[0] for ends in (told.pooled_ci, told.ci))
    assert joint > 1.25 * pooled


def test_a_perfect_score_is_not_certain() -> None:
    setting = setting_of(20, 5)
    told = score_model(setting, outputs_of(setting, [1.0] * 5))
    for name in ("accuracy", "balanced_accuracy", "roc_auc"):
        assert told.scores[name].ci[0] < 0.85
        assert told.scores[name].ci[1] == 1


@pytest.mark.parametrize(("people", "folds"), [(24, 2), (24, 3), (48, 2), (24, 5)])
def test_the_interval_covers_and_the_pooled_one_does_not(people: int, folds: int) -> None:
    """A fold's network has an accuracy of its own, around that of all networks, .75."""
    rng = np.random.default_rng(people + folds)
    covered, widths = np.zeros(2), []
    for run in range(80):
        labels, own = np.arange(people) % 2, np.clip(rng.normal(0.75, 0.12, folds), 0, 1)
        # Folds learn from parts that overlap, so that what they have learned is alike in part.
        own = np.clip((own + rng.normal(0.75, 0.06)) / 2, 0, 1)
        made = make_folds(Outcome("label", labels, NAMES), folds, 1, None, run)
        rights = [rng.random(len(fold.test)) < p for fold, p in zip(made, own, strict=True)]
        found = intervals(labels, made, rights)
        for i, (low, high) in enumerate((found.ci, found.pooled_ci)):
            covered[i] += low <= 0.75 <= high
        widths.append(found.ci[1] - found.ci[0])
    assert covered[0] >= 75
    assert covered[1] < covered[0]
    assert np.mean(widths) < 0.72


def test_the_mean_over_subjects_has_a_95_percent_interval() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.1, 400)
    half = stats.norm.isf(0.025) * values.std() / 20
    expected = (values.mean() - half, values.mean() + half)
    assert _bootstrap_mean(values.tolist(), 0) == pytest.approx(expected, abs=0.08 * half)


def intervals(labels: np.ndarray, folds: list[Fold], rights: list[np.ndarray]) -> Intervals:
    rows = np.concatenate([fold.test for fold in folds])
    logits = answers(labels[rows], np.concatenate(rights))
    pooled = bootstrap(Outcome("label", labels[rows], NAMES), logits, draws=60)["accuracy"]
    values = [float(right.mean()) for right in rights]
    return widest_intervals("accuracy", values, folds, pooled, one_out=False)
