from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxplain.errors import GridError
from voxplain.grid import KAN2020_GRID, Grid, require_same_grid

DIAGONAL = np.diag([2.0, 2, 2, 1])


def random_affine(seed: int, tilt: float) -> np.ndarray:
    """A signed permutation of the axes, tilted, with voxels from 0.5 to 6 mm."""
    rng = np.random.default_rng(seed)
    skew = rng.uniform(-tilt, tilt, (3, 3))
    skew = skew - skew.T
    turn, _ = np.linalg.qr(np.eye(3) + skew + skew @ skew / 2)
    turn = turn @ np.diag(np.sign(np.diag(turn)))
    order = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = turn @ order * rng.uniform(0.5, 6, 3)
    affine[:3, 3] = rng.uniform(-150, 150, 3)
    return affine


affines = st.builds(random_affine, st.integers(0, 10_000), st.floats(0, 0.35))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(affines)
def test_orientation_is_nibabels(affine):
    assert Grid((7, 8, 9), affine).orientation == "".join(nib.aff2axcodes(affine))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(affines, st.integers(0, 100))
def test_world_and_voxel_are_inverse_and_nibabels(affine, seed):
    grid = Grid((7, 8, 9), affine)
    points = np.random.default_rng(seed).uniform(-20, 20, (2, 5, 3))
    np.testing.assert_allclose(grid.to_world(points), nib.affines.apply_affine(affine, points))
    np.testing.assert_allclose(grid.to_voxel(grid.to_world(points)), points, atol=1e-9)
    assert grid.to_world((0, 0, 0)).shape == (3,)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(affines)
def test_voxel_size_and_volume(affine):
    grid = Grid((7, 8, 9), affine)
    np.testing.assert_allclose(grid.voxel_size, nib.affines.voxel_sizes(affine))
    assert grid.voxel_volume == pytest.approx(np.prod(grid.voxel_size))  # right angles


