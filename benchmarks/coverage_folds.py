"""Cross-validation of a linear classifier whose true accuracy is known, many times over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from voxplain.fit import (
    Fold,
    Outcome,
    bootstrap,
    make_folds,
    measures,
    permutation_p,
)
from voxplain.pipeline.fit.scores import widest_intervals

NAMES = ("control", "case")
FEATURES = 10


def cross_validate(
    rng: np.random.Generator, people: int, folds: int, shift: float, fails: float = 0.0
) -> tuple[Outcome, list[Fold], list[NDArray[np.float64]], float]:
    """Fit discriminants on made-up people of two classes, `shift` standard deviations apart.

    A share `fails` of the trainings goes nowhere, as networks do at times: these answer at random.

    Returns
    -------
    outcome, folds, outputs
        As of `voxplain fit`.
    true : float
        Mean accuracy of the discriminants on all people there could be.
    """
    labels = np.arange(people) % 2
    mean = np.zeros(FEATURES)
    mean[0] = shift / 2
    values = rng.normal(size=(people, FEATURES)) + np.where(labels[:, None] == 1, mean, -mean)
    outcome = Outcome("label", labels, NAMES)
    made = make_folds(outcome, folds, 1, None, int(rng.integers(2**31)))
    outputs, true = [], []
    for fold in made:
        x, y = values[fold.train], labels[fold.train]
        first, second = x[y == 0].mean(0), x[y == 1].mean(0)
        within = np.cov((x - np.where(y[:, None] == 1, second, first)).T) + 0.3 * np.eye(FEATURES)
        weights = np.linalg.solve(within, second - first)
        if rng.random() < fails:
            weights = rng.normal(size=FEATURES)
        bias = -float(weights @ (first + second)) / 2
        margin = values[fold.test] @ weights + bias
        outputs.append(np.stack([-margin, margin], axis=1))
        length = np.linalg.norm(weights)
        sides = norm.cdf([(weights @ mean + bias) / length, (weights @ mean - bias) / length])
        true.append(float(sides.mean()))
    return outcome, made, outputs, float(np.mean(true))


def fold_rows(runs: int) -> Iterator[tuple[Any, ...]]:
    """Count intervals of accuracy that cover its mean over all such studies; plain: pooled."""
    for fails in (0.0, 0.25):
        for shift in (0.0, 2.5):
            for people in (24, 48, 96):
                for folds in (2, 3, 5, 10):
                    if people // folds >= 4:
                        yield _folds_row(runs, fails, shift, people, folds)


def _folds_row(
    runs: int, fails: float, shift: float, people: int, folds: int
) -> tuple[str, str, str, float, float, int]:
    rng = np.random.default_rng([folds, people])
    intervals, true = [], []
    for run in range(runs):
        outcome, made, outputs, accuracy = cross_validate(rng, people, folds, shift, fails)
        true.append(accuracy)
        intervals.append(accuracy_intervals(outcome, made, outputs, run))
    wanted = float(np.mean(true))
    covered = np.mean([[low <= wanted <= high for low, high in both] for both in intervals], axis=0)
    width = np.mean([high - low for (low, high), _ in intervals])
    study = f"{people} people, {folds} folds, accuracy {wanted:.2f}, width {width:.2f}"
    study += ", a fourth of trainings fail" * (fails > 0)
    return "fit: accuracy over folds", study, ">= .95", *map(float, covered), runs


def accuracy_intervals(
    outcome: Outcome, folds: list[Fold], outputs: list[NDArray[np.float64]], seed: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Give the interval of `voxplain fit`, and that of the pooled predictions alone."""
    rows = np.concatenate([fold.test for fold in folds])
    pooled = Outcome(outcome.name, outcome.values[rows], NAMES)
    score = bootstrap(pooled, np.concatenate(outputs), draws=150, seed=seed)["accuracy"]
    values = [
        measures(Outcome("label", outcome.values[fold.test], NAMES), out)["accuracy"]
        for fold, out in zip(folds, outputs, strict=True)
    ]
    low, high = widest_intervals("accuracy", values, folds, score, one_out=False)["ci"]
    return (low, high), (score.low, score.high)


def permutation_rows(runs: int) -> Iterator[tuple[Any, ...]]:
    """Count null studies that the permutation test calls better than chance."""
    for people, folds in ((24, 3), (40, 5), (80, 5), (80, 10)):
        rng = np.random.default_rng(people)
        found = []
        for run in range(runs):
            outcome, made, outputs, _ = cross_validate(rng, people, folds, 0.0)
            rows = np.concatenate([fold.test for fold in made])
            shuffled = Outcome("label", outcome.values[rows], NAMES)
            output = np.concatenate(outputs)
            found.append(permutation_p(shuffled, output, "accuracy", draws=99, seed=run))
        study = f"{people} people, {folds} folds, no effect"
        yield (
            "fit: permutation p < .05",
            study,
            "<= .05",
            float(np.mean(np.array(found) <= 0.05)),
            None,
            runs,
        )
