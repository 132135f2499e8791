"""Masks of a stated size, and random ones that are as smooth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.fields import fwhm_of
from voxplain.trust.masks import hard_mask, overlap, random_score, soft_mask

RNG = np.random.default_rng(0)
GRID = Grid((20, 22, 24), np.diag([-2.0, 2, 2, 1]))
BRAIN = np.zeros(GRID.shape, bool)
BRAIN[2:18, 3:20, 2:22] = True
SCORE = np.abs(gaussian_filter(RNG.normal(size=GRID.shape), 1.5))


def test_hard_masks_keep_the_strongest() -> None:
    made = hard_mask(SCORE, BRAIN, 0.1)
    assert made.sum() == round(0.1 * BRAIN.sum())
    assert not made[~BRAIN].any()
    assert SCORE[made == 1].min() >= SCORE[BRAIN & (made == 0)].max()


def test_soft_masks_let_as_much_through() -> None:
    made = soft_mask(SCORE, BRAIN, 0.1)
    assert made[BRAIN].mean() == pytest.approx(0.1, rel=0.01)
    assert not made[~BRAIN].any()
    np.testing.assert_array_equal(np.argsort(made[BRAIN]), np.argsort(SCORE[BRAIN]))
    np.testing.assert_allclose(soft_mask(7 * SCORE, BRAIN, 0.1), made)


def test_random_scores_are_as_smooth_and_know_nothing() -> None:
    made = [random_score(SCORE, GRID, BRAIN, seed) for seed in range(12)]
    widths = [fwhm_of(one, GRID, BRAIN) for one in made]
    assert np.mean(widths) == pytest.approx(fwhm_of(SCORE, GRID, BRAIN), rel=0.15)
    similar = [np.corrcoef(one[BRAIN], SCORE[BRAIN])[0, 1] for one in made]
    assert abs(np.mean(similar)) < 0.1
    np.testing.assert_array_equal(made[3], random_score(SCORE, GRID, BRAIN, 3))


@pytest.mark.parametrize("make", [hard_mask, soft_mask])
@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_shares_that_cannot_be(make, share: float) -> None:
    with pytest.raises(InputError, match="share of the brain must lie between 0 and 1"):
        make(SCORE, BRAIN, share)


def test_overlap_counts_voxels_one_by_one() -> None:
    truth = np.zeros(GRID.shape, bool)
    truth[4:9, 5:9, 6:12] = True
    for mask in (hard_mask(SCORE, BRAIN, 0.2), soft_mask(SCORE, BRAIN, 0.2)):
        shared = whole = 0.0
        for weight, inside in zip(mask.ravel(), truth.ravel(), strict=True):
            whole += float(weight)
            shared += float(weight) * bool(inside)
        found = overlap(mask, truth)
        assert found.precision == pytest.approx(shared / whole)
        assert found.sensitivity == pytest.approx(shared / truth.sum())
    assert overlap(truth, truth) == (1, 1)
    assert overlap(~truth, truth) == (0, 0)
    with pytest.raises(GridError, match="both must lie on one grid"):
        overlap(SCORE[1:], truth)
    with pytest.raises(InputError, match="empty mask or true region"):
        overlap(0 * SCORE, truth)
