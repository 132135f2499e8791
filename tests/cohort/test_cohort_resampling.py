"""The fast way on parallel axes against filter and interpolation one after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.cohort.prepare.resampling import downsample
from voxplain.grid import Grid
from voxplain.volume import resample

RNG = np.random.default_rng(0)
TARGET = Grid.covering((-20, -25, -18), (19, 24, 20), (9, 11, 8), flip_x=True)


def turned(order: tuple[int, ...], signs: tuple[int, ...]) -> Grid:
    """A grid of 1.1, 1.7 and 2.3 mm whose axes run along the world's in any order and sense."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * np.array([1.1, 1.7, 2.3]) * np.array(signs)
    shape = (31, 23, 17)
    affine[:3, 3] = [0.4, -0.7, 1.2] - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
def test_any_order_and_sense_of_the_axes(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    source = turned(order, signs)
    values = RNG.normal(100, 20, source.shape).astype(np.float32)
    found = downsample(values, source, TARGET)
    size = np.array(source.voxel_size)
    extent = np.array(TARGET.voxel_size)[list(order)]
    sigma = np.maximum(0, extent - size) / 2 / size
    wanted = resample(gaussian_filter(values, sigma, mode="nearest"), source, TARGET)
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    # At the very rim, rounding decides whether a voxel still lies in the field of view.
    at = np.abs(TARGET.to_world(np.stack(np.indices(TARGET.shape), -1)) - [0.4, -0.7, 1.2])
    half = np.abs(source.affine[:3, :3]) @ ((np.array(source.shape) - 1) / 2)
    clear = np.abs(at - half).min(-1) > 1e-3
    assert clear.mean() > 0.9
    assert (found[clear] == 0).any()
    np.testing.assert_allclose(found[clear], wanted[clear], atol=2e-4)


def test_oblique_grids_take_the_general_way() -> None:
    source = turned((0, 1, 2), (1, 1, 1))
    angle = np.deg2rad(7)
    affine = source.affine.copy()
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine[:3, :3] = turn @ affine[:3, :3]
    oblique = Grid(source.shape, affine)
    values = RNG.normal(100, 20, source.shape).astype(np.float32)
    size, directions = np.array(oblique.voxel_size), affine[:3, :3] / np.array(oblique.voxel_size)
    extent = [
        np.linalg.norm([TARGET.affine[:3, j] @ directions[:, i] for j in range(3)])
        for i in range(3)
    ]
    sigma = np.maximum(0, extent - size) / 2 / size
    wanted = resample(gaussian_filter(values, sigma, mode="nearest"), oblique, TARGET)
    np.testing.assert_allclose(downsample(values, oblique, TARGET), wanted, atol=1e-4)


def test_larger_voxels_alone_are_smoothed() -> None:
    source = turned((0, 1, 2), (1, 1, 1))
    values = RNG.normal(100, 20, source.shape).astype(np.float32)
    assert downsample(values, source, source) is values
    fine = Grid.covering((-5, -5, -5), (5, 5, 5), (10, 8, 6))
    np.testing.assert_array_equal(downsample(values, source, fine), resample(values, source, fine))
