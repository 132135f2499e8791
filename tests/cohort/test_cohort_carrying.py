"""Sums on other grids: kept exactly, in place, against tents that are written out one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxplain.cohort import PRESETS, Recipe, prepare
from voxplain.cohort.prepare.carrying import Carrier
from voxplain.errors import GridError
from voxplain.grid import Grid
from voxplain.volume import Volume


def around_origin(turn, size, shape, centre=(0, 0, 0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(turn, dtype=float) * np.asarray(size)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(tuple(shape), affine)


OBLIQUE = Rotation.from_euler("xyz", [20, -35, 12], degrees=True).as_matrix()
PSR = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])
NETWORK = around_origin(np.diag([-1, 1, 1]), (3.1, 3.2, 3), (12, 14, 13))
SCANS = {
    "finer": around_origin(np.eye(3), (1, 1, 1), (52, 60, 54)),
    "flipped, another order": around_origin(PSR, (2, 2, 2), (30, 26, 28)),
    "coarser": around_origin(np.eye(3), (5, 5, 5), (12, 13, 12)),
    "thick slices": around_origin(np.eye(3), (1.2, 1.2, 9), (46, 48, 7)),
    "oblique": around_origin(OBLIQUE, (1.7, 1.7, 1.7), (44, 46, 45)),
    "oblique, flipped, anisotropic": around_origin(
        OBLIQUE @ np.diag([1, -1, -1]), (1.5, 4, 7), (46, 20, 12)
    ),
}


def inside(grid: Grid, points: np.ndarray) -> np.ndarray:
    at = grid.to_voxel(points)
    return ((at >= -0.5) & (at <= np.array(grid.shape) - 0.5)).all(-1)


def centres(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.indices(grid.shape), -1))


def written_out(values: np.ndarray, source: Grid, target: Grid, parts) -> np.ndarray:
    """Share each source voxel out by itself, in the order in which the words say it."""
    out = np.zeros(target.shape)
    offsets = [(np.arange(n) + 0.5) / n - 0.5 for n in parts]
    points = np.array(list(product(*offsets)))
    voxels = np.argwhere(np.ones(target.shape, bool))
    at = source.to_voxel(target.to_world((voxels[:, None] + points[None]).reshape(-1, 3)))
    for index in np.argwhere(values):
        if not inside(target, source.to_world(index)):
            continue
        tent = np.clip(1 - np.abs(at - index), 0, None).prod(-1)
        share = tent.reshape(len(voxels), -1).sum(1) / tent.sum()
        out += values[tuple(index)] * share.reshape(target.shape)
    return out


def test_each_voxel_is_shared_out_by_its_tent(awkward_grids) -> None:
    rng = np.random.default_rng(0)
    for source, target in product(awkward_grids.values(), repeat=2):
        values = np.where(rng.random(source.shape) < 0.2, rng.normal(size=source.shape), 0)
        carrier = Carrier(source, target)
        wanted = written_out(values, source, target, carrier.parts)
        np.testing.assert_allclose(carrier(values, outside=False), wanted, atol=2e-6)


def test_what_lies_outside_goes_to_the_nearest_voxel_that_has_a_place(awkward_grids) -> None:
    """Each voxel by itself: its share arrives where the nearest one inside sends its own."""
    target = awkward_grids["oblique, flipped, anisotropic"].moved((6, -4, 5))
    for source in awkward_grids.values():
        carrier = Carrier(source, target)
        held = inside(target, centres(source))
        places = centres(source)[held]
        assert not held.all()
        for index in np.argwhere(~held)[::23]:
            away = np.linalg.norm(places - source.to_world(index), axis=-1)
            one = np.zeros(source.shape)
            one[tuple(index)] = 2.5
            found = carrier(one)
            assert found.sum(dtype=float) == pytest.approx(2.5, rel=1e-6)
            candidates = np.argwhere(held)[np.isclose(away, away.min(), rtol=1e-9)]
            sent = []
            for nearest in candidates:
                there = np.zeros(source.shape)
                there[tuple(nearest)] = 2.5
                sent.append(carrier(there, outside=False))
            assert min(np.abs(found - other).max() for other in sent) < 1e-6


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS.keys())
def test_sum_place_and_density_are_kept(scan) -> None:
    rng = np.random.default_rng(1)
    carrier = Carrier(NETWORK, scan)
    held = inside(scan, centres(NETWORK))
    np.testing.assert_array_equal(carrier.held, held)
    signed = rng.normal(size=NETWORK.shape)
    signed += 1e-3 - signed[held].mean()  # a small sum of large terms
    back = carrier(signed, outside=False)
    total = np.abs(signed).sum()
    assert back.sum(dtype=float) == pytest.approx(signed[held].sum(), abs=1e-6 * total)
    whole = carrier(signed)
    assert whole.sum(dtype=float) == pytest.approx(signed.sum(), abs=1e-6 * total)

    bump = np.exp(-(((centres(NETWORK) - [2, -3, 4]) / 7) ** 2).sum(-1))
    back = carrier(bump)
    assert (back >= 0).all()
    mean = (back[..., None] * centres(scan)).sum((0, 1, 2)) / back.sum(dtype=float)
    there = (bump[..., None] * centres(NETWORK)).sum((0, 1, 2)) / bump.sum()
    np.testing.assert_allclose(mean, there, atol=0.2 + 0.02 * max(scan.voxel_size))

    even = carrier(np.ones(NETWORK.shape), outside=False)
    size = np.array(NETWORK.shape) * NETWORK.voxel_size
    deep = (np.abs(centres(scan)) < size / 2 - 2 * np.max([NETWORK.voxel_size], axis=1)).all(-1)
    deep &= (np.abs(centres(scan)) < 10).all(-1)
    ratio = scan.voxel_volume / NETWORK.voxel_volume
    assert deep.any()
    assert even[deep].mean() == pytest.approx(ratio, rel=0.12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    size=st.tuples(*[st.floats(0.8, 9)] * 3),
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    centre=st.tuples(*[st.floats(-25, 25)] * 3),
    mirror=st.booleans(),
)
def test_no_share_is_lost_on_any_grid(angles, size, shape, centre, mirror) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    scan = around_origin(turn @ np.diag([-1 if mirror else 1, 1, 1]), size, shape, centre)
    source = around_origin(np.eye(3), (3, 3.3, 2.7), (7, 6, 8))
    values = np.random.default_rng(0).normal(size=source.shape)
    at = scan.to_voxel(centres(source))
    rim = np.abs(np.abs(at - (np.array(shape) - 1) / 2) - np.array(shape) / 2).min(-1)
    values[rim < 1e-9] = 0  # on a face: rounding decides
    carrier = Carrier(source, scan)
    back = carrier(values, outside=False)
    wanted = values[inside(scan, centres(source))].sum()
    assert back.sum(dtype=float) == pytest.approx(wanted, abs=1e-5 * np.abs(values).sum())
    if carrier.held.any():
        whole = carrier(values).sum(dtype=float)
        assert whole == pytest.approx(values.sum(), abs=1e-5 * np.abs(values).sum())


@pytest.mark.parametrize("scan", list(SCANS.values())[:3], ids=list(SCANS)[:3])
def test_sums_over_regions_are_kept_up_to_their_rim(scan) -> None:
    values = np.random.default_rng(2).random(NETWORK.shape)
    back = Carrier(NETWORK, scan)(values)
    here = (np.abs(centres(scan) - [1, 2, 0]) < [11, 12, 10]).all(-1)
    there = (np.abs(centres(NETWORK) - [1, 2, 0]) < [11, 12, 10]).all(-1)
    box = 22 * 24 * 20
    wanted = values[there].mean() * box / NETWORK.voxel_volume
    found = back[here].mean() * box / scan.voxel_volume
    assert found == pytest.approx(wanted, rel=0.08)


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_back_keeps_sums_of_shares_and_values_of_places() -> None:
    recipe = Recipe("own", NETWORK, align="centre")
    scan = SCANS["oblique"].moved((30, -12, 8))
    ball = np.linalg.norm(centres(scan) - [30, -12, 8], axis=-1) < 17
    prepared = prepare(Volume(100.0 * ball, scan), recipe, centre=(0.5, -0.5, 1))
    share = np.where(np.linalg.norm(centres(NETWORK), axis=-1) < 14, 0.7, 0)
    back = prepared.back(share)
    assert back.shape == scan.shape
    assert back.sum(dtype=float) == pytest.approx(share.sum(), rel=1e-5)
    place = prepared.back(share, additive=False)
    assert place.max() == pytest.approx(0.7, rel=1e-6)
    ratio = scan.voxel_volume / NETWORK.voxel_volume
    deep = np.linalg.norm(centres(prepared.placed), axis=-1) < 8
    np.testing.assert_allclose(back[deep], 0.7 * ratio, rtol=0.15)
    own = Recipe("same", scan, intensity="none")
    same = prepare(Volume(100.0 * ball, scan), own, centre=(30, -12, 8))
    np.testing.assert_array_equal(same.back(same.volume.values), same.volume.values)


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_a_gradient_on_the_scans_grid_tells_what_brightening_does() -> None:
    """A linear network, asked through the preparation: brighter by 1 in a box of the scan."""
    recipe = Recipe("own", NETWORK, intensity="none")
    scan = SCANS["finer"]
    weights = np.random.default_rng(3).normal(size=NETWORK.shape)
    weights = np.where(np.linalg.norm(centres(NETWORK), axis=-1) < 16, weights + 0.3, 0)
    head = np.where(np.linalg.norm(centres(scan), axis=-1) < 24, 100.0, 0)
    box = (np.abs(centres(scan) - [2, 0, -1]) < [9, 8, 7]).all(-1)
    before = prepare(Volume(head, scan), recipe, centre=(0, 0, 0))
    after = prepare(Volume(head + box, scan), recipe, centre=(0, 0, 0))
    change = float((weights * (after.volume.values - before.volume.values)).sum())
    back = before.back(weights)
    assert back[box].sum(dtype=float) == pytest.approx(change, rel=0.1)
    assert before.back(weights, additive=False)[box].sum(dtype=float) > 10 * change


def test_another_shape_is_refused() -> None:
    with pytest.raises(GridError, match=r"values have shape \(7, 8, 9\), their grid"):
        Carrier(PRESETS["kan2020"].grid, SCANS["finer"])(np.zeros((7, 8, 9)))
