from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr, wilcoxon

from voxplain.errors import InputError
from voxplain.trust import meta_evaluation, truth_tracking

SHAPE = (4, 5, 3)
TRUTHS = np.random.default_rng(0).standard_normal((8, *SHAPE))


def maps_of(noise):
    """Maps of three methods that know the truth less and less."""
    rng = np.random.default_rng(1)
    return [[t + n * rng.standard_normal(SHAPE) for t in TRUTHS] for n in noise]


def by_truth(scan, map_):
    return float(np.corrcoef(TRUTHS[scan].ravel(), map_.ravel())[0, 1])


def minor(map_, seed):
    return map_ + 0.01 * np.random.default_rng(seed).standard_normal(SHAPE)


def nonsense(map_, seed):
    return np.random.default_rng(seed).permutation(map_.ravel()).reshape(SHAPE)


def test_a_measure_that_knows_is_reliable():
    found = meta_evaluation(by_truth, maps_of([0.2, 0.7, 1.5]), minor, nonsense)
    assert found.reacts
    assert found.random_below > 0.95
    assert found.noise_orders > 0.9
    assert found.orders_chance == pytest.approx(1 / 3)
    parts = (found.noise_scores, found.noise_orders, found.random_scores, found.random_below)
    assert found.reliability == pytest.approx(np.mean(parts))
    assert (found.methods, found.scans, found.repeats) == (3, 8, 3)


def test_a_lottery_and_a_constant_are_not():
    draw = np.random.default_rng(5)
    lottery = meta_evaluation(lambda scan, map_: draw.random(), maps_of([0.2, 1]), minor, nonsense)
    assert not lottery.reacts
    assert lottery.random_below == pytest.approx(0.5, abs=0.2)
    constant = meta_evaluation(lambda scan, map_: 1.0, maps_of([0.2, 1]), minor, nonsense)
    assert constant.noise_scores == constant.noise_orders == 1
    assert constant.random_scores == constant.random_below == 0
    assert not constant.reacts


def test_the_figures_are_wilcoxons_and_the_sign_counts():
    maps = maps_of([0.5])
    found = meta_evaluation(by_truth, maps, minor, nonsense, repeats=1)
    own = np.array([by_truth(k, np.float32(m)) for k, m in enumerate(maps[0])])
    noisy = [by_truth(k, np.float32(minor(np.float32(m), k))) for k, m in enumerate(maps[0])]
    assert found.noise_scores == pytest.approx(wilcoxon(own, noisy).pvalue)
    down = meta_evaluation(
        lambda scan, map_: -by_truth(scan, map_), maps, minor, nonsense, 1, higher_is_better=False
    )
    assert down.random_below == found.random_below
    wrong = meta_evaluation(by_truth, maps, minor, nonsense, 1, higher_is_better=False)
    assert wrong.random_below == pytest.approx(1 - found.random_below)
    with pytest.raises(InputError, match="6 scans or more, the same for each method; there are 2"):
        meta_evaluation(by_truth, [maps[0][:2]], minor, nonsense)


def test_a_measure_tracks_the_truth_or_does_not():
    rng = np.random.default_rng(0)
    truths = [rng.random(6) for _ in range(12)]
    scores = [t + 0.1 * rng.standard_normal(6) for t in truths]
    good = truth_tracking(scores, truths, 0)
    assert good.above_chance
    assert good.low < good.spearman < good.high
    assert good.low > 0.5
    assert good.scenarios == 12
    expected = [spearmanr(s, t).statistic for s, t in zip(scores, truths, strict=True)]
    assert good.spearman == pytest.approx(np.mean(expected))
    above = sum(
        truth_tracking([rng.random(6) for _ in truths], truths, run, 200).above_chance
        for run in range(40)
    )
    # At a rate of .05, more than 6 of 40 would be one in 300.
    assert above <= 6
    assert truth_tracking(truths, truths, 0).spearman == pytest.approx(1)
    assert truth_tracking([np.ones(6)] * 12, truths, 0).spearman == 0
    with pytest.raises(InputError, match="same three maps or more"):
        truth_tracking([truths[0][:2]], [truths[0][:2]], 0)
    with pytest.raises(InputError, match="same three maps or more"):
        truth_tracking(truths[:2], truths[:1], 0)