def test_volume_of_a_sheared_voxel_is_not_the_product_of_its_edges():
    sheared = np.array([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert Grid((7, 8, 9), sheared).voxel_volume == pytest.approx(3)


@pytest.mark.parametrize("flip", [False, True])
def test_covering_touches_the_faces_of_the_box(flip):
    grid = Grid.covering((-7, -4, 1), (14, 20, 10), (7, 8, 9), flip_x=flip)
    assert grid.shape == (7, 8, 9)
    assert grid.voxel_size == (3, 3, 1)
    assert grid.orientation == ("LAS" if flip else "RAS")
    ends = grid.to_world([[-0.5, -0.5, -0.5], [6.5, 7.5, 8.5]])
    np.testing.assert_allclose(ends.min(axis=0), (-7, -4, 1))
    np.testing.assert_allclose(ends.max(axis=0), (14, 20, 10))


def test_covering_refuses_an_empty_box():
    with pytest.raises(GridError, match="affine is singular"):
        Grid.covering((0, 0, 0), (10, 0, 10), (7, 8, 9))


def test_the_papers_grid_covers_fsls_field_of_view():
    assert KAN2020_GRID.shape == (58, 70, 58)
    assert KAN2020_GRID.orientation == "LAS"
    extent = np.multiply(KAN2020_GRID.voxel_size, KAN2020_GRID.shape)
    np.testing.assert_allclose(extent, (182, 218, 182))
    # FSL's MNI152_T1_1mm: 182 x 218 x 182 voxels, x = 90 - i, y = j - 126, z = k - 72.
    fsl = Grid(
        (182, 218, 182), np.array([[-1, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
    )
    for corner, other in [((-0.5, -0.5, -0.5),) * 2, ((57.5, 69.5, 57.5), (181.5, 217.5, 181.5))]:
        np.testing.assert_allclose(KAN2020_GRID.to_world(corner), fsl.to_world(other), atol=1e-9)


@pytest.mark.parametrize("shape", [(7, 8), (7, 8, 9, 1), (0, 8, 9), (7, -8, 9), ()])
def test_bad_shapes(shape):
    with pytest.raises(GridError, match="three positive axis lengths"):
        Grid(shape, DIAGONAL)


@pytest.mark.parametrize(
    "affine", [np.eye(3), np.ones(16), np.full((4, 4), np.nan), np.diag([1, np.inf, 1, 1])]
)
def test_affines_of_the_wrong_shape_or_not_finite(affine):
    with pytest.raises(GridError, match="4 x 4 matrix of finite numbers"):
        Grid((7, 8, 9), affine)


def test_affine_with_a_perspective_row():
    affine = DIAGONAL.copy()
    affine[3] = (0, 0, 1, 1)
    with pytest.raises(GridError, match="last row of an affine must be 0 0 0 1"):
        Grid((7, 8, 9), affine)


@pytest.mark.parametrize(
    "axes",
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
        [[1, 1, 0], [0, 0, 0], [0, 0, 1]],
        [[1, 2, 0], [1, 2, 0], [0, 0, 1]],
        [[1, 1, 2], [1, -1, 0], [0, 0, 0]],
    ],
)
def test_singular_affines(axes):
    affine = np.eye(4)
    affine[:3, :3] = axes
    with pytest.raises(GridError, match="affine is singular: it does not say where the voxels lie"):
        Grid((7, 8, 9), affine)


def test_tiny_and_huge_voxels_are_not_singular():
    for size in (1e-4, 1e4):
        assert Grid((7, 8, 9), np.diag([size, size, size, 1])).voxel_size == (size,) * 3


def test_a_grid_does_not_follow_the_array_it_was_made_from():
    affine = DIAGONAL.copy()
    grid = Grid((7, 8, 9), affine)
    affine[0, 3] = 99
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 5


def test_same_as_is_about_every_voxel(awkward_grids):
    for name, a in awkward_grids.items():
        for other, b in awkward_grids.items():
            assert a.same_as(b) == (name == other)
        assert a.same_as(a.moved((4e-4, 0, -4e-4)))
        assert not a.same_as(a.moved((0, 2e-3, 0)))
        assert not a.same_as(Grid((7, 8, 10), a.affine))
        tilted = a.affine.copy()
        tilted[0, 2] += 5e-4  # nothing at the first voxel, 4 um at the last
        assert not a.same_as(Grid(a.shape, tilted))


def test_same_as_forgives_the_rounding_of_a_header(awkward_grid):
    stored = awkward_grid.affine.astype(np.float32).astype(float)
    assert awkward_grid.same_as(Grid(awkward_grid.shape, stored))


def test_moved_is_a_translation_in_world_space(awkward_grid):
    moved = awkward_grid.moved((10, -20, 30))
    np.testing.assert_allclose(
        moved.to_world((1, 2, 3)), awkward_grid.to_world((1, 2, 3)) + np.array([10, -20, 30])
    )
    assert moved.shape == awkward_grid.shape


def test_require_same_grid_names_what_and_both_grids(awkward_grids):
    a, b = awkward_grids["PSR"], awkward_grids["anisotropic"]
    require_same_grid(a, Grid(a.shape, a.affine), "The mask and the image")
    with pytest.raises(
        GridError,
        match=r"^The mask and the image do not share a grid: 7×8×9 voxels of 2×2×2 mm, PSR, "
        r"against 7×8×9 voxels of 1×2\.5×3\.2 mm, RAS; resample one of them first\.$",
    ):
        require_same_grid(a, b, "The mask and the image")


def test_require_same_grid_tells_a_shift_that_the_words_hide(awkward_grids):
    a = awkward_grids["RAS"]
    with pytest.raises(
        GridError,
        match=r"RAS, against .* RAS at another place in space, up to 5\.0 mm away; resample",
    ):
        require_same_grid(a, a.moved((0, 0, 5)), "The maps")


def test_dict_goes_through_json(awkward_grid):
    text = json.dumps(awkward_grid.to_dict())
    again = Grid.from_dict(json.loads(text))
    assert again.shape == awkward_grid.shape
    np.testing.assert_array_equal(again.affine, awkward_grid.affine)


@pytest.mark.parametrize("size", [1.0, 3.0, 5.0, 40.0, 1000.0])
def test_recut_keeps_the_box(size):
    """Outer faces stay, and the voxels that fit are the nearest in size."""
    turned = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.diag([-2, 3, 3.5])
    affine[:3, 3] = 5, -7, 11
    before = Grid((40, 30, 20), affine)
    after = before.recut(size)
    for grid in (before, after):
        faces = [grid.to_world([-0.5] * 3), grid.to_world(np.asarray(grid.shape) - 0.5)]
        assert np.allclose(
            faces, [before.to_world([-0.5] * 3), before.to_world([39.5, 29.5, 19.5])]
        )
    sides = np.array([80, 90, 70])
    assert after.shape == tuple(np.maximum(1, np.round(sides / size)).astype(int))
    assert np.allclose(after.voxel_size, sides / after.shape)
    with pytest.raises(GridError, match="must be above 0 mm; nan"):
        before.recut(float("nan"))


def test_near_is_within_a_twentieth_of_the_smallest_edge():
    affine = np.diag([3.0, 2.0, 4.0, 1.0])
    shifted = affine.copy()
    for gap, near in ((0.097, True), (0.103, False)):
        shifted[2, 3] = gap
        assert Grid((5, 6, 7), affine).near(Grid((5, 6, 7), shifted)) == near
