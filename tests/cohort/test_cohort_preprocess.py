from __future__ import annotations

import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from voxplain.cohort import PRESETS, Recipe, prepare
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.errors import GridError, InputError, VoxplainWarning
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.volume import Volume

KAN = PRESETS["kan2020"]
CENTRED = replace(KAN, align="centre")
CENTRE = np.array([0.0, -18.0, 9.0])  # of the test brains, a few mm from MNI152's


def rotation(x: float, y: float, z: float) -> np.ndarray:
    out = np.eye(3)
    for axis, angle in enumerate(np.deg2rad([x, y, z])):
        i, j = {0: (1, 2), 1: (2, 0), 2: (0, 1)}[axis]
        about = np.eye(3)
        about[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        out = out @ about
    return out


def grid_around(directions, voxel_size, shape, centre=CENTRE) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions) * np.asarray(voxel_size)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


PSR = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])
SOURCES = {
    "RAS": grid_around(np.eye(3), (2.5, 2.5, 2.5), (56, 68, 56)),
    "LAS flipped": grid_around(np.diag([-1, 1, 1]), (2.5, 2.5, 2.5), (56, 68, 56)),
    "LPI": grid_around(np.diag([-1, -1, -1]), (2.5, 2.5, 2.5), (56, 68, 56)),
    "PSR": grid_around(PSR, (2.5, 2.5, 2.5), (68, 56, 56)),
    "oblique": grid_around(rotation(10, -15, 8), (2.5, 2.5, 2.5), (60, 72, 60)),
    "oblique PSR, thick slices": grid_around(
        rotation(-12, 6, 15) @ PSR, (1.8, 2.5, 5), (100, 60, 30)
    ),
}


def world(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.indices(grid.shape), axis=-1))


def radius(grid: Grid, centre=CENTRE) -> np.ndarray:
    """1 on the surface of an ellipsoid of 1290 mL, less inside."""
    return np.linalg.norm((world(grid) - centre) / [62, 80, 62], axis=-1)


def brain(grid: Grid, centre=CENTRE) -> Volume:
    values = np.where(radius(grid, centre) < 1, 100 + world(grid) @ [0.1, 0.2, 0.3], 0)
    return Volume(values, grid, "01")


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def source(request) -> Grid:
    return request.param


def test_preset_is_the_papers():
    assert KAN.grid is KAN2020_GRID
    assert (KAN.percentile, KAN.level) == (95, 1000)


def test_values_linear_in_world_space_arrive_where_they_belong(source):
    """Trilinear interpolation and a symmetric filter keep a linear function as it is."""
    ramp = (100 + world(source) @ [0.31, -0.17, 0.23]).astype(np.float32)
    inside = radius(source) < 1
    prepared = prepare(Volume(ramp, source, "07"), KAN, mask=inside)
    scale = 1000 / np.percentile(ramp[inside], 95)
    expected = scale * (100 + world(KAN.grid) @ [0.31, -0.17, 0.23])
    deep = radius(KAN.grid) < 0.85
    assert deep.sum() > 10_000
    np.testing.assert_allclose(prepared.volume.values[deep], expected[deep], rtol=1e-4)
    assert prepared.volume.subject == "07"
    assert prepared.volume.grid is KAN.grid
    assert prepared.notes == ()


def test_the_way_back_keeps_place_and_unit(source):
    prepared = prepare(brain(source), KAN)
    back = prepared.back(world(KAN.grid) @ [1.0, -2.0, 3.0], additive=False)
    assert back.shape == source.shape
    assert back.dtype == np.float32
    expected = world(source) @ [1.0, -2.0, 3.0]
    deep = radius(source) < 1  # well inside the network's field of view
    np.testing.assert_allclose(back[deep], expected[deep], atol=1e-2)


