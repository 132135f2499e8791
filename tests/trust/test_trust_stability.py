from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.trust import (
    Comparison,
    Envelope,
    agreement,
    dice_top,
    icc,
    retest,
    spearman,
    split_half,
    stability,
)

SHAPE = (11, 12, 10)
GRID = Grid(SHAPE, np.diag([8.0, 8, 8, 1]))
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:10, 1:11, 1:9] = True
HOW = Comparison(BRAIN, 0.1, draws=40)


def smooth_noise(seed, sigma=0.9):
    return gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), sigma)


def test_the_intraclass_correlation_is_that_of_its_authors():
    """Six targets and four judges of Shrout and Fleiss, table 2; ICC(2,1) = .29."""
    judged = [[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]]
    assert icc(np.array(judged, dtype=float)) == pytest.approx(0.29, abs=0.005)
    alike = np.tile(np.arange(7.0), (3, 1))
    assert icc(alike) == pytest.approx(1)
    assert icc(np.ones((3, 5))) == 0
    assert icc(np.random.default_rng(0).standard_normal((4, 5000))) == pytest.approx(0, abs=0.03)


def test_stability_is_the_mean_over_pairs():
    maps = [smooth_noise(0) + 0.7 * smooth_noise(n) for n in (1, 2, 3)]
    found = stability(maps, HOW)
    pairs = list(combinations(maps, 2))
    assert found.spearman == pytest.approx(np.mean([spearman(a, b, BRAIN) for a, b in pairs]))
    assert found.dice == pytest.approx(np.mean([dice_top(a, b, BRAIN, 0.1) for a, b in pairs]))
    assert found.icc == pytest.approx(icc(np.stack([m[BRAIN] for m in maps])))
    assert found.above_chance
    assert found.icc > found.icc_95
    assert found == stability(maps, HOW)


@pytest.mark.parametrize("form", [np.abs, np.positive], ids=["absolute", "signed"])
def test_unrelated_maps_are_seldom_stable(form):
    above = []
    for run in range(30):
        maps = [form(smooth_noise(100 * run + n)) for n in range(3)]
        found = stability(maps, HOW)
        chance = found.dice > found.dice_95, found.spearman > found.spearman_95
        above.append([*chance, found.icc > found.icc_95])
    # At a rate of .1, more than 8 of 30 would be one in 500.
    assert np.sum(above, axis=0).max() <= 8


def test_maps_that_share_the_scan_alone_are_stable_only_without_their_envelope():
    scan = np.abs(smooth_noise(77)) + 0.05
    envelope = Envelope(GRID, (scan,))
    with_scan = Comparison(BRAIN, 0.1, draws=40, envelope=envelope)
    plain = known = 0
    for run in range(10):
        maps = [np.abs(smooth_noise(100 * run + n, 0.6)) * scan for n in range(3)]
        plain += stability(maps, HOW).above_chance
        found = stability(maps, with_scan)
        known += found.above_chance
        assert found.dice_chance > 0.12
    assert plain == 10
    assert known <= 3


def test_halves_that_share_a_source_are_alike():
    shared = smooth_noise(0)
    maps = [shared + 2 * smooth_noise(n) for n in range(1, 17)]
    found = split_half(maps, HOW, splits=4)
    assert found.above_chance
    # Means over 8 subjects: variance 1 shared, 4 / 8 of their own; over 16, 4 / 16.
    assert found.spearman == pytest.approx(1 / 1.5, abs=0.1)
    assert found.spearman_whole == pytest.approx(1 / 1.25, abs=0.1)
    apart = split_half([smooth_noise(n) for n in range(1, 17)], HOW, splits=4)
    assert not apart.above_chance


def test_halves_are_made_of_all_subjects_once():
    shared = smooth_noise(0)
    maps = [shared + smooth_noise(n) for n in range(1, 5)]
    found = split_half(maps, HOW, splits=1)
    order = np.random.default_rng(0).permutation(4)
    a, b = (np.mean([maps[i] for i in half], axis=0) for half in (order[:2], order[2:]))
    expected = agreement(a, b, BRAIN, 0.1, 0, 40)
    assert (found.dice, found.spearman) == (expected.dice, pytest.approx(expected.spearman))


def test_retest_finds_each_subject_again():
    common = smooth_noise(0)
    own = [common + smooth_noise(n) for n in range(1, 7)]
    first, second = ([m + 0.3 * smooth_noise(k + n) for n, m in enumerate(own)] for k in (20, 40))
    found = retest(first, second, HOW)
    expected = [spearman(a, b, BRAIN) for a, b in zip(first, second, strict=True)]
    assert found.spearman == pytest.approx(np.mean(expected))
    apart = [spearman(first[i], second[j], BRAIN) for i in range(6) for j in range(6) if i != j]
    assert found.spearman_others == pytest.approx(np.mean(apart))
    tops = [dice_top(a, b, BRAIN, 0.1) for a, b in zip(first, second, strict=True)]
    assert found.dice == pytest.approx(np.mean(tops))
    assert found.identified == 1
    assert found.identified_chance == pytest.approx(1 / 6)
    assert found.p < 0.05
    shuffled = retest(first, second[1:] + second[:1], HOW)
    assert shuffled.identified == 0
    assert shuffled.p > 0.5
    same = retest([common] * 4, [common] * 4, HOW)
    assert same.p == 1


def test_stability_checks_its_input():
    map_ = smooth_noise(0)
    with pytest.raises(InputError, match="two maps or more; 1 was given"):
        stability([map_], HOW)
    with pytest.raises(InputError, match="four subjects or more; 3 were given"):
        split_half([map_] * 3, HOW)
    with pytest.raises(InputError, match="three subjects or more are needed; 3 and 2"):
        retest([map_] * 3, [map_] * 2, HOW)
    with pytest.raises(InputError, match="Map 2 has values inside the brain"):
        stability([map_, np.full(SHAPE, np.nan)], HOW)
