from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from voxplain.attribution import Engine, scan_score
from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust import (
    Envelope,
    Imputation,
    RemovalTest,
    completeness,
    infidelity,
    make_changes,
    region_removal,
    removal,
)
from voxplain.volume import Volume

SHAPE = (9, 10, 8)
GRID = Grid(SHAPE, np.diag([6.0, 6, 6, 1]))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def brain():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:8, 1:9, 1:7] = True
    return mask


def smooth_noise(rng, sigma=0.9):
    return gaussian_filter(rng.standard_normal(SHAPE), sigma).astype(np.float32)


def linear(weights, bias=0.0):
    w = torch.from_numpy(np.asarray(weights, dtype=np.float64))
    return lambda images: (images[:, 0].double() * w).sum((1, 2, 3)) + bias


def test_the_deletion_curve_of_a_linear_score_is_the_sorted_sum(rng, brain):
    w, x = rng.standard_normal(SHAPE), rng.random(SHAPE).astype(np.float32)
    references = {"zero": 0 * x, "cohort": rng.random(SHAPE).astype(np.float32)}
    for kind in ("deletion", "insertion"):
        test = RemovalTest(kind, (0.05, 0.2, 0.5))
        for name, reference in references.items():
            share = w * (x.astype(np.float64) - reference)
            (found,) = removal(linear(w, 0.7), x, share, brain, {name: reference}, test)
            in_order = np.sort(share[brain])[::-1]
            counts = [round(s * len(in_order)) for s in test.shares]
            expected = np.cumsum(in_order)[np.array(counts) - 1]
            np.testing.assert_allclose(found.changes, expected, rtol=1e-5)
            assert found.area == pytest.approx(expected.mean(), rel=1e-5)
            assert found.full == pytest.approx((w * x).sum() + 0.7, rel=1e-5)
            mixed = np.where(brain, reference, x)
            assert found.empty == pytest.approx((w * mixed).sum() + 0.7, rel=1e-5, abs=1e-5)
            assert found.p_reference == pytest.approx(1 / (1 + np.exp(-found.empty)))
            assert found.above_chance
            assert found.p == pytest.approx(1 / 21)
            assert np.mean(found.changes_random) < found.area_95
            assert np.all(np.array(found.changes_random) < found.changes_95)
            assert np.all(np.array(found.changes_95) < expected)


def test_the_curve_of_random_maps_is_that_of_each_share_by_itself(rng, brain):
    w, x = rng.standard_normal(SHAPE), rng.random(SHAPE).astype(np.float32)
    map_, shares = smooth_noise(rng), (0.05, 0.2, 0.5)
    test = RemovalTest(shares=shares, draws=25)
    (found,) = removal(linear(w), x, map_, brain, {"zero": 0 * x}, test)
    alone = [
        removal(linear(w), x, map_, brain, {"zero": 0 * x}, RemovalTest(shares=(s,), draws=25))[0]
        for s in shares
    ]
    np.testing.assert_allclose(found.changes_random, [one.area_random for one in alone])
    np.testing.assert_allclose(found.changes_95, [one.area_95 for one in alone])


def test_random_maps_win_against_a_map_that_knows_nothing_one_time_in_twenty(rng, brain):
    w, x = smooth_noise(rng), np.ones(SHAPE, dtype=np.float32)
    above = 0
    for run in range(40):
        map_ = smooth_noise(np.random.default_rng(run))
        (found,) = removal(linear(w), x, map_, brain, {"zero": 0 * x}, RemovalTest(seed=run))
        above += found.above_chance
    # With 20 random maps the limit is the largest: one in 21. Six of 40 would be one in 400.
    assert above <= 5
    (found,) = removal(linear(w), x, -w, brain, {"zero": 0 * x})
    assert found.p == 1


def test_a_map_that_follows_the_scan_beats_maps_that_do_not_know_the_scan(rng, brain):
    """Every network loses more with bright voxels: only the envelope tells that from knowledge."""
    x = np.where(rng.random(SHAPE) < 0.5, 0.2, 1.0).astype(np.float32)
    score = linear(np.ones(SHAPE))
    plain = naive = 0
    for run in range(10):
        map_ = np.abs(smooth_noise(np.random.default_rng(run))) * x
        for envelope in (None, Envelope(GRID, (x,))):
            test = RemovalTest(seed=run, envelope=envelope)
            (found,) = removal(score, x, map_, brain, {"zero": 0 * x}, test)
            naive += envelope is None and found.above_chance
            plain += envelope is not None and found.above_chance
    assert naive == 10
    assert plain <= 3


