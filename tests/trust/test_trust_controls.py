from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import ttest_ind

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust import TMap, edge_filter

SHAPE = (7, 8, 9)


def one_voxel(value):
    image = np.zeros(SHAPE)
    image[3, 4, 5] = value
    return image


def oblique():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.0, -3.0, 4.5])
    affine[:3, 3] = 5, -7, 11
    return Grid((19, 15, 13), affine)


def sheared():
    affine = np.diag([2.0, -3.0, 4.5, 1.0])
    affine[0, 1] = 1.0
    return Grid((19, 15, 13), affine)


@pytest.mark.parametrize("grid", [oblique(), sheared()], ids=["oblique", "sheared"])
@pytest.mark.parametrize("sigma", [0.0, 2.5])
def test_a_ramp_in_space_has_its_slope_on_any_grid(grid, sigma):
    slope = np.array([0.3, -1.2, 0.5])
    places = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    edges = edge_filter(places @ slope, grid, sigma)
    middle = edges[7:-7, 5:-5, 4:-4]
    assert middle.size > 0
    assert middle == pytest.approx(np.full(middle.shape, np.linalg.norm(slope)), rel=1e-5)


def test_edges_equal_explicit_central_differences():
    grid = Grid(SHAPE, np.diag([-2.0, 3.0, 4.5, 1.0]))
    image = np.random.default_rng(2).standard_normal(SHAPE)
    smooth = gaussian_filter(image, [1.5, 1.0, 2 / 3], mode="nearest")
    edges = edge_filter(image, grid, 3.0)
    for i, j, k in ((1, 1, 1), (3, 5, 7), (5, 2, 4)):
        dx = (smooth[i + 1, j, k] - smooth[i - 1, j, k]) / 4.0
        dy = (smooth[i, j + 1, k] - smooth[i, j - 1, k]) / 6.0
        dz = (smooth[i, j, k + 1] - smooth[i, j, k - 1]) / 9.0
        assert edges[i, j, k] == pytest.approx(np.sqrt(dx**2 + dy**2 + dz**2), rel=1e-6)


def test_the_border_of_the_box_is_no_edge():
    grid = Grid((6, 1, 5), np.diag([1.0, 2.0, 3.0, 1.0]))
    assert edge_filter(np.full(grid.shape, 800.0), grid, 4.0).max() < 1e-9


def test_edge_filter_refuses_what_it_cannot_use():
    grid = Grid(SHAPE, np.eye(4))
    with pytest.raises(GridError, match=r"its grid \(7, 8, 9\)"):
        edge_filter(np.zeros((9, 8, 7)), grid, 1.0)
    with pytest.raises(InputError, match="finite number of mm"):
        edge_filter(np.zeros(SHAPE), grid, -1.0)
    with pytest.raises(InputError, match="not finite"):
        edge_filter(one_voxel(np.nan), grid, 1.0)


def test_t_equals_scipys_welch_t():
    rng = np.random.default_rng(4)
    images = (1000 + 30 * rng.standard_normal((23, *SHAPE))).astype(np.float32)
    labels = np.arange(23) % 3 == 0
    images[labels, 2] += 80 * rng.random((8, *SHAPE[1:]))
    tmap = TMap()
    for image, label in zip(images, labels, strict=True):
        tmap.add(image, int(label))
    expected = ttest_ind(
        images[labels].astype(float), images[~labels].astype(float), equal_var=False
    ).statistic
    assert tmap.counts == (15, 8)
    assert tmap.t() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert tmap.t()[2].mean() > 1


def test_voxels_without_variance_have_a_t_of_zero():
    rng = np.random.default_rng(5)
    tmap = TMap()
    for label in (0, 0, 0, 1, 1, 1):
        image = rng.standard_normal(SHAPE)
        image[0] = 0.1
        image[1] = 0.1 + label
        tmap.add(image, label)
    t = tmap.t()
    assert np.isfinite(t).all()
    assert (t[:2] == 0).all()
    assert (t[2:] != 0).all()


def test_t_map_refuses_what_it_cannot_compare():
    tmap = TMap()
    with pytest.raises(InputError, match="there are 0 and 0"):
        tmap.t()
    tmap.add(np.zeros(SHAPE), 0)
    tmap.add(np.zeros(SHAPE), 0)
    tmap.add(np.zeros(SHAPE), 1)
    with pytest.raises(InputError, match="there are 2 and 1"):
        tmap.t()
    with pytest.raises(InputError, match="label 2 was given"):
        tmap.add(np.zeros(SHAPE), 2)
    with pytest.raises(GridError, match="those before"):
        tmap.add(np.zeros((9, 8, 7)), 1)
    with pytest.raises(InputError, match="not finite"):
        tmap.add(one_voxel(np.inf), 1)


def test_parts_joined_are_the_whole() -> None:
    rng = np.random.default_rng(2)
    images = rng.normal(3, 2, (11, 4, 5, 6))
    labels = [0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1]
    parts, whole = [TMap(), TMap(), TMap(), TMap()], TMap()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        parts[(0, 2, 3)[number % 3]].add(image, label)
        whole.add(image, label)
    joined = TMap.joined(parts)
    assert joined.counts == whole.counts
    np.testing.assert_allclose(joined.t(), whole.t(), rtol=1e-6)
