from __future__ import annotations

import numpy as np
import pytest
from group_maps import GRID
from scipy.ndimage import gaussian_filter

from voxplain.errors import GridError, InputError
from voxplain.group import mean_magnitude, mean_map
from voxplain.maps import AttributionMap
from voxplain.provenance import Provenance


def attribution(values, subject="01", **changes):
    fields = {
        "grid": GRID,
        "method": "gradient",
        "target": "case",
        "unit": "logit per unit of intensity",
        "sign": "raises the logit",
    } | changes
    provenance = Provenance(
        fields["method"], {}, "logit 1", None, "Net", "0" * 64, "float32", "cpu", 0, {}, {}
    )
    return AttributionMap(values, subject=subject, provenance=provenance, **fields)


def test_mean_is_signed_and_exact():
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((6, *GRID.shape)).astype(np.float32)
    group = mean_map(attribution(a, f"{i:02d}") for i, a in enumerate(arrays))
    slow = np.zeros(GRID.shape)
    for index in np.ndindex(GRID.shape):
        slow[index] = sum(float(a[index]) for a in arrays) / 6
    assert group.values == pytest.approx(slow, rel=1e-6, abs=1e-7)
    assert (group.values < 0).any()
    assert group.values.dtype == np.float32
    assert (group.n_subjects, group.statistic, group.method) == (6, "mean", "gradient")
    assert (group.target, group.unit) == ("case", "logit per unit of intensity")
    assert group.grid.same_as(GRID)


def test_small_values_survive_large_ones_that_cancel():
    large, small = np.full(GRID.shape, 1e8), np.full(GRID.shape, 1.0)
    group = mean_map([attribution(large, "1"), attribution(small, "2"), attribution(-large, "3")])
    assert (group.values == np.float32(1 / 3)).all()


def test_several_maps_of_one_subject_are_one_subject():
    zero = np.zeros(GRID.shape)
    assert mean_map(attribution(zero, s) for s in ("1", "1", "2")).n_subjects == 2
    assert mean_map(attribution(zero, s) for s in ("", "", "2")).n_subjects == 3


@pytest.mark.parametrize(
    ("trait", "other"), [("method", "grad-cam"), ("target", "control"), ("unit", "1")]
)
def test_unlike_maps_are_not_averaged(trait, other):
    zero = np.zeros(GRID.shape)
    with pytest.raises(InputError, match=f"maps of one {trait}; .* and '{other}' were given"):
        mean_map([attribution(zero), attribution(zero, **{trait: other})])


def test_maps_on_two_grids_are_not_averaged():
    zero = np.zeros(GRID.shape)
    with pytest.raises(GridError, match="The maps of 'a' and 'b' do not share a grid"):
        mean_map([attribution(zero, "a"), attribution(zero, "b", grid=GRID.moved([1, 0, 0]))])


def test_nothing_has_no_mean():
    with pytest.raises(InputError, match="at least one map"):
        mean_map([])


@pytest.mark.parametrize("given", [3, [np.ones(GRID.shape)], ["map.nii.gz"]])
def test_what_is_no_map_is_told(given):
    with pytest.raises(InputError, match=r"A mean map needs several AttributionMap.*was given"):
        mean_map(given)


def test_one_map_is_its_own_mean():
    values = np.arange(504.0).reshape(GRID.shape)
    assert (mean_map(attribution(values)).values == values).all()


def test_magnitudes_do_not_cancel_and_are_taken_after_smoothing():
    rng = np.random.default_rng(1)
    arrays = rng.standard_normal((4, *GRID.shape)).astype(np.float32)
    both = [attribution(sign * a, f"{i}{sign}") for i, a in enumerate(arrays) for sign in (1, -1)]
    assert np.abs(mean_map(both).values).max() < 1e-6
    for fwhm in (0.0, 6.0):
        sigma = fwhm / 2.3548200450309493 / np.linalg.norm(GRID.affine[:3, :3], axis=0)
        smoothed = [gaussian_filter(a, sigma, mode="constant") if fwhm else a for a in arrays]
        found = mean_magnitude(both, fwhm)
        assert (found.statistic, found.n_subjects) == ("mean magnitude", 8)
        np.testing.assert_allclose(found.values, np.mean(np.abs(smoothed), axis=0), rtol=1e-4)
    with pytest.raises(InputError, match="width"):
        mean_magnitude(both, -1.0)
