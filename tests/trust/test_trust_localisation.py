from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust import FWHM_MM, chance_interval, fwhm_of, localise, strength
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.trust.ranks import rank_scores
from voxplain.trust.truth.localisation import average_precision

SHAPE = (7, 8, 9)
ANISOTROPIC = Grid(SHAPE, np.diag([-2.0, 3.0, 4.5, 1.0]))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def brain():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:6, 1:7, 1:8] = True
    return mask


@pytest.fixture
def truth(brain):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:4, 2:5, 0:4] = True
    return mask


def slow_scores(score, truth, brain):
    """Average precision, AUROC and matched Dice by explicit loops over thresholds and pairs."""
    values = [float(v) for v in score[brain]]
    labels = [bool(v) for v in truth[brain]]
    positives = sum(labels)
    ap, recall_before = 0.0, 0.0
    for cut in sorted(set(values), reverse=True):
        chosen = [lab for v, lab in zip(values, labels, strict=True) if v >= cut]
        recall = sum(chosen) / positives
        ap += (recall - recall_before) * sum(chosen) / len(chosen)
        recall_before = recall
    wins = 0.0
    for v, lab in zip(values, labels, strict=True):
        for w, other in zip(values, labels, strict=True):
            if lab and not other:
                wins += 1.0 if v > w else 0.5 if v == w else 0.0
    return ap, wins / (positives * (len(values) - positives))


@pytest.mark.parametrize("levels", [3, 7, 10_000])
def test_scores_equal_explicit_loops(rng, brain, truth, levels):
    score = rng.integers(0, levels, SHAPE).astype(np.float32)
    found = localise(score, truth, brain)
    ap, auroc = slow_scores(score, truth, brain)
    assert found.average_precision == pytest.approx(ap, rel=1e-12)
    assert found.auroc == pytest.approx(auroc, rel=1e-12)
    inner = truth & brain
    assert found.mass == pytest.approx(
        score[inner].sum(dtype=np.float64) / score[brain].sum(dtype=np.float64)
    )
    assert found.chance_ap == inner.sum() / brain.sum()
    assert found.lift == pytest.approx(ap / found.chance_ap)


def test_matched_dice_is_the_mean_over_random_orders_of_ties(rng, brain, truth):
    score = rng.integers(0, 3, SHAPE).astype(float)
    size = (truth & brain).sum()
    inner, values = truth[brain], score[brain]
    drawn = []
    for _ in range(4000):
        order = np.lexsort((rng.random(len(values)), -values))
        drawn.append(inner[order[:size]].sum() / size)
    mean_error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(localise(score, truth, brain).dice_matched - np.mean(drawn)) < 4 * mean_error


@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_a_constant_map_is_exactly_at_chance(brain, truth, value):
    found = localise(np.full(SHAPE, value), truth, brain)
    assert found.average_precision == pytest.approx(found.chance_ap, rel=1e-12)
    assert found.auroc == 0.5
    assert found.dice_matched == pytest.approx(found.chance_ap, rel=1e-12)
    assert found.lift == pytest.approx(1)
    assert found.mass == pytest.approx(found.chance_ap if value > 0 else 0.0)


def test_the_truth_itself_is_perfect_and_its_opposite_is_worst(brain, truth):
    best = localise(truth.astype(float), truth, brain)
    assert (best.average_precision, best.auroc, best.dice_matched, best.mass) == (1, 1, 1, 1)
    worst = localise(-truth.astype(float), truth, brain)
    assert (worst.auroc, worst.dice_matched, worst.mass) == (0, 0, 0)
    assert worst.average_precision == pytest.approx(worst.chance_ap)


def test_nothing_outside_the_brain_counts(rng, brain, truth):
    score = rng.standard_normal(SHAPE)
    loud = np.where(brain, score, 1e6)
    loud[0, 0, 0] = np.nan
    assert localise(loud, truth & brain, brain) == localise(score, truth, brain)


