"""Masks of all kinds, against an ellipsoid whose inside is known at every point."""

from __future__ import annotations

import itertools
import re
import warnings

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from voxplain.cohort import read_mask
from voxplain.errors import GridError, InputError, VoxplainWarning
from voxplain.grid import Grid

HALF = np.array([30.0, 38, 26])
VOLUME_ML = 4 / 3 * np.pi * HALF.prod() / 1000


def radius(grid: Grid) -> np.ndarray:
    return np.linalg.norm(grid.to_world(np.stack(np.indices(grid.shape), -1)) / HALF, axis=-1)


def around_origin(directions, size, shape) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions, dtype=float) * np.asarray(size)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(tuple(shape), affine)


def turned(angle: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, c, s], [0, -s, c]]


GRID = around_origin(np.eye(3), (2, 2, 2), (37, 45, 33))
COARSE = around_origin(np.eye(3), (3.5, 3.5, 3.5), (23, 27, 19))
INSIDE = radius(GRID) < 1


def interpolated(order: int) -> np.ndarray:
    """The mask, drawn on voxels of 3.5 mm and brought to 2 mm by a spline."""
    matrix = np.linalg.inv(COARSE.affine) @ GRID.affine
    drawn = (radius(COARSE) < 1).astype(float)
    return affine_transform(drawn, matrix, output_shape=GRID.shape, order=order)


def ml(mask: np.ndarray, grid: Grid = GRID) -> float:
    return np.count_nonzero(mask) * grid.voxel_volume / 1000


SHARES = {
    "trilinear": interpolated(1),
    "cubic": interpolated(3),
    "smoothed": gaussian_filter(INSIDE.astype(float), 1),
}


@pytest.mark.parametrize(
    ("share", "top"),
    [(share, top) for share in SHARES.values() for top in (1, 100, 255)]
    + [(SHARES[name], top) for name in ("trilinear", "smoothed") for top in (0.7, 1000)],
)
def test_values_between_are_cut_at_half(write_nifti, share, top):
    path = write_nifti(top * share, GRID, dtype=np.float32)
    assert ml(share > 0) > 1.25 * VOLUME_ML
    with pytest.warns(VoxplainWarning, match="those of at least .* were taken for brain, 12") as w:
        mask = read_mask(path, GRID)
    assert len(w) == 1
    assert f"{ml(mask):.0f} mL of {ml(share > 0):.0f} mL above 0" in str(w[0].message)
    assert ml(mask) == pytest.approx(VOLUME_ML, rel=0.03)
    np.testing.assert_array_equal(mask, (top * share).astype(np.float32) >= top / 2)


@pytest.mark.parametrize("top", [100, 255])
def test_probabilities_as_whole_numbers(write_nifti, top):
    path = write_nifti(np.rint(top * interpolated(1)), GRID, dtype=np.uint8)
    with pytest.warns(VoxplainWarning, match=f"those of at least {top / 2:g} were taken"):
        assert ml(read_mask(path, GRID)) == pytest.approx(VOLUME_ML, rel=0.03)


def test_a_probability_of_tissue(write_nifti):
    """Much of it is in between; from 0 to 1 that is a probability all the same."""
    share = np.clip(1.6 - 1.2 * radius(GRID), 0, 0.98)
    with pytest.warns(VoxplainWarning, match=r"between 0 and 0\.98.* at least 0\.5 were taken"):
        mask = read_mask(write_nifti(share, GRID), GRID)
    np.testing.assert_array_equal(mask, share.astype(np.float32) >= 0.5)


def test_scale_factors_of_the_header_count(tmp_path, write_nifti):
    """As SPM keeps probabilities: bytes, and 1/255 in the header."""
    import nibabel as nib

    image = nib.Nifti1Image(np.rint(255 * interpolated(1)).astype(np.uint8), GRID.affine)
    image.header.set_slope_inter(1 / 255, 0)
    nib.save(image, tmp_path / "c1.nii")
    with pytest.warns(VoxplainWarning, match=r"between 0 and 1, .* at least 0\.5 were"):
        assert ml(read_mask(tmp_path / "c1.nii", GRID)) == pytest.approx(VOLUME_ML, rel=0.03)


@pytest.mark.parametrize("value", [1, 255, 0.3, 1e-3, 7])
def test_two_values_need_no_word(write_nifti, value):
    path = write_nifti(value * INSIDE, GRID, dtype=np.float32)
    np.testing.assert_array_equal(read_mask(path, GRID), INSIDE)


