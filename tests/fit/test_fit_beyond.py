"""What predictions tell beyond the confounds."""

from __future__ import annotations

import numpy as np
import pytest

from voxplain.fit import Outcome
from voxplain.fit.beyond import beyond_confounds


def two(labels: np.ndarray) -> Outcome:
    return Outcome("label", labels.astype(np.int64), ("a", "b"))


def logits(score: np.ndarray) -> np.ndarray:
    return np.stack([-score, score], axis=1)


def test_who_reads_head_size_knows_no_more() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for seed in range(60):
        size = rng.normal(size=60)
        labels = (size + 0.7 * rng.normal(size=60)) > 0
        # The network reads size alone, and saturates.
        score = np.tanh(3 * size) + 0.1 * rng.normal(size=60)
        found = beyond_confounds(two(labels), logits(score), size[:, None], seed, draws=200)
        alarms += found.p <= 0.05
    assert alarms <= 7


def test_who_knows_more_than_head_size_is_seen() -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for seed in range(20):
        size, labels = rng.normal(size=40), np.arange(40) % 2
        score = 2.0 * (labels - 0.5) + rng.normal(size=40) + size
        found = beyond_confounds(two(labels), logits(score), size[:, None], seed, draws=200)
        seen += found.p <= 0.05
    assert seen >= 17


def test_a_confound_that_is_the_class_leaves_nothing_to_shuffle() -> None:
    labels = np.repeat([0, 1], 18)
    score = labels + 0.1 * np.random.default_rng(0).normal(size=36)
    found = beyond_confounds(two(labels), logits(score), labels[:, None].astype(float))
    assert found.p == 1
    assert found.movable == 0


def test_numbers() -> None:
    rng = np.random.default_rng(2)
    size, age = rng.normal(size=(2, 50))
    known = beyond_confounds(Outcome("age", age), (age + size)[:, None], size[:, None])
    assert known.p == pytest.approx(1 / 1001)
    basis = np.stack([np.ones(50), size], axis=1)
    assert abs(basis.T @ known.left)[0] == pytest.approx(0, abs=1e-8)
    assert beyond_confounds(Outcome("age", age), size[:, None], size[:, None]).p > 0.05
