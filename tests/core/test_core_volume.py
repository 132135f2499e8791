from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.image import resample_img
from scipy.ndimage import gaussian_filter

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.volume import Cohort, Volume, resample, smooth


def blob(grid: Grid, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1, 2, grid.shape).astype(np.float32)


def theirs(values, source, target, interpolation):
    image = resample_img(
        nib.Nifti1Image(values, source.affine),
        target_affine=target.affine,
        target_shape=target.shape,
        interpolation=interpolation,
        force_resample=True,
        copy_header=True,
    )
    return image.get_fdata()


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_resample_equals_nilearn(awkward_grids, interpolation):
    order = {"linear": 1, "nearest": 0}[interpolation]
    for i, source in enumerate(awkward_grids.values()):
        values = blob(source, i)
        for target in awkward_grids.values():
            if target is source:
                continue
            shifted = target.moved((0.13, -0.21, 0.17))  # off the ties between two neighbours
            ours = resample(values, source, shifted, order=order)
            expected = theirs(values, source, shifted, interpolation)
            assert (expected > 0).sum() > 20
            np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_resample_by_hand(awkward_grids):
    """Second derivation: eight neighbours weighted by their distance, voxel by voxel."""
    source = awkward_grids["oblique, flipped, anisotropic"]
    target = awkward_grids["PSR"]
    values = blob(source).astype(np.float64)
    ours = resample(values, source, target, fill=-3)
    expected = np.full(target.shape, -3.0)
    last = np.array(source.shape) - 1
    for index in np.ndindex(target.shape):
        at = source.to_voxel(target.to_world(index))
        if (at < 0).any() or (at > last).any():
            continue
        low = np.minimum(np.floor(at).astype(int), last - 1)
        part = at - low
        total = 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part))
            total += weight * values[tuple(low + corner)]
        expected[index] = total
    assert (expected > 0).sum() > 50
    assert (expected == -3).sum() > 50
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_resample_to_the_same_grid_changes_nothing(awkward_grid):
    values = blob(awkward_grid)
    again = Grid(awkward_grid.shape, awkward_grid.affine)
    assert resample(values, awkward_grid, again) is values
    assert resample(values.astype(np.float64), awkward_grid, again).dtype == np.float32


def test_resample_keeps_labels_whole(awkward_grids):
    source, target = awkward_grids["oblique"], awkward_grids["anisotropic"]
    labels = np.random.default_rng(0).integers(0, 5000, source.shape)
    assert set(np.unique(resample(labels, source, target, order=0))) <= {0, *labels.ravel()}


def test_resample_refuses_values_of_another_shape(awkward_grids):
    with pytest.raises(GridError, match=r"values have shape \(9, 8, 7\), their grid \(7, 8, 9\)"):
        resample(np.zeros((9, 8, 7)), awkward_grids["RAS"], awkward_grids["PSR"])


def test_a_region_is_smoothed_to_the_last_digit_as_the_whole_grid_is(awkward_grid):
    values = np.zeros(awkward_grid.shape, dtype=np.float32)
    assert not smooth(values, awkward_grid, 3).any()
    values[1:3, 4, 6:8] = [[1, -2], [0.3, 5]]
    for fwhm in (1.0, 2.5, 9.0):
        sigma = [fwhm / np.sqrt(8 * np.log(2)) / size for size in awkward_grid.voxel_size]
        expected = gaussian_filter(values, sigma, mode="constant", truncate=4)
        np.testing.assert_array_equal(smooth(values, awkward_grid, fwhm), expected)


def test_smooth_equals_scipy_on_isotropic_voxels():
    grid = Grid((17, 18, 19), np.diag([-2.0, 2, 2, 1]))
    values = blob(grid)
    sigma = 6 / 2.354820045 / 2
    expected = gaussian_filter(values.astype(np.float64), sigma, mode="constant")
    np.testing.assert_allclose(smooth(values, grid, 6), expected, rtol=1e-5)