@pytest.mark.parametrize("labels", [(1, 2, 3), tuple(range(1, 140)), (2, 41, 1035, 2035)])
def test_labels_are_brain_all_of_them(write_nifti, labels):
    drawn = np.random.default_rng(0).choice(labels, GRID.shape) * INSIDE
    np.testing.assert_array_equal(read_mask(write_nifti(drawn, GRID), GRID), INSIDE)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_intensities_are_brain_all_of_them_and_said(write_nifti, kind):
    scan = np.random.default_rng(0).gamma(9, 12, GRID.shape) + 1.5
    scan = (scan * 255 / scan.max() if kind is np.uint8 else 30 * scan) * INSIDE
    path = write_nifti(np.where(INSIDE, np.maximum(scan, 1), 0), GRID, dtype=kind)
    with pytest.warns(VoxplainWarning, match="as a scan does; all above 0 was taken for brain, 12"):
        np.testing.assert_array_equal(read_mask(path, GRID), INSIDE)


@pytest.mark.parametrize("values", [-20 * (1 - radius(GRID)), np.where(INSIDE, 1, -1)])
def test_values_below_zero_are_no_mask(write_nifti, values):
    with pytest.raises(InputError, match=r"holds values from -.* to .*; give one that is 0"):
        read_mask(write_nifti(values, GRID, dtype=np.float32), GRID)


OTHERS = {
    "finer": around_origin(np.eye(3), (1, 1, 1), (70, 86, 64)),
    "coarser": COARSE,
    "thick slices": around_origin(np.diag([-1, 1, 1]), (1.5, 1.5, 5), (48, 60, 15)),
    "oblique": around_origin(turned(17), (1.8, 2.2, 2), (52, 48, 50)),
    "oblique, flipped": around_origin(turned(-25) @ np.diag([1, -1, -1]), (2, 2, 3), (46, 50, 34)),
}


@pytest.mark.parametrize("grid", OTHERS.values(), ids=OTHERS.keys())
def test_another_grid_is_brought_over_by_the_affines(write_nifti, grid):
    path = write_nifti(radius(grid) < 1, grid, "mask.nii.gz", np.uint8)
    with pytest.warns(VoxplainWarning, match="another grid than the image .* 100 % of it lies"):
        mask = read_mask(path, GRID)
    assert ml(mask) == pytest.approx(VOLUME_ML, rel=0.04)
    clear = np.abs(radius(GRID) - 1) > 1.1 * max(grid.voxel_size) / min(HALF)
    np.testing.assert_array_equal(mask[clear], INSIDE[clear])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_axes_in_another_order_lose_no_voxel(write_nifti, order, signs):
    """Every voxel is its own mark: a mask of random voxels, up to the border."""
    sizes, shape = np.array([2.0, 2.5, 3.0]), np.array([7, 8, 9])
    target = around_origin(turned(10), sizes, shape)
    flips = np.array(signs)[list(order)]
    stored = around_origin(
        target.affine[:3, list(order)] / sizes[list(order)] * flips,
        sizes[list(order)],
        shape[list(order)],
    )
    mask = np.random.default_rng(1).random(target.shape) > 0.5
    turned_mask = np.flip(mask.transpose(order), tuple(np.flatnonzero(flips < 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_mask(write_nifti(turned_mask, stored, "m.nii", np.uint8), target)
    np.testing.assert_array_equal(found, mask)


def test_a_hundredth_of_a_millimetre_is_forgiven(write_nifti, awkward_grid):
    mask = np.random.default_rng(0).random(awkward_grid.shape) > 0.5
    path = write_nifti(mask, awkward_grid)
    for away in (0.009, 0.04 * min(awkward_grid.voxel_size)):
        tilted = awkward_grid.affine.copy()
        tilted[:3, 3] += np.array([1, -1, 1]) * away / np.sqrt(3)
        found = read_mask(path, Grid(awkward_grid.shape, tilted))
        np.testing.assert_array_equal(found, mask)
    with pytest.raises(GridError, match=r"at another place in space, up to 0\.300 mm away; resam"):
        read_mask(path, awkward_grid.moved((0, 0.3, 0)))


def test_the_same_voxels_elsewhere_are_refused(write_nifti):
    """A header that lost its affine: nobody knows which of the two is true."""
    path = write_nifti(INSIDE, np.eye(4), "mask.nii")
    said = "mask.nii and the image do not share a grid: 37×45×33 voxels of 1×1×1 mm, RAS, against"
    with pytest.raises(GridError, match=re.escape(said)):
        read_mask(path, GRID)


def test_a_mask_of_another_head_is_refused(write_nifti):
    grid = OTHERS["finer"].moved((0, 90, 0))
    path = write_nifti(radius(OTHERS["finer"]) < 1, grid, "mask.nii", np.uint8)
    with pytest.raises(GridError, match=r"Only \d % of the mask .*mask\.nii lies in the field of"):
        read_mask(path, GRID)


def test_a_mask_that_lost_its_place_is_refused(write_nifti):
    path = write_nifti(np.ones((5, 6, 7)), np.eye(4), "mask.nii", np.uint8)
    with pytest.raises(GridError, match=r"do not share a grid: 5×6×7 voxels of 1×1×1 mm, RAS, ag"):
        read_mask(path, GRID)
