from __future__ import annotations

import numpy as np
import pytest
from nilearn.datasets import load_mni152_template

from voxplain.cohort import mni152_brain_mask, mni152_template
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.errors import InputError
from voxplain.grid import KAN2020_GRID, Grid


def test_template_is_nilearns_on_its_own_grid():
    theirs = load_mni152_template(resolution=1)
    ours = mni152_template()
    assert ours.grid.shape == (197, 233, 189)
    assert ours.grid.orientation == "RAS"
    np.testing.assert_array_equal(ours.grid.affine, theirs.affine)
    np.testing.assert_array_equal(ours.values, theirs.get_fdata())
    assert (ours.values.min(), ours.values.max()) == (0, 1)


def test_template_at_another_resolution():
    coarse = mni152_template(resolution=4)
    assert coarse.grid.voxel_size == pytest.approx((4, 4, 4))
    fine = mni152_template()
    for world in [(0, -20, 10), (-30, -20, -10), (40, 10, 5)]:
        i = tuple(np.rint(coarse.grid.to_voxel(world)).astype(int))
        j = tuple(np.rint(fine.grid.to_voxel(coarse.grid.to_world(i))).astype(int))
        assert coarse.values[i] == pytest.approx(fine.values[j], abs=0.1)


@pytest.mark.parametrize("resolution", [0, -1, float("nan")])
def test_template_needs_a_positive_resolution(resolution):
    with pytest.raises(InputError, match="must be above 0 mm"):
        mni152_template(resolution)


def test_mask_keeps_volume_and_place_on_any_grid():
    oblique = np.eye(4)
    angle = np.deg2rad(30)
    oblique[:2, :2] = 2 * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    oblique[2, 2] = -2
    oblique[:3, 3] = np.array([0, -18, 108]) - oblique[:3, :2] @ [70, 70]
    fine = mni152_brain_mask(mni152_template().grid)
    assert fine.dtype == bool
    volume = fine.sum()  # mm^3
    for grid in (KAN2020_GRID, Grid((140, 140, 100), oblique)):
        mask = mni152_brain_mask(grid)
        assert mask.shape == grid.shape
        assert mask.sum() * grid.voxel_volume == pytest.approx(volume, rel=0.01)
        centre = grid.to_world(np.argwhere(mask).mean(axis=0))
        np.testing.assert_allclose(centre, mni152_centre(), atol=0.3)


def test_centre_lies_on_the_midline():
    x, y, z = mni152_centre()
    assert abs(x) < 0.5
    assert -25 < y < -15
    assert 5 < z < 15