@pytest.mark.parametrize("mark", [(35, -20, 10), (-30, 25, -15), (10, -70, 30)])
def test_a_marked_voxel_there_and_back(source, mark):
    scan = brain(source)
    voxel = tuple(np.rint(source.to_voxel(mark)).astype(int))
    marked = scan.values.copy()
    marked[voxel] = 5000
    at = source.to_world(voxel)
    prepared = prepare(Volume(marked, source), KAN)
    difference = np.abs(prepared.volume.values - prepare(scan, KAN).volume.values)
    found = KAN.grid.to_world(np.unravel_index(difference.argmax(), difference.shape))
    assert np.abs(found - at).max() < 3.11  # one voxel of the network
    assert np.sign(found[0]) == np.sign(mark[0])

    there = tuple(np.rint(KAN.grid.to_voxel(mark)).astype(int))
    map_there = np.zeros(KAN.grid.shape)
    map_there[there] = 1
    back = prepared.back(map_there)
    found = source.to_world(np.unravel_index(back.argmax(), back.shape))
    half_diagonal = np.linalg.norm(source.voxel_size) / 2
    assert np.linalg.norm(found - KAN.grid.to_world(there)) <= half_diagonal + 0.01
    assert np.sign(found[0]) == np.sign(mark[0])


def test_storage_order_does_not_matter():
    rng = np.random.default_rng(0)
    grid = SOURCES["PSR"]
    values = np.where(radius(grid) < 1, rng.uniform(50, 150, grid.shape), 0).astype(np.float32)
    stored = nib.Nifti1Image(values, grid.affine)
    turned = nib.as_closest_canonical(stored)
    other = Volume(turned.get_fdata(dtype=np.float32), Grid(turned.shape, turned.affine))
    assert other.grid.orientation == "RAS"
    a = prepare(Volume(values, grid), KAN).volume.values
    b = prepare(other, KAN).volume.values
    np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.parametrize("gain", [1e-3, 1, 37.0])
def test_percentile_of_what_is_above_zero_is_scaled(gain):
    rng = np.random.default_rng(1)
    values = np.where(radius(KAN.grid) < 1, rng.gamma(4, 20, KAN.grid.shape), 0)
    values[:3] = -5  # not above zero: without influence on the scale
    prepared = prepare(Volume(gain * values, KAN.grid), KAN)
    result = prepared.volume.values
    assert np.percentile(result[result > 0], 95) == pytest.approx(1000, rel=1e-5)
    expected = values * 1000 / np.percentile(values[values > 0], 95)
    np.testing.assert_allclose(result, expected, rtol=1e-5)  # same grid: no filter, no resampling


def test_input_is_left_alone():
    scan = brain(KAN.grid)
    before = scan.values.copy()
    mask = radius(KAN.grid) < 0.9
    prepare(scan, KAN, mask=mask)
    np.testing.assert_array_equal(scan.values, before)
    assert prepare(scan, KAN).volume.values is not scan.values


def test_filter_is_that_of_skimage_resize_on_parallel_grids():
    """Second derivation: (factor - 1) / 2 source voxels per axis, then the affines by hand."""
    rng = np.random.default_rng(2)
    grid = grid_around(np.diag([-1, 1, 1]), (1.6, 2.2, 2.5), (80, 75, 55))
    values = np.where(radius(grid) < 1, rng.uniform(0, 200, grid.shape), 0)
    factor = np.abs(np.diag(KAN.grid.affine)[:3]) / (1.6, 2.2, 2.5)
    blurred = gaussian_filter(values, (factor - 1) / 2)
    at = np.moveaxis(grid.to_voxel(world(KAN.grid)), -1, 0)
    expected = map_coordinates(blurred, at, order=1) * 1000 / np.percentile(values[values > 0], 95)
    result = prepare(Volume(values, grid), KAN).volume.values
    np.testing.assert_allclose(result, expected, atol=0.05)


def test_filter_follows_the_axes_of_the_target():
    """A target of 3, 4 and 2.5 mm along world x, y and z, stored PSR."""
    target = grid_around(PSR, (4, 2.5, 3), (50, 60, 50))
    recipe = Recipe("other", target, percentile=50, level=10)
    rng = np.random.default_rng(3)
    grid = SOURCES["RAS"]
    values = np.where(radius(grid) < 1, rng.uniform(0, 200, grid.shape), 0)
    blurred = gaussian_filter(values, np.array([0.5, 1.5, 0]) / 2 / 2.5)
    at = np.moveaxis(grid.to_voxel(world(target)), -1, 0)
    expected = map_coordinates(blurred, at, order=1) * 10 / np.median(values[values > 0])
    result = prepare(Volume(values, grid), recipe).volume.values
    np.testing.assert_allclose(result, expected, atol=5e-4)


