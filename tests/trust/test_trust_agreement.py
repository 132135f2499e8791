from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from voxplain.errors import GridError, InputError
from voxplain.trust import agreement, dice_top, spearman
from voxplain.trust.ranks import top_membership

SHAPE = (7, 8, 9)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def brain():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:6, 1:7, 1:8] = True
    return mask


def papers_dice(x, y):
    """The published formula: every voxel on which two masks agree counts, background included."""
    return 2 * (x == y).sum() / (x.size + y.size)


def test_disjoint_masks_pass_the_papers_dice_and_not_ours():
    shape = (58, 70, 58)
    x, y = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    size = round(0.034 * x.size)
    x.ravel()[:size] = True
    y.ravel()[-size:] = True
    assert not (x & y).any()
    assert papers_dice(x, y) == pytest.approx(0.932, abs=5e-4)
    everywhere = np.ones(shape, dtype=bool)
    assert dice_top(x.astype(float), y.astype(float), everywhere, 0.034) == 0
    assert dice_top(x.astype(float), x.astype(float), everywhere, 0.034) == 1


def test_dice_equals_set_arithmetic(rng, brain):
    a, b = rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)
    b += a
    flat_a, flat_b = a[brain].tolist(), b[brain].tolist()
    count = round(0.1 * len(flat_a))
    top_a = set(sorted(range(len(flat_a)), key=lambda i: -flat_a[i])[:count])
    top_b = set(sorted(range(len(flat_b)), key=lambda i: -flat_b[i])[:count])
    expected = 2 * len(top_a & top_b) / (len(top_a) + len(top_b))
    assert 0 < expected < 1
    assert dice_top(a, b, brain, 0.1) == pytest.approx(expected, abs=1e-11)


def test_ties_are_averaged_over_every_way_to_break_them():
    values = np.array([3.0, 1, 1, 1, 2, 0])
    tops = [{0, 4, tied} for tied in (1, 2, 3)]
    expected = [sum(i in top for top in tops) / 3 for i in range(6)]
    assert top_membership(values, 3) == pytest.approx(expected)
    constant = np.zeros(6)
    lots = [set(c) for c in combinations(range(6), 3)]
    mean = np.mean([len(t & lot) / 3 for t in tops for lot in lots])
    mask = np.ones((6, 1, 1), dtype=bool)
    found = dice_top(values.reshape(6, 1, 1), constant.reshape(6, 1, 1), mask, 0.5)
    assert found == pytest.approx(mean) == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(
    maps=hnp.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(-2, 2, width=16)),
    fraction=st.floats(0.02, 0.98),
    noise=st.floats(-1e6, 1e6),
)
def test_dice_is_symmetric_bounded_and_blind_to_the_background(maps, fraction, noise):
    a, b = maps
    mask = np.ones(a.shape, dtype=bool)
    mask[0], mask[:, -1] = False, False
    found = dice_top(a, b, mask, fraction)
    assert 0 <= found <= 1
    assert dice_top(b, a, mask, fraction) == found
    loud = np.where(mask, a, np.float32(noise))
    assert dice_top(loud, b, mask, fraction) == found
    assert spearman(loud, b, mask) == spearman(a, b, mask)
    distinct = np.random.default_rng(0).permutation(a.size).reshape(a.shape)
    assert dice_top(distinct, distinct, mask, fraction) == 1


def test_spearman_equals_scipys_and_a_constant_map_gives_zero(rng, brain):
    a = rng.integers(0, 9, SHAPE)
    b = a + rng.integers(0, 9, SHAPE)
    assert spearman(a, b, brain) == pytest.approx(spearmanr(a[brain], b[brain]).statistic)
    assert spearman(a, np.ones(SHAPE), brain) == 0
    assert spearman(a, -a, brain) == pytest.approx(-1)


def test_a_constant_map_agrees_with_nothing_beyond_chance(rng, brain):
    a, flat = rng.standard_normal(SHAPE), np.ones(SHAPE)
    for pair in ((a, flat), (flat, a), (flat, flat)):
        found = agreement(*pair, brain, 0.1, seed=0, draws=20)
        assert found.dice == found.dice_chance == found.dice_95
        assert found.spearman == found.spearman_95 == 0


def noise(shape, sigma, rng):
    pad = int(np.ceil(4 * sigma))
    wide = rng.standard_normal([n + 2 * pad for n in shape])
    return gaussian_filter(wide, sigma)[pad:-pad, pad:-pad, pad:-pad]


