"""What measures say where there is nothing to measure, and figures that are left out."""

from __future__ import annotations

import numpy as np
import pytest

from voxplain.atlas import Atlas
from voxplain.errors import GridError, VoxplainError
from voxplain.grid import Grid
from voxplain.trust.displacement import displacement
from voxplain.trust.faithfulness import imputation
from voxplain.trust.faithfulness.fidelity import make_changes
from voxplain.trust.faithfulness.regions import _rank_correlation
from voxplain.trust.fields import fwhm_of
from voxplain.trust.following import share_of_confounds
from voxplain.trust.integrity import jumps
from voxplain.trust.retraining import _contrast
from voxplain.trust.rules import read_rules
from voxplain.trust.surrogates import Fitter
from voxplain.trust.truth.controls import TMap
from voxplain.trust.truth.figures import KnownTruth, figures_of
from voxplain.volume import smooth

GRID = Grid((9, 10, 8), np.diag([2.0, 2, 2, 1]))


def test_an_atlas_too_far_away_is_as_far_as_was_looked() -> None:
    grid = Grid((20, 20, 20), np.diag([4.0, 4, 4, 1]))
    labels = np.zeros(grid.shape, np.int32)
    labels[2:6, 8:12, 8:12] = 1
    there = np.zeros(grid.shape)
    there[8:12, 8:12, 8:12] = 1
    found = displacement(Atlas(labels, grid, {1: "a"}, "test"), there, grid)
    # It lies 24 mm away, and 20 are tried.
    assert found == pytest.approx([20, 0, 0], abs=0.5)


def test_a_flat_brain_has_no_jumps() -> None:
    assert jumps(np.ones(GRID.shape, np.float32), np.ones(GRID.shape, bool)) == 0


def test_maps_that_do_not_differ_follow_nothing() -> None:
    confounds = np.random.default_rng(0).normal(size=(8, 2))
    found = share_of_confounds(np.ones((8, 5)), confounds, ["a"] * 8)
    assert (found.share, found.chance, found.limit) == (0, 0, 0)


def test_a_correlation_with_what_does_not_vary_is_none() -> None:
    rising = np.arange(5.0)
    assert _rank_correlation(np.ones(5), rising) == _rank_correlation(rising, np.ones(5)) == 0
    assert _rank_correlation(rising, -rising) == pytest.approx(-1)


def test_networks_without_a_likeness_are_not_contrasted() -> None:
    side = np.array([True, True, False, False])
    alike = np.full((4, 4), np.nan)
    assert np.isnan(_contrast(alike, side))
    alike[:2, 2:] = alike[2:, :2] = 0.25
    assert np.isnan(_contrast(alike, side))
    alike[0, 1] = alike[1, 0] = 0.75
    assert _contrast(alike, side) == 0.5


def test_smoothness_is_that_of_the_axes_along_which_there_are_neighbours() -> None:
    values = smooth(np.random.default_rng(0).normal(size=GRID.shape), GRID, 8.0)
    slab = np.zeros(GRID.shape, bool)
    slab[4] = True
    flat = Grid((2, 10, 8), GRID.affine)
    assert fwhm_of(values, GRID, slab) == fwhm_of(
        values[4:6], flat, np.stack([slab[4], slab[4] & False])
    )
    assert fwhm_of(values, GRID, slab) > 4


@pytest.mark.parametrize("shape", [(9, 10, 7), (3, 3, 3)])
def test_a_brain_on_another_grid_is_refused(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(GridError, match=r"The brain mask has shape .*, the grid"):
        make_changes(lambda x: x, image, np.ones(shape, bool), GRID, 0)


def test_a_filling_that_does_not_settle_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "_MOST_STEPS", 1)
    image = np.random.default_rng(0).normal(size=GRID.shape)
    removed = np.zeros(GRID.shape, bool)
    removed[2:7, 2:7, 2:7] = True
    with pytest.raises(VoxplainError, match="the solver did not settle"):
        imputation.Imputation().fill(image, removed, np.ones(GRID.shape, bool), 0)


def test_a_map_whose_mean_explains_it_whole_has_no_spread() -> None:
    basis = np.full((6, 1), 1 / np.sqrt(6))
    mean, spread = Fitter(basis).fit(np.full(6, -3.0))
    assert mean == pytest.approx(-3)
    assert not spread.any()
    mean, spread = Fitter(basis).fit(np.zeros(6))
    assert not mean.any()
    assert not spread.any()


def test_joined_t_maps_are_those_of_all_images_whichever_classes_they_hold() -> None:
    images = np.random.default_rng(0).normal(size=(9, 4, 4))
    labels = [0, 0, 0, 1, 1, 0, 1, 1, 0]
    whole, parts = TMap(), [TMap(), TMap(), TMap(), TMap()]
    # The first part has one class alone, and the last nothing.
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        whole.add(image, label)
        parts[i // 3].add(image, label)
    joined = TMap.joined(parts)
    assert joined.counts == whole.counts
    np.testing.assert_allclose(joined.t(), whole.t(), rtol=1e-5)


def test_places_are_left_out_where_nobody_asks_for_them() -> None:
    truth = np.zeros(GRID.shape, bool)
    truth[3:5, 3:5, 3:5] = True
    known = KnownTruth(truth, np.ones(GRID.shape, bool))
    score = np.random.default_rng(0).random(GRID.shape).astype(np.float32) + truth
    whole, part = (figures_of(score, known, GRID, placed) for placed in (True, False))
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(part[:6], whole[:6])
    assert np.isnan(part[6:]).all()


def test_the_weight_of_a_rule_may_be_changed_alone() -> None:
    rules = read_rules({"agreement": {"threshold": 0.25}, "deletion": {"weight": "care"}})
    assert (rules["agreement"].threshold, rules["deletion"].weight) == (0.25, "care")