@pytest.mark.parametrize("turn", [(0, 0, 90), (25, -30, 40)])
def test_filter_has_the_same_width_in_mm_however_the_scan_is_turned(turn):
    """Measured by how much it dampens a wave of 10 mm along each axis of the scan."""
    directions = rotation(*turn)
    grid = grid_around(directions, (1.2, 1.2, 1.2), (110, 136, 110))
    deep = radius(KAN.grid) < 0.8
    for axis in directions.T:
        wave = 100 + 50 * np.sin(2 * np.pi / 10 * (world(grid) @ axis))
        wave[radius(grid) > 1] = 0
        result = prepare(Volume(wave, grid), KAN).volume.values[deep]
        phase = 2 * np.pi / 10 * (world(KAN.grid)[deep] @ axis)
        basis = np.stack([np.ones_like(phase), np.sin(phase), np.cos(phase)], axis=-1)
        mean, sine, cosine = np.linalg.lstsq(basis, result, rcond=None)[0]
        damping = np.hypot(sine, cosine) / mean * 100 / 50
        variance = -np.log(damping) * 10**2 / (2 * np.pi**2)
        # The trilinear kernel, which no one escapes, adds the variance of a triangle, s^2 / 6.
        expected = ((3.13 - 1.2) / 2) ** 2 + 1.2**2 / 6
        assert variance == pytest.approx(expected, rel=0.04)


def test_thick_slices_are_not_blurred_further():
    grid = grid_around(np.eye(3), (2, 2, 5), (70, 90, 30))
    values = 100.0 * (radius(grid) < 1)
    values[:, :, 15] *= 2
    result = prepare(Volume(values, grid), KAN).volume.values
    at = np.rint(KAN.grid.to_voxel(CENTRE)).astype(int)
    z = world(KAN.grid)[at[0], at[1], :, 2]
    slice_z = grid.to_world((0, 0, 15))[2]
    weight = np.clip(1 - np.abs(z - slice_z) / 5, 0, None)
    inner = np.abs(z - CENTRE[2]) < 40
    ratio = result[at[0], at[1]] / (1000 / np.percentile(values[values > 0], 95)) / 100
    np.testing.assert_allclose(ratio[inner], 1 + weight[inner], rtol=1e-3)


def test_centre_moves_any_brain_to_the_same_place(source):
    far = source.moved((300, -150, 80))
    mask = radius(source) < 1
    values = brain(source).values
    here = prepare(Volume(values, source), CENTRED, mask)
    there = prepare(Volume(values, far), CENTRED, mask)
    np.testing.assert_allclose(there.volume.values, here.volume.values, atol=0.05)
    shift = np.array(mni152_centre()) - CENTRE
    np.testing.assert_allclose(
        there.placed.affine[:3, 3] - far.affine[:3, 3], shift - (300, -150, 80), atol=0.2
    )
    assert there.source is far
    (note,) = there.notes
    assert note.startswith("The brain was moved by (-30") or note.startswith(
        "The brain was moved by (-29"
    )
    assert "mm (right, front, up)" in note
    np.testing.assert_allclose(
        there.back(there.volume.values, additive=False),
        here.back(here.volume.values, additive=False),
        atol=0.05,
    )


def test_centre_ignores_what_the_mask_leaves_out():
    grid = SOURCES["RAS"]
    scan = brain(grid)
    mask = radius(grid) < 1
    dirty = scan.values.copy()
    dirty[:3] = 400
    clean = prepare(scan, CENTRED)
    masked = prepare(Volume(dirty, grid), CENTRED, mask)
    np.testing.assert_array_equal(masked.volume.values, clean.volume.values)


def test_brain_out_of_sight_is_refused():
    away = SOURCES["RAS"].moved((150, 0, 0))
    scan = Volume(brain(SOURCES["RAS"]).values, away)
    with pytest.raises(InputError, match=r"Only \d+ % of the brain .* use --align centre\."):
        prepare(scan, KAN)
    assert prepare(scan, CENTRED).volume.values.max() > 900


def test_wrong_voxel_size_is_refused_even_when_centred():
    large = grid_around(np.eye(3), (9, 9, 9), SOURCES["RAS"].shape)
    scan = Volume(brain(SOURCES["RAS"]).values, large)
    with pytest.raises(InputError, match=r"of the brain .* check the voxel size in its header"):
        prepare(scan, CENTRED)