@settings(max_examples=40, deadline=None)
@given(
    score=hnp.arrays(np.float32, 60, elements=st.floats(-3, 3, width=16)),
    truth=hnp.arrays(bool, 60),
)
def test_fast_average_precision_is_sklearns(score, truth):
    truth[:2] = True, False
    expected = average_precision_score(truth, score)
    assert average_precision(truth, score) == pytest.approx(expected, rel=1e-12)


def test_wrong_input_is_named(brain, truth):
    score = np.zeros(SHAPE)
    with pytest.raises(InputError, match="no voxel inside the brain"):
        localise(score, truth & ~brain, brain)
    with pytest.raises(InputError, match="covers the whole brain"):
        localise(score, brain, brain)
    with pytest.raises(GridError, match=r"score has shape \(7, 8, 8\)"):
        localise(score[..., 1:], truth, brain)
    with pytest.raises(GridError, match=r"truth has shape \(7, 8, 8\)"):
        localise(score, truth[..., 1:], brain)
    with pytest.raises(InputError, match="truth must be boolean"):
        localise(score, truth.astype(int), brain)
    with pytest.raises(InputError, match="mask must be boolean"):
        localise(score, truth, brain.astype(float))
    with pytest.raises(InputError, match="mask is empty"):
        localise(score, truth, np.zeros(SHAPE, dtype=bool))
    with pytest.raises(InputError, match="not finite"):
        localise(np.where(truth, np.inf, score), truth, brain)


def test_strength_smooths_before_it_takes_the_absolute_value():
    line = Grid((41, 1, 1), np.diag([2.0, 1.0, 1.0, 1.0]))
    alternating = np.where(np.arange(41) % 2, -1.0, 1.0).reshape(41, 1, 1)
    assert strength(alternating, line, 12.0)[15:26].max() < 1e-3
    assert np.array_equal(strength(alternating, line, 0.0), np.abs(alternating))


