"""The cortex, on which maps are laid."""

from __future__ import annotations

import socket
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nilearn.datasets import load_mni152_gm_template
from nilearn.surface import InMemoryMesh, vol_to_surf

from voxplain.cohort import fsaverage, load_atlas
from voxplain.cohort.prepare import surfaces
from voxplain.cortex import DEPTHS, Cortex
from voxplain.grid import KAN2020_GRID, Grid


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return fsaverage()


def test_it_comes_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "socket", refuse)
    surfaces.fsaverage.cache_clear()
    assert surfaces.fsaverage().half == 10242


def test_the_left_hemisphere_comes_first_and_is_closed_to_the_outside(cortex: Cortex) -> None:
    left, right = cortex.pial[: cortex.half], cortex.pial[cortex.half :]
    assert np.percentile(left[:, 0], 95) < 0 < np.percentile(right[:, 0], 5)
    for side in (left, right):
        a, b, c = (side[cortex.faces[:, k]].astype(np.float64) for k in range(3))
        # Of faces that look outwards, the volume below them adds up to that of a hemisphere.
        millilitres = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6000
        assert 400 < millilitres < 600
    assert cortex.faces.max() == cortex.half - 1


def test_a_map_is_read_as_nilearn_reads_it(cortex: Cortex) -> None:
    rng = np.random.default_rng(0)
    grid = KAN2020_GRID.recut(5.0)
    values = rng.normal(size=grid.shape).astype(np.float32)
    image = nib.Nifti1Image(values, grid.affine)
    found = cortex.read(values, grid)
    for side in (0, 1):
        part = slice(side * cortex.half, (side + 1) * cortex.half)
        pial, white = (
            InMemoryMesh(places[part], cortex.faces) for places in (cortex.pial, cortex.white)
        )
        wanted = vol_to_surf(image, pial, inner_mesh=white, kind="depth", depth=list(DEPTHS))
        np.testing.assert_allclose(found[part], wanted, atol=1e-4)


def test_a_linear_field_is_read_at_the_middle_of_the_cortex(cortex: Cortex, oblique: Grid) -> None:
    index = np.indices(oblique.shape).reshape(3, -1).T
    slope = np.array([0.3, -0.2, 0.5])
    values = (oblique.to_world(index) @ slope).reshape(oblique.shape)
    middle = (cortex.pial + cortex.white) / 2
    np.testing.assert_allclose(cortex.read(values, oblique), middle @ slope, atol=1e-3)


@pytest.fixture
def oblique() -> Grid:
    """Turned, flipped, and large enough for a head."""
    about = np.deg2rad(20)
    turn = np.array(
        [[np.cos(about), -np.sin(about), 0], [np.sin(about), np.cos(about), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([-7.0, 6.0, 8.0])
    shape = (40, 44, 36)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def test_it_lies_in_the_grey_matter_of_mni152(cortex: Cortex) -> None:
    template = load_mni152_gm_template(resolution=2)
    x, y, z = template.shape
    grid = Grid((x, y, z), template.affine)
    grey = template.get_fdata()
    inside = cortex.read(grey, grid).mean()
    assert inside > 0.55
    for shift in np.eye(3) * 4:
        for sign in (-1, 1):
            moved = Cortex(
                cortex.pial + sign * shift, cortex.white + sign * shift,
                cortex.inflated, cortex.sulcus, cortex.faces,
            )  # fmt: skip
            assert moved.read(grey, grid).mean() < inside
    assert cortex.within(grey > 0.1, grid) > 0.95
    assert cortex.within(grey > 2, grid) == 0


def test_both_hemispheres_have_their_regions(cortex: Cortex) -> None:
    grid = KAN2020_GRID
    atlas = load_atlas("AAL").on(grid)
    for side, letter in enumerate("LR"):
        mask = atlas.mask([name for name in atlas.names.values() if name.endswith(f"_{letter}")])
        found = cortex.read(mask, grid)
        part = slice(side * cortex.half, (side + 1) * cortex.half)
        assert found[part].mean() > 0.6
        assert np.delete(found, np.r_[part]).mean() < 0.05
