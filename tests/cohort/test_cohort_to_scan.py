"""From a scan to a network's grid and back with the map, as one writes it in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

import voxplain
from voxplain.attribution import Engine
from voxplain.cohort import PRESETS
from voxplain.errors import GridError, InputError, NetworkError
from voxplain.grid import Grid
from voxplain.volume import Volume

EXACT = Engine("cpu", "exact")


def network(shape: tuple[int, int, int]) -> torch.nn.Module:
    torch.manual_seed(4)
    return torch.nn.Sequential(
        torch.nn.Conv3d(1, 2, 5, stride=4), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(2 * int(np.prod([(n - 5) // 4 + 1 for n in shape])), 2),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def head() -> tuple[Volume, np.ndarray]:
    affine = np.diag([-3.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (92, -124, -70)
    grid = Grid((62, 74, 46), affine)
    world = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    brain = np.linalg.norm((world - [0, -18, 9]) / [62, 80, 60], axis=-1) < 1
    values = 100 + 20 * np.sin(world[..., 0] / 11) + 10 * np.cos(world[..., 1] / 7)
    skull = np.linalg.norm((world - [0, -18, 9]) / [70, 88, 68], axis=-1) < 1
    return Volume(np.where(skull, values, 0), grid, "01"), brain


def test_a_scan_goes_to_the_network_and_its_maps_come_back(
    head: tuple[Volume, np.ndarray], write_nifti: Callable[..., Path]
) -> None:
    scan, brain = head
    path = write_nifti(scan.values, scan.grid, "sub-01_T1w.nii.gz")
    mask = write_nifti(brain.astype(np.uint8), scan.grid, "sub-01_mask.nii.gz")
    ready = voxplain.prepare(path, "kan2020", mask=mask)
    wanted = voxplain.prepare(scan, PRESETS["kan2020"], brain)
    np.testing.assert_array_equal(ready.volume.values, wanted.volume.values)
    of_brain = ready.volume.values > 0
    assert 900 < np.percentile(ready.volume.values[of_brain], 95) < 1100

    seen = network(ready.volume.grid.shape)
    with pytest.raises(NetworkError, match=r"bring the scan to its grid first, with voxpl"):
        voxplain.explain(seen, scan, "gradient", 1, engine=EXACT)
    found = voxplain.explain(seen, ready.volume, "gradient", 1, engine=EXACT)
    assert (found.additive, found.complete) == (True, False)
    back = ready.to_scan(found)
    assert back.grid.same_as(scan.grid)
    assert (back.subject, back.method, back.unit) == ("01", "gradient", found.unit)
    # Coarser voxels along z, finer in plane: what a voxel of the network holds is spread over them.
    lost = found.values.sum() - back.values.sum()
    assert abs(lost) < 0.2 * np.abs(found.values).sum()
    assert back.provenance.notes[:-1] == found.provenance.notes
    assert back.provenance.notes[-1].startswith(
        f"the sum over voxels is {found.values.sum(dtype=np.float64):.6g} on the network's grid"
    )


def test_each_kind_of_map_comes_back_in_its_own_way(head: tuple[Volume, np.ndarray]) -> None:
    scan, brain = head
    ready = voxplain.prepare(scan, "kan2020", brain)
    grid = ready.volume.grid
    seen = network(grid.shape)
    place = voxplain.explain(seen, ready.volume, "grad-cam", 1, engine=EXACT, layer="1", relu=False)
    assert not place.additive
    back = ready.to_scan(replace(place, spread=np.abs(place.values)))
    at = grid.to_voxel(scan.grid.to_world(np.moveaxis(np.indices(scan.grid.shape), 0, -1)))
    by_hand = map_coordinates(place.values, np.moveaxis(at, -1, 0), order=1, cval=0.0)
    scale = np.abs(place.values).max()
    np.testing.assert_allclose(back.values, by_hand, atol=1e-5 * scale)
    assert back.provenance.notes == place.provenance.notes
    assert back.spread is not None
    assert back.spread.min() >= 0

    whole = voxplain.explain(
        [seen, network(grid.shape)], ready.volume, "integrated-gradients", 1, engine=EXACT, steps=4
    )
    assert whole.complete
    carried = ready.to_scan(whole)
    size = float(np.abs(whole.values).sum())
    assert carried.values.sum() == pytest.approx(whole.values.sum(), abs=1e-5 * size)


def test_what_does_not_fit_is_a_sentence(head: tuple[Volume, np.ndarray]) -> None:
    scan, brain = head
    ready = voxplain.prepare(scan, "kan2020", brain)
    assert repr(ready).startswith("Prepared(Volume(58×70×58 voxels of ")
    assert len(repr(ready)) < 250
    found = voxplain.explain(
        network(ready.volume.grid.shape), ready.volume, "gradient", 1, engine=EXACT
    )
    with pytest.raises(GridError, match="The map and the prepared volume do not share a grid"):
        ready.to_scan(ready.to_scan(found))
    with pytest.raises(InputError, match=r"takes an AttributionMap; ndarray.*by back\(values"):
        ready.to_scan(found.values)  # type: ignore[arg-type]
    for recipe, words in (
        ("kan2010", "Unknown preset 'kan2010'.*Did you mean 'kan2020'"),
        (None, "a Recipe or the name of a preset, 'kan2020', 'mni-2mm', 'mni-1mm'; NoneType"),
    ):
        with pytest.raises(InputError, match=words):
            voxplain.prepare(scan, recipe)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Each volume must be a voxplain Volume.*ndarray"):
        voxplain.prepare(scan.values, "kan2020")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"mask must be a boolean array.*Volume was"):
        voxplain.prepare(scan, "kan2020", scan)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Each volume must be a voxplain Volume.*int was given"):
        voxplain.read_mask(scan.to_nifti(), 3)  # type: ignore[arg-type]