def test_strength_smooths_in_millimetres():
    point = np.zeros((41, 31, 21))
    point[20, 15, 10] = -1
    grid = Grid(point.shape, np.diag([-2.0, 3.0, 4.5, 1.0]))
    score = strength(point, grid, 12.0).astype(float)
    for axis, size in enumerate(grid.voxel_size):
        profile = score.sum(axis=tuple(a for a in range(3) if a != axis))
        place = (np.arange(len(profile)) - len(profile) // 2) * size
        variance = (profile * place**2).sum() / profile.sum()
        assert np.sqrt(8 * np.log(2) * variance) == pytest.approx(12.0, rel=0.02)


def test_strength_refuses_what_it_cannot_smooth():
    with pytest.raises(InputError, match="finite number of mm"):
        strength(np.zeros(SHAPE), ANISOTROPIC, -1.0)
    with pytest.raises(GridError, match=r"its grid \(7, 8, 9\)"):
        strength(np.zeros((9, 8, 7)), ANISOTROPIC, 8.0)


def smooth_noise(shape, sigma, rng):
    """White noise smoothed in space on a larger box, which is then cut: no edge, no wrapping."""
    pads = [int(np.ceil(4 * s)) for s in sigma]
    wide = rng.standard_normal([n + 2 * p for n, p in zip(shape, pads, strict=True)])
    cut = tuple(slice(p, p + n) for n, p in zip(shape, pads, strict=True))
    return gaussian_filter(wide, sigma)[cut]


@pytest.mark.parametrize("fwhm", [9.0, 16.0])
def test_the_smoothness_of_noise_is_recovered(rng, fwhm):
    grid = Grid((28, 24, 20), np.diag([2.0, -3.0, 4.0, 1.0]))
    sigma = [fwhm / np.sqrt(8 * np.log(2)) / size for size in grid.voxel_size]
    brain = np.ones(grid.shape, dtype=bool)
    brain[:5], brain[:, -4:] = False, False
    found = []
    for _ in range(6):
        noise = smooth_noise(grid.shape, sigma, rng)
        found.append(fwhm_of(np.where(brain, noise, 99.0), grid, brain))
    assert np.mean(found) == pytest.approx(fwhm, rel=0.12)


def test_smoothness_without_correlation_or_variation_is_zero(brain):
    assert fwhm_of(np.ones(SHAPE), ANISOTROPIC, brain) == 0
    checkerboard = np.indices(SHAPE).sum(axis=0) % 2
    assert fwhm_of(checkerboard, ANISOTROPIC, brain) == 0


def test_random_fields_have_the_smoothness_asked_for():
    grid = Grid((28, 24, 20), np.diag([2.0, -3.0, 4.0, 1.0]))
    fields = list(random_fields(gaussian_amplitude(grid, 10.0), 7, seed=1))
    assert len(fields) == 7
    everywhere = np.ones(grid.shape, dtype=bool)
    found = [fwhm_of(field, grid, everywhere) for field in fields]
    assert np.mean(found) == pytest.approx(10.0, rel=0.08)
    together = np.corrcoef(np.stack([f.ravel() for f in fields]))
    assert np.abs(together - np.eye(7)).max() < 0.3


def test_chance_is_exceeded_by_one_random_map_in_twenty(rng):
    grid = Grid((17, 18, 15), np.diag([2.0, 3.0, -4.0, 1.0]))
    brain = (
        np.linalg.norm(
            [a / n - 0.47 for a, n in zip(np.indices(grid.shape), grid.shape, strict=True)], axis=0
        )
        < 0.47
    )
    truth = np.zeros(grid.shape, dtype=bool)
    truth[3:7, 6:10, 5:8] = True
    fwhm = 11.0
    limit = chance_interval(truth, brain, grid, fwhm, seed=0, draws=400)
    sigma = [fwhm / np.sqrt(8 * np.log(2)) / size for size in grid.voxel_size]
    scores = [np.abs(smooth_noise(grid.shape, sigma, rng)) for _ in range(400)]
    aps = np.array([average_precision(truth[brain], s[brain]) for s in scores])
    assert 0.02 < (aps > limit.percentile_95).mean() < 0.085
    assert 0.40 < (aps > limit.median).mean() < 0.60
    rough = chance_interval(truth, brain, grid, 0.0, seed=0, draws=100)
    assert (aps > rough.percentile_95).mean() > 0.2


def test_chance_interval_is_repeatable_and_checks_its_input(brain, truth):
    def interval(seed, **options):
        given = {"truth": truth, "fwhm": 8.0, "draws": 21} | options
        return chance_interval(brain=brain, grid=ANISOTROPIC, seed=seed, **given)

    assert interval(5) == interval(5)
    assert interval(5) != interval(6)
    assert interval(5).draws == 21
    with pytest.raises(InputError, match="at least 20 draws; 19"):
        interval(0, draws=19)
    with pytest.raises(InputError, match="finite number of mm"):
        interval(0, fwhm=-2.0)
    with pytest.raises(InputError, match="no voxel inside the brain"):
        interval(0, truth=~brain)
    with pytest.raises(GridError, match="its grid"):
        chance_interval(truth, brain, Grid((9, 8, 7), np.eye(4)), 8.0, 0)


@pytest.mark.parametrize("levels", [2, 7, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_one_sort_finds_what_sklearn_finds(brain, seed, levels):
    rng = np.random.default_rng(seed)
    truth = rng.random(SHAPE) < 0.2
    score = np.round(levels * rng.normal(truth, 1.0)) / levels
    found = rank_scores(score[brain], truth[brain])
    slow = localise(score, truth, brain)
    assert found.average_precision == pytest.approx(slow.average_precision, rel=1e-12)
    assert found.auroc == pytest.approx(slow.auroc, rel=1e-12)
    assert found.rank_accuracy == pytest.approx(slow.dice_matched, rel=1e-12)
    assert found.mass == pytest.approx(slow.mass, rel=1e-12)


def test_maps_are_smoothed_by_as_much_as_the_guide_says():
    assert FWHM_MM == 8.0