def test_a_reference_that_keeps_the_target_is_told(rng, brain):
    x = (rng.random(SHAPE) * brain).astype(np.float32)
    score = linear(np.ones(SHAPE) * 0.1, -10)
    half, zero = removal(score, x, x, brain, {"same": 2 * x, "zero": 0 * x})
    assert not half.reference_deletes
    assert half.p_reference > 0.5
    assert zero.reference_deletes


def test_imputation_solves_the_system_of_neighbours(rng, brain):
    x = rng.random(SHAPE).astype(np.float32)
    removed = (rng.random(SHAPE) < 0.4) & brain
    filled = Imputation(noise=0).fill(x, removed, brain, 0)
    assert np.array_equal(filled[~removed], x[~removed])
    for place in np.argwhere(removed):
        total = weighted = 0.0
        for step in itertools.product((-1, 0, 1), repeat=3):
            beside = tuple(place + step)
            away = sum(map(abs, step))
            if away and brain[beside]:
                weight = {1: 1.0, 2: 0.5, 3: 0.25}[away]
                total += weight
                weighted += weight * filled[beside]
        assert filled[tuple(place)] == pytest.approx(weighted / total, abs=1e-4)
    noisy = Imputation(noise=0.1).fill(x, removed, brain, 0)
    assert (noisy - filled)[removed].std() == pytest.approx(0.1 * x[brain].std(), rel=0.25)


def test_imputation_at_borders_and_of_parts_without_neighbours():
    x = np.zeros((6, 3, 3), dtype=np.float32)
    x[:2] = 3
    x[4:] = 7
    brain = np.ones(x.shape, dtype=bool)
    brain[2:4] = False
    removed = np.zeros(x.shape, dtype=bool)
    removed[4:] = True
    filled = Imputation(noise=0).fill(x, removed, brain, 0)
    np.testing.assert_allclose(filled[4:], 3, atol=1e-4)
    assert not filled[2:4].any()
    assert np.array_equal(Imputation().fill(x, ~brain, brain, 0), x)
    with pytest.raises(InputError, match="All of the brain was removed"):
        Imputation().fill(x, brain, brain, 0)
    with pytest.raises(InputError, match="noise must be 0 or more; -1"):
        Imputation(-1)


def test_road_hides_what_its_neighbours_tell(rng, brain):
    """Linear imputation gives back a linear image: removing any of it costs nothing."""
    place = np.argwhere(np.ones(SHAPE)).reshape(*SHAPE, 3)
    ramp = (place @ [0.3, 0.2, 0.1]).astype(np.float32)
    single = np.zeros(SHAPE)
    single[4, 5, 4] = 1
    test = RemovalTest(shares=(1 / brain.sum(),))
    (road,) = removal(linear(single), ramp, single, brain, {"road": Imputation(0)}, test)
    (zero,) = removal(linear(single), ramp, single, brain, {"zero": 0 * ramp}, test)
    assert road.area == pytest.approx(0, abs=1e-4)
    assert zero.area == pytest.approx(ramp[4, 5, 4], rel=1e-5)
    with pytest.raises(InputError, match="it cannot insert"):
        removal(linear(single), ramp, single, brain, {"r": Imputation()}, RemovalTest("insertion"))


def test_infidelity_of_a_linear_score_is_zero_for_its_weights(rng, brain):
    w, x = rng.standard_normal(SHAPE), rng.random(SHAPE).astype(np.float32)
    reference = rng.random(SHAPE).astype(np.float32)
    noise = make_changes(linear(w), x, brain, GRID, 0)
    blobs = make_changes(linear(w), x, brain, GRID, 0, reference)
    share = w * (x.astype(np.float64) - reference)
    for changes, map_, additive in ((noise, w, False), (blobs, w, False), (blobs, share, True)):
        found = infidelity(changes, map_, brain, 0, additive)
        assert found.value == pytest.approx(0, abs=1e-7)
        assert found.relative == pytest.approx(0, abs=1e-6)
        assert found.scale == pytest.approx(1, rel=1e-4)
        assert found.above_chance
        scaled = infidelity(changes, 5 * map_, brain, 0, additive)
        assert scaled.relative == pytest.approx(0, abs=1e-6)
        assert scaled.value == pytest.approx(16 * np.mean(changes.lost**2), rel=1e-3)
        assert infidelity(changes, -map_, brain, 0, additive).relative == 1
        assert infidelity(changes, 0 * map_, brain, 0, additive).relative == 1
    assert np.mean(noise.taken.std(axis=1)) == pytest.approx(0.1 * x[brain].std(), rel=1e-3)
    assert blobs.shares.mean() == pytest.approx(0.1, abs=0.005)