def expect(scan, message, **options):
    with pytest.warns(VoxplainWarning, match=message) as caught:
        prepared = prepare(scan, KAN, **options)
    assert all(w.filename == __file__ for w in caught)
    assert [str(w.message) for w in caught] == list(prepared.notes[-len(caught) :])
    return prepared


def test_brain_in_the_wrong_place_is_noted():
    offset = np.array([0, 0, 25])
    scan = Volume(brain(SOURCES["RAS"]).values, SOURCES["RAS"].moved(offset))
    distance = np.linalg.norm(CENTRE + offset - mni152_centre())
    prepared = expect(scan, f"lies {distance:.0f} mm from that of MNI152; .* use --align centre")
    assert len(prepared.notes) == 1


@pytest.mark.parametrize(("z", "warned"), [(17, False), (21, True)])
def test_twenty_millimetres_are_the_limit(z, warned):
    grid = SOURCES["RAS"]
    scan = brain(grid, centre=np.array(mni152_centre()))
    moved = Volume(scan.values, grid.moved((0, 0, z)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepare(moved, KAN)
    assert bool(caught) == warned


def test_cut_off_brain_is_noted():
    grid = SOURCES["RAS"]
    scan = Volume(brain(grid).values, grid.moved((50, 0, 0)))
    with (
        pytest.warns(VoxplainWarning, match="mm from that of MNI152"),
        pytest.warns(VoxplainWarning, match="of the scan lies outside"),
    ):
        prepared = prepare(scan, KAN)
    inside = world(scan.grid)[scan.values > 0][:, 0] < 90.5
    lost = round(100 * (1 - inside.mean()))
    assert f"{lost} % of the scan lies outside the network's field of view." in prepared.notes
    assert lost > 5


def test_whole_head_is_noted():
    """Once: that its neck is cut off as well is no news."""
    grid = grid_around(np.eye(3), (3.6, 3.6, 3.6), (58, 68, 55))
    scan = Volume(np.full(grid.shape, 50.0), grid)
    wanted = r"^The scan fills 10121 mL, like a whole head; give the brain's --mask\.$"
    assert len(expect(scan, wanted).notes) == 1
    wanted = r"fills 10121 mL, like a whole head; check the mask"
    assert len(expect(scan, wanted, mask=np.ones(grid.shape, bool)).notes) == 1


def test_small_brain_is_noted():
    grid = grid_around(np.eye(3), (1, 1, 1), SOURCES["RAS"].shape)
    scan = Volume(brain(SOURCES["RAS"]).values, grid)
    expected = np.count_nonzero(scan.values) / 1000
    expect(scan, f"The brain fills only {expected:.0f} mL; check that the scan is complete")


def test_bad_input_is_refused():
    scan = brain(KAN.grid)
    with pytest.raises(InputError, match=r"Unknown alignment 'center'.*Did you mean 'centre'"):
        replace(KAN, align="center")
    with pytest.raises(InputError, match="no voxel above zero"):
        prepare(Volume(-scan.values, KAN.grid), KAN)
    with pytest.raises(InputError, match="no voxel above zero in its mask"):
        prepare(scan, KAN, mask=np.zeros(KAN.grid.shape, bool))
    with pytest.raises(GridError, match=r"mask has shape \(7, 8, 9\) and the scan \(58, 70, 58\)"):
        prepare(scan, KAN, mask=np.ones((7, 8, 9), bool))
    broken = scan.values.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite voxels; set them to 0 first"):
        prepare(Volume(broken, KAN.grid), KAN)
    with pytest.raises(GridError, match=r"The values have shape \(7, 8, 9\)"):
        prepare(scan, KAN).back(np.zeros((7, 8, 9)))


def test_what_lies_below_zero_far_from_the_brain_is_carried_too() -> None:
    """A spot of ringing that no filter reaches from the brain stays, though it is no brain."""
    scan = brain(KAN.grid)
    values = scan.values.copy()
    assert radius(KAN.grid)[2, 2, 2] > 1.3
    values[2, 2, 2] = -3
    prepared = prepare(Volume(values, KAN.grid), KAN)
    factor = 1000 / np.percentile(values[values > 0], 95)
    assert prepared.volume.values[2, 2, 2] == pytest.approx(-3 * factor)
    assert prepared.brain_ml == pytest.approx(prepare(scan, KAN).brain_ml)
