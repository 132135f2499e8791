from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import binom, spearmanr

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust import Envelope, agreement, fwhm_of, surrogates

SHAPE = (17, 18, 16)
GRID = Grid(SHAPE, np.diag([9.0, 9, 9, 1]))
RADIUS = np.sqrt((np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE])) ** 2).sum(0))
RADIUS = np.moveaxis(RADIUS, 0, 1)
BRAIN = RADIUS <= 0.97


def noise(rng, sigma=0.8):
    pad = int(np.ceil(4 * sigma))
    wide = rng.standard_normal([n + 2 * pad for n in SHAPE])
    return gaussian_filter(wide, sigma)[pad:-pad, pad:-pad, pad:-pad]


def scan():
    """Three tissues, folded as noise is, and some texture."""
    texture = noise(np.random.default_rng(5), 1.0)
    cuts = np.quantile(texture, [1 / 3, 2 / 3])
    tissue = np.choose(np.digitize(texture, cuts), [0.3, 0.6, 1.0])
    return tissue + 0.02 * np.random.default_rng(6).standard_normal(SHAPE)


ENVELOPES = {
    "scan": (scan(), Envelope(GRID, (scan(),))),
    "radial": (np.exp(-((RADIUS / 0.5) ** 2)) + 0.05, Envelope(GRID)),
    "none": (np.ones(SHAPE), Envelope(GRID)),
}
RUNS = 20


def agreeing(shared, envelope, form):
    """How many of RUNS unrelated pairs agree, by Dice and by rank."""
    dice = rank = 0
    for run in range(RUNS):
        rng = np.random.default_rng(run)
        a, b = (form(noise(rng)) * shared for _ in range(2))
        found = agreement(a, b, BRAIN, 0.1, run, draws=30, envelope=envelope)
        dice += found.dice > found.dice_95
        rank += found.spearman > found.spearman_95
    return dice, rank


@pytest.mark.parametrize("name", ENVELOPES)
def test_maps_that_share_an_envelope_alone_seldom_agree(name):
    shared, envelope = ENVELOPES[name]
    # Were a tenth of pairs to agree falsely, 999 in 1,000 such tests would stay below.
    most = binom.ppf(0.999, RUNS, 0.10)
    assert max(agreeing(shared, envelope, np.abs)) <= most < 0.4 * RUNS
    if name != "none":
        assert min(agreeing(shared, None, np.abs)) >= 0.8 * RUNS


def test_maps_that_share_peaks_beyond_their_envelope_agree():
    shared, envelope = ENVELOPES["scan"]
    found = []
    for run in range(8):
        rng = np.random.default_rng(run)
        common = noise(rng)
        a, b = (np.abs(common + 0.7 * noise(rng)) * shared for _ in range(2))
        found.append(agreement(a, b, BRAIN, 0.1, run, draws=30, envelope=envelope))
    assert sum(f.above_chance for f in found) >= 7
    assert all(f.enveloped for f in found)
    assert np.mean([f.dice_surrogates for f in found]) > 1.2 * found[0].dice_chance
    assert np.mean([f.spearman_surrogates for f in found]) > 0.05


def test_the_fit_finds_the_spread_that_noise_was_given():
    spread = np.exp(RADIUS - 0.5 * scan())
    fits, means = [], []
    for run in range(12):
        values = noise(np.random.default_rng(run)) * spread
        mean, found = Envelope(GRID, (scan(),)).on(BRAIN).fit(values[BRAIN])
        means.append(mean)
        fits.append(np.log(found))
    truth = np.log(spread[BRAIN])
    slope = np.polyfit(truth, np.mean(fits, axis=0), 1)[0]
    assert slope == pytest.approx(1, abs=0.12)
    assert np.abs(np.mean(means, axis=0)).mean() < 0.25 * np.abs(values[BRAIN]).mean()


def test_surrogates_keep_values_smoothness_and_envelope_but_not_places():
    values = noise(np.random.default_rng(0)) * (1 + 4 * (RADIUS < 0.5))
    for envelope in (None, Envelope(GRID)):
        drawn = list(surrogates(values, BRAIN, 12, 0, envelope))
        placed = np.zeros(SHAPE)
        widths = []
        for one in drawn:
            placed[BRAIN] = one
            widths.append(fwhm_of(placed, GRID, BRAIN))
        assert np.mean(widths) == pytest.approx(fwhm_of(values, GRID, BRAIN), rel=0.15)
        middle = RADIUS[BRAIN] < 0.5
        ratio = np.mean([one[middle].std() / one[~middle].std() for one in drawn])
        if envelope is None:
            np.testing.assert_allclose(np.sort(drawn[0]), np.sort(values[BRAIN]))
            assert ratio == pytest.approx(1, abs=0.2)
        else:
            assert ratio > 2.5
        rho = [spearmanr(one, values[BRAIN]).statistic for one in drawn]
        assert abs(np.mean(rho)) < 0.2


def test_a_constant_map_has_no_envelope_to_agree_by():
    flat, rng = np.ones(SHAPE), np.random.default_rng(0)
    for pair in ((noise(rng), flat), (flat, noise(rng)), (0 * flat, noise(rng))):
        found = agreement(*pair, BRAIN, 0.1, 0, draws=20, envelope=Envelope(GRID))
        assert not found.above_chance
        assert found.spearman == pytest.approx(0, abs=1e-9)


def test_an_envelope_checks_its_input():
    with pytest.raises(InputError, match="width of an envelope must be above 0 mm; it is 0"):
        Envelope(GRID, width=0)
    with pytest.raises(GridError, match=r"image of the envelope has shape \(2, 2, 2\)"):
        Envelope(GRID, (np.ones((2, 2, 2)),))
    values = noise(np.random.default_rng(0))
    with pytest.raises(GridError, match="brain mask has shape"):
        agreement(values[1:], values[1:], BRAIN[1:], 0.1, 0, envelope=Envelope(GRID))
