"""Intensities that were shifted, rescaled or centred: the same brain comes out, or a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxplain.cohort import PRESETS, prepare
from voxplain.cohort.prepare.background import find_tissue
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

KAN = PRESETS["kan2020"]
ZSCORE = replace(KAN, intensity="zscore")
HISTOGRAM = replace(KAN, intensity="histogram")
NONE = replace(KAN, intensity="none")
GRID = Grid.covering((-80, -110, -60), (80, 74, 84), (40, 46, 36))
RADIUS = np.linalg.norm(
    (GRID.to_world(np.stack(np.indices(GRID.shape), -1)) - [0, -18, 9]) / [62, 80, 62], axis=-1
)
BRAIN = RADIUS < 1
BRAIN_ML = np.count_nonzero(BRAIN) * GRID.voxel_volume / 1000
RAW = np.where(BRAIN, np.random.default_rng(0).gamma(9, 40, GRID.shape) + 20, 0).astype("f4")
NOISY = np.where(BRAIN, RAW, np.random.default_rng(1).rayleigh(6, GRID.shape)).astype("f4")


def of(values: np.ndarray) -> Volume:
    return Volume(values, GRID, "01")


def zscored_inside(values: np.ndarray) -> np.ndarray:
    out = np.zeros_like(values)
    out[BRAIN] = (values[BRAIN] - values[BRAIN].mean()) / values[BRAIN].std()
    return out


CHANGES = {
    "z-scored over the whole image": lambda v: (v - v.mean()) / v.std(),
    "mean-centred": lambda v: v - v.mean(),
    "rescaled to [-1, 1]": lambda v: 2 * v / v.max() - 1,
    "offset of a CT": lambda v: v - 1024,
    "offset of unsigned numbers": lambda v: v + 32768,
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("recipe", [KAN, ZSCORE, HISTOGRAM], ids=lambda r: r.intensity)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_shifted_background_is_found(change, recipe, masked) -> None:
    mask = BRAIN if masked else None
    wanted = prepare(of(RAW), recipe, mask)
    found = prepare(of(change(RAW)), recipe, mask)
    assert found.brain_ml == pytest.approx(wanted.brain_ml)
    top = np.abs(wanted.volume.values).max()
    np.testing.assert_allclose(found.volume.values, wanted.volume.values, atol=2e-3 * top)
    (note,) = found.notes
    assert "taken away from every voxel, so that background is 0" in note
    assert wanted.notes == ()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("recipe", [ZSCORE, HISTOGRAM], ids=lambda r: r.intensity)
def test_zscored_in_the_brain(recipe, masked) -> None:
    mask = BRAIN if masked else None
    wanted = prepare(of(RAW), recipe)
    found = prepare(of(zscored_inside(RAW)), recipe, mask)
    assert found.brain_ml == pytest.approx(BRAIN_ML, rel=1e-3)
    np.testing.assert_allclose(found.volume.values, wanted.volume.values, atol=2e-3)
    told = " ".join(found.notes)
    assert ("without a mask, all that is not exactly 0 was taken for brain" in told) != masked


def test_zscored_as_it_is_keeps_its_values() -> None:
    z = zscored_inside(RAW)
    found = prepare(of(z), replace(NONE, grid=GRID), BRAIN)
    np.testing.assert_array_equal(found.volume.values, z)


@pytest.mark.parametrize("change", list(CHANGES.values())[:3], ids=list(CHANGES)[:3])
def test_noise_around_a_centred_head(change) -> None:
    """With a mask the brain is known; without one it is not, and that is said."""
    scan = of(change(NOISY))
    with pytest.raises(InputError, match=r"% of the scan's voxels are negative.*give the brain's"):
        prepare(scan, ZSCORE)
    wanted = prepare(of(NOISY), ZSCORE, BRAIN)
    found = prepare(scan, ZSCORE, BRAIN)
    assert found.brain_ml == pytest.approx(BRAIN_ML, rel=1e-3)
    np.testing.assert_allclose(found.volume.values, wanted.volume.values, atol=2e-3)


@pytest.mark.parametrize("masked", [False, True])
def test_a_percentile_needs_a_zero(masked) -> None:
    scan = of(zscored_inside(RAW))
    with pytest.raises(InputError, match="no zero from which to scale a percentile; give the"):
        prepare(scan, KAN, BRAIN if masked else None)
    with pytest.raises(InputError, match="no zero from which to divide by a bias field"):
        prepare(scan, replace(ZSCORE, bias_field=True), BRAIN)


def test_ringing_is_not_taken_for_centring() -> None:
    """A spline that undershoots beside the skull leaves small negative values outside the brain."""
    values = RAW.copy()
    rim = (RADIUS > 1) & (RADIUS < 1.05)
    values[rim] = -0.03 * RAW.max()
    for mask in (None, BRAIN):
        tissue = find_tissue(of(values), mask)
        assert not tissue.centred
        np.testing.assert_array_equal(tissue.inside, BRAIN)


@pytest.mark.parametrize(("depth", "centred"), [(0.048, False), (0.052, True)])
def test_below_is_what_lies_a_twentieth_of_the_top_below(depth: float, centred: bool) -> None:
    """The top is the 99th percentile of what is not background, of whatever sign."""
    values = np.where(BRAIN, 100, 0).astype("f4")
    values[(RADIUS > 1) & (RADIUS < 1.05)] = -100 * depth
    assert find_tissue(of(values), BRAIN).centred == centred


@pytest.mark.parametrize(("share", "centred"), [(0.01, False), (0.05, True)])
def test_a_scan_is_centred_where_several_percent_are_negative(share: float, centred: bool) -> None:
    values = RAW.copy()
    inside = np.argwhere(BRAIN)
    chosen = inside[:: round(1 / share)]
    values[tuple(chosen.T)] = -0.5 * RAW.max()
    assert find_tissue(of(values), BRAIN).centred == centred


def test_a_bright_border_is_no_background() -> None:
    """Tissue that fills the box has a constant border too, where it is clipped."""
    values = np.full(GRID.shape, 100, "f4")
    values[BRAIN] = np.where(RADIUS[BRAIN] < 0.5, 200, 0)
    np.testing.assert_array_equal(find_tissue(of(values), None).values, values)


def test_zeros_in_the_mask_hold_no_tissue_unless_centred() -> None:
    generous = RADIUS < 1.1
    np.testing.assert_array_equal(find_tissue(of(RAW), generous).inside, BRAIN)
    whole = np.rint(2 * zscored_inside(RAW)).astype("f4")
    assert (whole[BRAIN] == 0).mean() > 0.1
    np.testing.assert_array_equal(find_tissue(of(whole), BRAIN).inside, BRAIN)


def test_nothing_above_the_background() -> None:
    with pytest.raises(InputError, match="no voxel above zero; background must be 0"):
        prepare(of(-RAW), ZSCORE)
    with pytest.raises(InputError, match="no voxel above zero in its mask; check that the mask"):
        prepare(of(RAW), ZSCORE, RADIUS > 1.2)


def test_a_head_that_reaches_the_border_is_still_noticed() -> None:
    with pytest.warns(VoxplainWarning, match="like a whole head; give the brain's --mask"):
        prepare(of(NOISY + 1), ZSCORE)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    gain=st.floats(1e-3, 1e3), offset=st.floats(-5, 5), masked=st.booleans(), seed=st.integers(0, 9)
)
def test_gain_and_offset_never_matter(gain: float, offset: float, masked: bool, seed: int) -> None:
    """The prepared brain is that of the scan before ``gain * (scan + offset of its range)``."""
    rng = np.random.default_rng(seed)
    raw = np.where(BRAIN, rng.gamma(9, 40, GRID.shape) + 20, 0)
    changed = of(gain * (raw + offset * raw.max()))
    wanted = find_tissue(of(raw), BRAIN if masked else None)
    found = find_tissue(changed, BRAIN if masked else None)
    np.testing.assert_array_equal(found.inside, wanted.inside)
    np.testing.assert_allclose(
        found.values / gain, wanted.values, atol=1e-5 * (1 + abs(offset)) * raw.max()
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_voxel_without_a_number_is_one_too_many(value: float) -> None:
    values = RAW.copy()
    values[20, 20, 20] = value
    with pytest.raises(InputError, match="NaN or infinite voxels; set them to 0"):
        find_tissue(of(values), None)