def ball(shape):
    place = [np.linspace(-1, 1, n) for n in shape]
    return (np.stack(np.meshgrid(*place, indexing="ij")) ** 2).sum(axis=0) <= 0.95


@pytest.mark.parametrize("shape_of", [np.abs, np.positive], ids=["absolute", "signed"])
def test_one_unrelated_pair_in_twenty_exceeds_the_limit(rng, shape_of):
    shape, pairs = (17, 18, 16), 400
    mask = ball(shape)
    dice, rank, surrogate = [], [], []
    for seed in range(pairs):
        a, b = (shape_of(noise(shape, 1.3, rng)) * mask for _ in range(2))
        found = agreement(a, b, mask, 0.08, seed, draws=49)
        dice.append(found.dice > found.dice_95)
        rank.append(found.spearman > found.spearman_95)
        surrogate.append(found.dice_surrogates)
    assert 0.02 < np.mean(dice) < 0.085
    assert 0.02 < np.mean(rank) < 0.085
    assert np.mean(surrogate) == pytest.approx(found.dice_chance, rel=0.03)


def test_maps_that_share_a_source_exceed_the_limit(rng):
    shape = (17, 18, 16)
    mask = ball(shape)
    shared = noise(shape, 1.3, rng)
    a, b = (np.abs(shared + 0.5 * noise(shape, 1.3, rng)) for _ in range(2))
    found = agreement(a, b, mask, 0.08, seed=0, draws=60)
    assert found.dice > found.dice_95 > found.dice_chance
    assert found.spearman > found.spearman_95 > 0
    assert found.dice == dice_top(a, b, mask, 0.08)
    assert found.spearman == spearman(a, b, mask)


def test_smoother_maps_need_more_agreement(rng):
    shape = (17, 18, 16)
    mask = ball(shape)
    limits = []
    for sigma in (0.6, 2.0):
        a, b = noise(shape, sigma, rng), noise(shape, sigma, rng)
        limits.append(agreement(a, b, mask, 0.08, seed=0, draws=60))
    assert limits[1].dice_95 > limits[0].dice_95 + 0.03
    assert limits[1].spearman_95 > 2 * limits[0].spearman_95


def test_agreement_is_repeatable_and_checks_its_input(rng, brain):
    a, b = rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)
    assert agreement(a, b, brain, 0.1, 4, 20) == agreement(a, b, brain, 0.1, 4, 20)
    assert agreement(a, b, brain, 0.1, 4, 20) != agreement(a, b, brain, 0.1, 5, 20)
    with pytest.raises(InputError, match="between 0 and 1; 5 was given"):
        agreement(a, b, brain, 5, 0)
    with pytest.raises(InputError, match="at least 20 draws; 10"):
        agreement(a, b, brain, 0.1, 0, draws=10)
    with pytest.raises(GridError, match=r"second map has shape \(7, 8, 8\)"):
        dice_top(a, b[..., 1:], brain, 0.1)
    with pytest.raises(InputError, match="first map has values inside the brain"):
        spearman(np.full(SHAPE, np.nan), b, brain)


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, 1.5])
def test_a_top_is_a_part_of_the_brain(fraction):
    values, brain = np.random.default_rng(0).normal(size=(4, 5, 6)), np.ones((4, 5, 6), bool)
    with pytest.raises(InputError, match=f"between 0 and 1; {fraction} was given"):
        dice_top(values, values, brain, fraction)
    with pytest.raises(InputError, match=f"between 0 and 1; {fraction} was given"):
        agreement(values, values, brain, fraction, seed=0)


def test_a_top_has_one_voxel_at_least():
    """A tenth of three voxels is none: the peaks alone are held against each other."""
    line = np.ones((3, 1, 1), bool)
    a, b = (np.array(values, float).reshape(line.shape) for values in ([3, 2, 1], [3, 1, 2]))
    assert dice_top(a, b, line, 0.1) == 1
    assert dice_top(a, -b, line, 0.1) == 0


def test_two_voxels_have_the_rank_correlation_of_two():
    pair = np.ones((2, 1, 1), bool)
    a, b = (np.array(values, float).reshape(pair.shape) for values in ([1, 2], [5, 9]))
    assert spearman(a, b, pair) == pytest.approx(1)
    assert spearman(a, -b, pair) == pytest.approx(-1)


def test_two_hundred_random_maps_are_drawn_unless_told(rng, brain):
    assert agreement(rng.normal(size=SHAPE), rng.normal(size=SHAPE), brain, 0.1, 0).draws == 200
