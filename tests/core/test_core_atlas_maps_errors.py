from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from voxplain.atlas import Atlas
from voxplain.errors import (
    GridError,
    InputError,
    NetworkError,
    StudyError,
    VoxplainError,
    unknown_name,
)
from voxplain.grid import Grid
from voxplain.maps import AttributionMap, GroupMap
from voxplain.provenance import Provenance

NAMES = {1: "Here_L", 300: "There_R", 70_000: "Far_R", 9: "Nowhere_L"}


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((7, 8, 9), dtype=np.uint32)
    labels[1:3] = 1
    labels[4:6, 2:4] = 300
    labels[6, :, 4:] = 70_000
    return labels


@pytest.fixture
def atlas(labels, awkward_grids) -> Atlas:
    return Atlas(labels, awkward_grids["oblique, flipped, anisotropic"], NAMES, "own")


def test_mask_is_the_union(atlas, labels):
    np.testing.assert_array_equal(atlas.mask(["There_R"]), labels == 300)
    np.testing.assert_array_equal(
        atlas.mask(["Here_L", "Far_R"]), (labels == 1) | (labels == 70_000)
    )
    assert atlas.mask(["Here_L"]).dtype == bool
    assert not atlas.mask([]).any()
    assert not atlas.mask(["Nowhere_L"]).any()


def test_unknown_region_lists_what_there_is(atlas):
    with pytest.raises(
        InputError,
        match=r"Unknown region of own 'There_L'; there are: Far_R, Here_L, Nowhere_L, There_R\. "
        r"Did you mean 'There_R'\?",
    ):
        atlas.mask(["Here_L", "There_L"])


def test_on_another_grid_each_voxel_takes_the_nearest_label(atlas, awkward_grids):
    target = awkward_grids["PSR"].moved((0.13, -0.21, 0.17))
    moved = atlas.on(target)
    expected = np.zeros(target.shape, dtype=int)
    for index in np.ndindex(target.shape):
        at = atlas.grid.to_voxel(target.to_world(index))
        if (at >= 0).all() and (at <= np.array(atlas.grid.shape) - 1).all():
            expected[index] = atlas.labels[tuple(np.rint(at).astype(int))]
    assert set(np.unique(expected)) == {0, 1, 300, 70_000}
    np.testing.assert_array_equal(moved.labels, expected)
    assert moved.labels.dtype == np.int32
    assert moved.grid is target
    assert (moved.names, moved.name, moved.space) == (atlas.names, "own", "MNI152")


def test_labels_may_come_as_whole_floats(labels, awkward_grids):
    atlas = Atlas(labels.astype(np.float64), awkward_grids["RAS"], NAMES, "own")
    assert atlas.labels.dtype == np.int32
    np.testing.assert_array_equal(atlas.labels, labels)


@pytest.mark.parametrize("bad", [0.5, np.nan])
def test_labels_that_are_not_whole_numbers(labels, awkward_grids, bad):
    values = labels.astype(np.float64)
    values[0, 0, 0] = bad
    with pytest.raises(InputError, match="Atlas 'own' holds labels that are not whole numbers"):
        Atlas(values, awkward_grids["RAS"], NAMES, "own")


def test_atlas_on_a_grid_of_another_shape(labels, awkward_grids):
    with pytest.raises(GridError, match=r"labels have shape \(8, 7, 9\), their grid \(7, 8, 9\)"):
        Atlas(labels.swapaxes(0, 1), awkward_grids["RAS"], NAMES, "own")


def test_one_name_for_two_regions(labels, awkward_grids):
    with pytest.raises(InputError, match="Atlas 'own' uses one name for two regions"):
        Atlas(labels, awkward_grids["RAS"], NAMES | {2: "Here_L"}, "own")


def provenance(grid: Grid) -> Provenance:
    return Provenance(
        method="gradient",
        options={"smooth": 0.0},
        target="logit margin of class 1 (case)",
        layer=None,
        network="MriNet",
        weights_sha256="0" * 64,
        precision="float32",
        device="cpu",
        seed=0,
        grid=grid.to_dict(),
        versions={"voxplain": "0.1.0"},
        notes=("one", "two"),
    )


def make_attribution(values: np.ndarray, grid: Grid) -> AttributionMap:
    return AttributionMap(
        values, grid, "01", "gradient", "case", "logit", "more is more", provenance(grid)
    )


def make_group(values: np.ndarray, grid: Grid) -> GroupMap:
    return GroupMap(values, grid, "gradient", "case", "mean", 12)


@pytest.mark.parametrize("make", [make_attribution, make_group])
def test_maps_are_signed_float32_and_left_as_they_are(make, awkward_grid):
    values = np.linspace(-3, 5, 7 * 8 * 9).reshape(7, 8, 9)
    made = make(values, awkward_grid)
    assert made.values.dtype == np.float32
    np.testing.assert_array_equal(made.values, values.astype(np.float32))
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        made.values = values


@pytest.mark.parametrize("make", [make_attribution, make_group])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_maps_refuse_what_is_not_finite(make, bad, awkward_grid):
    values = np.zeros((7, 8, 9))
    values[3, 4, 5] = bad
    with pytest.raises(InputError, match="values that are not finite; the network gave NaN or inf"):
        make(values, awkward_grid)


@pytest.mark.parametrize("make", [make_attribution, make_group])
def test_maps_refuse_another_shape(make, awkward_grid):
    with pytest.raises(GridError, match=r"map has shape \(9, 8, 7\), its grid \(7, 8, 9\)"):
        make(np.zeros((9, 8, 7)), awkward_grid)


def test_provenance_goes_through_json(awkward_grid):
    data = json.loads(json.dumps(provenance(awkward_grid).to_dict()))
    assert data["notes"] == ["one", "two"]
    assert data["layer"] is None
    assert data["options"] == {"smooth": 0.0}
    assert Grid.from_dict(data["grid"]).same_as(awkward_grid)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "grad-cma",
            "Unknown method 'grad-cma'; there are: grad-cam, gradient. Did you mean 'grad-cam'?",
        ),
        ("zzz", "Unknown method 'zzz'; there are: grad-cam, gradient."),
        (7, "Unknown method '7'; there are: grad-cam, gradient."),
    ],
)
def test_unknown_name(given, message):
    error = unknown_name("method", given, iter(["gradient", "grad-cam"]))
    assert isinstance(error, InputError)
    assert str(error) == message


def test_errors_can_be_caught_by_their_standard_kin():
    assert issubclass(GridError, InputError)
    assert issubclass(NetworkError, InputError)
    assert issubclass(InputError, ValueError)
    assert issubclass(StudyError, OSError)
    assert all(issubclass(e, VoxplainError) for e in (InputError, StudyError))