def test_infidelity_of_a_map_that_knows_nothing_is_that_of_random_maps(rng, brain):
    w, x = smooth_noise(rng), rng.random(SHAPE).astype(np.float32)
    changes = make_changes(linear(w), x, brain, GRID, 1, 0 * x, count=40)
    unrelated = [smooth_noise(np.random.default_rng(run)) for run in range(40)]
    above = sum(infidelity(changes, u, brain, 0).above_chance for u in unrelated)
    assert above <= 6
    with pytest.raises(InputError, match="foretell replacement, not noise"):
        infidelity(make_changes(linear(w), x, brain, GRID, 1), w, brain, 0, additive=True)
    with pytest.raises(InputError, match="No change of the image changed the score"):
        infidelity(make_changes(linear(0 * w), x, brain, GRID, 1), w, brain, 0)
    with pytest.raises(InputError, match="At least 10 changes are needed; 3"):
        make_changes(linear(w), x, brain, GRID, 0, count=3)


def test_the_completeness_gap_is_what_the_shares_do_not_add_up_to(rng):
    w, x = rng.standard_normal(SHAPE), rng.random(SHAPE).astype(np.float32)
    shares = w * x
    whole = completeness(linear(w), x, shares, 0 * x)
    assert whole.relative == pytest.approx(0, abs=1e-5)
    half = completeness(linear(w), x, 0.5 * shares, 0 * x)
    assert half.relative == pytest.approx(0.5, rel=1e-4)
    assert half.gap == pytest.approx(abs(0.5 * shares.sum()), rel=1e-4)
    assert completeness(linear(w), x, 0 * x, 0 * x).relative == pytest.approx(1)
    with pytest.raises(InputError, match="score the same"):
        completeness(linear(w), x, shares, x)
    with pytest.raises(GridError, match="bring them to one grid"):
        completeness(linear(w), x, shares[1:], x)


def test_what_regions_lose_is_their_sum_in_a_linear_score(rng, brain):
    w, x = rng.standard_normal(SHAPE), rng.random(SHAPE).astype(np.float32)
    labels = rng.integers(0, 9, SHAPE) * 10
    found = region_removal(linear(w), x, w * x, brain, 0 * x, labels)
    sums = [(w * x)[brain & (labels == n)].sum() for n in range(10, 90, 10)]
    assert found.labels == tuple(range(10, 90, 10))
    np.testing.assert_allclose(found.lost, sums, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-5)
    assert found.spearman == pytest.approx(1)
    assert found.above_chance
    assert found.voxels[0] == np.count_nonzero(brain & (labels == 10))
    with pytest.raises(InputError, match="2 regions lie in the brain; at least 5"):
        region_removal(linear(w), x, w, brain, 0 * x, labels.clip(0, 20))


def test_scan_score_is_the_margin_that_the_engine_explains(rng):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), 3))
    x = rng.random(SHAPE).astype(np.float32)
    score = scan_score(net, Volume(x, GRID), 1, engine=Engine(batch_size=2))
    images = torch.from_numpy(rng.random((5, 1, *SHAPE)).astype(np.float32))
    with torch.no_grad():
        logits = net(images).double()
    expected = logits[:, 1] - torch.logsumexp(logits[:, [0, 2]], 1)
    torch.testing.assert_close(score(images), expected, atol=1e-5, rtol=1e-5)
    made = score.references({"none": "zero", "flat": "mean", "cohort": x + 1})
    assert not made["none"].any()
    np.testing.assert_allclose(made["flat"], x.mean(), rtol=1e-5)
    np.testing.assert_allclose(made["cohort"], x + 1)
    predicted = scan_score(net, Volume(x, GRID))
    with torch.no_grad():
        assert predicted.chosen.class_of(0) == int(net(torch.from_numpy(x)[None, None]).argmax())


def test_removal_checks_its_input(rng, brain):
    x = rng.random(SHAPE).astype(np.float32)
    score = linear(np.ones(SHAPE))
    with pytest.raises(InputError, match="'deletion' or 'insertion'; 'removal' was given"):
        RemovalTest("removal")
    with pytest.raises(InputError, match=r"between 0 and 1; \(0.1, 1.0\)"):
        RemovalTest(shares=(0.1, 1.0))
    with pytest.raises(InputError, match="at least 20 draws; 3"):
        RemovalTest(draws=3)
    with pytest.raises(GridError, match="reference 'small' has shape"):
        removal(score, x, x, brain, {"small": x[1:]})
    with pytest.raises(InputError, match="one number for each of 16 images"):
        removal(lambda images: images.sum(), x, x, brain, {"zero": 0 * x})
