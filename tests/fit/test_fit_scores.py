"""Scores and how sure they are, against scikit-learn and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from fit_cohorts import classes, numbers
from scipy import stats
from sklearn import metrics as sk

from voxplain.errors import InputError
from voxplain.fit import (
    Score,
    bootstrap,
    calibration,
    classification_scores,
    corrected_interval,
    measures,
    moderated_interval,
    permutation_p,
)
from voxplain.fit.inference import shuffler
from voxplain.fit.metrics import probabilities_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("k", [2, 3])
def test_classes_against_sklearn(k: int) -> None:
    labels = RNG.integers(0, k, 80)
    logits = np.round(RNG.normal(size=(80, k)) + 1.0 * np.eye(k)[labels], 1)
    outcome = classes(*labels, names=("a", "b", "c")[:k])
    found = measures(outcome, logits)
    chances = probabilities_of(logits)
    predicted = logits.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(labels, predicted)
    )
    if k == 2:
        # Rounded logits: ties are there and count half.
        auc = sk.roc_auc_score(labels, logits[:, 1] - logits[:, 0])
        brier = sk.brier_score_loss(labels, chances[:, 1])
    else:
        auc = sk.roc_auc_score(labels, chances, multi_class="ovo")
        brier = np.mean(
            [((p - np.eye(3)[y]) ** 2).sum() / 2 for p, y in zip(chances, labels, strict=True)]
        )
    assert found["roc_auc"] == pytest.approx(auc)
    assert found["brier"] == pytest.approx(brier)


def test_numbers_against_sklearn() -> None:
    truth = RNG.normal(50, 10, 60)
    predicted = truth + RNG.normal(0, 5, 60)
    found = measures(numbers(truth), predicted[:, None])
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(truth, predicted))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert found["r"] == pytest.approx(stats.pearsonr(truth, predicted)[0])
    assert found["r2"] == pytest.approx(sk.r2_score(truth, predicted))


def test_what_a_single_scan_cannot_tell_is_nan() -> None:
    found = measures(classes(1), np.array([[0.0, 2.0]]))
    assert (found["accuracy"], found["balanced_accuracy"]) == (1, 1)
    assert np.isnan(found["roc_auc"])
    found = measures(numbers(np.array([3.0])), np.array([[4.0]]))
    assert found["mae"] == 1
    assert np.isnan(found["r"])


@pytest.mark.parametrize("output", [np.zeros((3, 1)), np.full((3, 2), np.nan), np.zeros((2, 2))])
def test_outputs_that_do_not_fit(output: np.ndarray) -> None:
    with pytest.raises(InputError, match="2 control and 1 case must be finite and of shape"):
        measures(classes(0, 1, 0), output)


def test_calibration_bin_by_bin() -> None:
    labels = RNG.integers(0, 2, 200)
    logits = RNG.normal(size=(200, 2)) * 2
    told = calibration(classes(*labels), logits)
    chances = probabilities_of(logits)
    error = 0.0
    for place in range(10):
        inside = [i for i in range(200) if place / 10 <= chances[i].max() < (place + 1) / 10]
        assert told.count[place] == len(inside)
        if inside:
            confidence = np.mean([chances[i].max() for i in inside])
            right = np.mean([chances[i].argmax() == labels[i] for i in inside])
            assert told.confidence[place] == pytest.approx(confidence)
            assert told.accuracy[place] == pytest.approx(right)
            error += len(inside) / 200 * abs(confidence - right)
    assert told.error == pytest.approx(error)


def test_folds_that_share_training_scans_make_the_interval_wider() -> None:
    values = [0.8, 0.9, 0.85, 0.75, 0.95]
    found = corrected_interval(values, [80] * 5, [20] * 5)
    variance = sum((v - 0.85) ** 2 for v in values) / 4
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 20 / 80) * variance)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.85, 0.85 - half, 0.85 + half))
    naive = stats.t.ppf(0.975, 4) * np.sqrt(variance / 5)
    assert half == pytest.approx(1.5 * naive)
    two = corrected_interval([0.6, 0.8], [30, 30], [10, 10])
    assert two is not None
    half = stats.t.ppf(0.975, 1) * np.sqrt((1 / 2 + 1 / 3) * 0.02)
    assert (two.value, two.high) == pytest.approx((0.7, 0.7 + half))
    assert corrected_interval([0.5], [3], [1]) is None
    assert corrected_interval([0.5, np.nan], [3, 3], [1, 1]) is None


@pytest.mark.parametrize("values", [[0.5, 0.9], [0.7, 0.7], [0.8, 0.9, 0.85, 0.75, 0.95]])
@pytest.mark.parametrize("error", [0.03, 0.1])
def test_participants_stand_in_for_folds_that_are_few(values: list[float], error: float) -> None:
    """By hand: four parts of what participants foretell of a fold, k - 1 of what folds show."""
    k, test = len(values), 80 // len(values)
    found = moderated_interval(values, [80 - test] * k, [test] * k, Score(0.7, 0.0, 1.0, error))
    mean = sum(values) / k
    between = sum((v - mean) ** 2 for v in values) / (k - 1)
    fold = error**2 * 80 / test
    variance = (4 * fold + (k - 1) * between) / (4 + k - 1)
    half = stats.t.isf(0.025, 4 + k - 1) * np.sqrt((1 / k + test / (80 - test)) * variance)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))


def test_of_single_scans_participants_alone_know() -> None:
    pooled = Score(0.6, 0.5, 0.7, 0.05)
    found = moderated_interval([np.nan] * 50, [49] * 50, [1] * 50, pooled)
    half = stats.norm.isf(0.025) * np.sqrt((1 / 50 + 1 / 49) * 50) * 0.05
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert moderated_interval([0.5, 0.6], [9, 9], [9, 9], Score(0.5, 0.0, 1.0)) is None
    assert moderated_interval([0.5], [9], [9], Score(0.5, 0.0, 1.0, np.nan)) is None


def two_answers(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    margin = np.where(right == (labels == 1), 1.0, -1.0)
    return np.stack([-margin, margin], axis=1)


@pytest.mark.parametrize(("n", "share"), [(100, 0.7), (400, 0.9)])
def test_a_bootstrap_of_answers_is_binomial_at_95_percent(n: int, share: float) -> None:
    labels, right = np.arange(n) % 2, np.arange(n) < share * n
    known = stats.binom(n, share).ppf([0.025, 0.975]) / n
    within = stats.binom(n, share).std() / n * 0.2
    logits = two_answers(right, labels)
    for found in (
        bootstrap(classes(*labels), logits, draws=1500)["accuracy"],
        classification_scores(logits, labels, draws=1500)["accuracy"],
    ):
        assert (found.low, found.high) == pytest.approx(tuple(known), abs=within)
        if found.error is not None:
            assert found.error == pytest.approx(stats.binom(n, share).std() / n, rel=0.08)


@pytest.mark.parametrize("n", [6, 20, 300])
@pytest.mark.parametrize("right", [True, False])
def test_who_is_always_right_may_be_wrong_of_the_next(n: int, right: bool) -> None:
    labels = np.arange(n) % 2
    logits = two_answers(np.full(n, right), labels)
    wilson = stats.binomtest(n * right, n).proportion_ci(method="wilson")
    own = bootstrap(classes(*labels), logits, draws=50)
    for scores in (own, classification_scores(logits, labels, draws=50)):
        for name in ("accuracy", "balanced_accuracy", "roc_auc"):
            found = scores[name]
            assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-4)
    both, who = np.repeat(np.arange(n), 2), np.arange(2 * n) // 2
    twins = bootstrap(classes(*labels[both]), logits[both], who, draws=50)
    assert twins["accuracy"].low == pytest.approx(own["accuracy"].low)


def test_the_bootstrap_draws_families_whole() -> None:
    """Twins in truth and in prediction: half as many families, an interval √2 as wide."""
    labels = np.repeat(RNG.integers(0, 2, 100), 2)
    right = np.repeat(RNG.random(100) < 0.8, 2)
    margin = np.where(right == (labels == 1), 1.0, -1.0)
    logits = np.stack([-margin, margin], axis=1)
    alone = bootstrap(classes(*labels), logits, draws=800)["accuracy"]
    together = bootstrap(classes(*labels), logits, np.arange(200) // 2, draws=800)["accuracy"]
    assert alone.value == together.value == pytest.approx(right.mean())
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert 1.2 < ratio < 1.65


def test_the_permutation_test_is_uniform_where_nothing_is_known_and_small_where_all_is() -> None:
    labels = np.repeat([0, 1], 15)
    found = [
        permutation_p(
            classes(*labels), np.random.default_rng(i).normal(size=(30, 2)), "roc_auc",
            draws=99, seed=i,
        )
        for i in range(150)
    ]  # fmt: skip
    assert stats.kstest(found, "uniform").pvalue > 0.01
    known = np.stack([-labels, labels], axis=1).astype(float)
    assert permutation_p(classes(*labels), known, "accuracy", draws=199) == 1 / 200
    assert permutation_p(classes(*labels), known, "accuracy") == 1 / 1001
    age = np.linspace(20, 80, 30)
    assert permutation_p(numbers(age), age[:, None], "mae", draws=199) == 1 / 200


def test_truths_move_between_families_of_one_size() -> None:
    groups = np.array([0, 0, 1, 1, 2, 3])
    outcome = classes(0, 0, 1, 1, 0, 1)
    shuffle = shuffler(outcome, groups, np.random.default_rng(0))
    seen = {tuple(shuffle().tolist()) for _ in range(60)}
    assert seen == {(a, a, 1 - a, 1 - a, b, 1 - b) for a in (0, 1) for b in (0, 1)}