@pytest.mark.parametrize("fwhm", [6.0, 9.0])
def test_smooth_has_the_stated_width_in_mm_on_every_axis(fwhm):
    size = np.array([1.0, 1.5, 2.0])
    grid = Grid((61, 45, 35), np.diag([*size, 1]))
    point = np.zeros(grid.shape)
    centre = tuple(n // 2 for n in grid.shape)
    point[centre] = 1
    spread = smooth(point, grid, fwhm).astype(np.float64)
    assert spread.sum() == pytest.approx(1, abs=1e-3)
    for axis in range(3):
        line = np.moveaxis(spread, axis, 0)[(slice(None), *np.delete(centre, axis))]
        x = np.arange(len(line)) * size[axis]
        fine = np.linspace(x[0], x[-1], 20_001)
        # The logarithm of a Gaussian is a parabola: interpolate there, not on the coarse bell.
        near = np.abs(x - x[centre[axis]]) <= fwhm
        curve = np.polyval(np.polyfit(x[near], np.log(line[near]), 2), fine)
        half = fine[curve >= curve.max() - np.log(2)]
        assert half[-1] - half[0] == pytest.approx(fwhm, rel=0.01)


@pytest.mark.parametrize("fwhm", [0, -1])
def test_no_width_no_smoothing(awkward_grid, fwhm):
    values = blob(awkward_grid)
    np.testing.assert_array_equal(smooth(values, awkward_grid, fwhm), values)


def test_volume_is_float32_on_its_grid(awkward_grid):
    volume = Volume(np.ones((7, 8, 9), dtype=np.int16), awkward_grid, "01")
    assert volume.values.dtype == np.float32
    assert Volume(volume.values, awkward_grid).subject == ""
    with pytest.raises(GridError, match=r"values have shape \(8, 7, 9\), their grid \(7, 8, 9\)"):
        Volume(np.ones((8, 7, 9)), awkward_grid)


@pytest.fixture
def loaded() -> list[int]:
    return []


@pytest.fixture
def cohort(awkward_grids, loaded) -> Cohort:
    grid = awkward_grids["oblique"]

    def load(index: int) -> np.ndarray:
        loaded.append(index)
        return np.full(grid.shape, 10.0**index, dtype=np.float32)

    table = pd.DataFrame(
        {"participant_id": ["sub-01", "sub-02", "sub-03"], "label": ["f", "m", "f"]}
    )
    return Cohort(table, ("m", "f"), grid, load)


def test_cohort_loads_nothing_until_asked(cohort, loaded):
    assert len(cohort) == 3
    assert cohort.subjects == ["01", "02", "03"]
    assert loaded == []
    assert cohort[1].values[0, 0, 0] == 10
    assert loaded == [1]
    volumes = iter(cohort)
    assert loaded == [1]
    assert next(volumes).subject == "01"
    assert loaded == [1, 0]


def test_cohort_labels_follow_the_order_of_the_classes(cohort):
    np.testing.assert_array_equal(cohort.labels, [1, 0, 1])
    assert cohort.labels.dtype == np.int64


def test_cohort_counts_from_the_end_and_stops_at_it(cohort):
    assert cohort[-1].subject == "03"
    assert cohort[-1].values[0, 0, 0] == 100
    assert [v.subject for v in cohort] == ["01", "02", "03"]
    for index in (3, -4):
        with pytest.raises(IndexError, match=str(index)):
            cohort[index]


def test_cohort_stack_and_mean(cohort, loaded):
    stack = cohort.stack([2, 0])
    assert stack.shape == (2, 7, 8, 9)
    assert stack.dtype == np.float32
    assert loaded == [2, 0]
    np.testing.assert_array_equal(stack[:, 0, 0, 0], [100, 1])
    mean = cohort.mean(np.array([0, 1, 2]))
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, 37)
    assert cohort.stack([]).shape == (0, 7, 8, 9)
    with pytest.raises(InputError, match="mean of a cohort needs at least one subject"):
        cohort.mean([])


def test_cohort_mean_does_not_drift_in_float32(awkward_grids):
    table = pd.DataFrame({"participant_id": ["a", "b", "c"], "label": ["x"] * 3})
    grid = awkward_grids["RAS"]
    values = [2.0**24, 1.0, 1.0]  # in float32, 2^24 + 1 is 2^24
    cohort = Cohort(table, ("x",), grid, lambda i: np.full(grid.shape, values[i], np.float32))
    np.testing.assert_array_equal(cohort.mean([0, 1, 2]), np.float32((2.0**24 + 2) / 3))


def test_cohort_names_labels_that_are_no_class(awkward_grids):
    table = pd.DataFrame({"participant_id": ["1", "2", "3"], "label": ["m", "x", "u"]})
    with pytest.raises(InputError, match=r"Labels u, x are not among the classes m, f\."):
        Cohort(table, ("m", "f"), awkward_grids["RAS"], lambda i: np.zeros((7, 8, 9)))


def test_a_kernel_of_less_than_a_millimetre_smooths_too():
    grid = Grid((7, 8, 9), np.diag([0.5, 0.5, 0.5, 1.0]))
    values = blob(grid)
    expected = gaussian_filter(values, 0.8 / np.sqrt(8 * np.log(2)) / 0.5, mode="constant")
    np.testing.assert_allclose(smooth(values, grid, 0.8), expected, rtol=1e-5)


def test_what_is_no_array_of_numbers_is_named():
    grid = Grid((7, 8, 9), np.eye(4))
    with pytest.raises(InputError, match="real numbers; str was given"):
        Volume("scan.nii.gz", grid)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="real numbers; values of type complex128 was given"):
        Volume(np.zeros((7, 8, 9), complex), grid)
