"""A brain is looked for where there is no mask, and only there."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort.prepare import skullstrip
from voxplain.cohort.prepare.skullstrip import find_brain
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Volume


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    skullstrip._network.cache_clear()
    yield
    skullstrip._network.cache_clear()


def head(grid: Grid) -> Volume:
    """A bright brain in a dim skull, by distance from the centre."""
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    away = np.linalg.norm(grid.to_world(np.stack(np.indices(grid.shape), -1)) - centre, axis=-1)
    return Volume(np.where(away < 5, 100, 20).astype(np.float32), grid, "01")


class _StandIn:
    """Takes and gives images as deepbet does: the mask comes back in the scan's own order."""

    made = 0

    def __init__(self, no_gpu: bool) -> None:
        assert no_gpu
        type(self).made += 1

    def run(self, image: nib.Nifti1Image) -> tuple[nib.Nifti1Image, nib.Nifti1Image, float]:
        values = np.asarray(image.dataobj)
        assert (values > 50).any(), "Not enough foreground"
        return image, nib.Nifti1Image((values > 50).astype(np.uint8), image.affine), 1.0


def test_the_mask_lies_on_the_scans_grid(
    awkward_grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("deepbet.bet")
    module.BrainExtraction = _StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "deepbet.bet", module)
    monkeypatch.setitem(sys.modules, "deepbet", types.ModuleType("deepbet"))
    _StandIn.made = 0
    scan = head(awkward_grid)
    for _ in range(2):
        np.testing.assert_array_equal(find_brain(scan), scan.values > 50)
    assert _StandIn.made == 1
    with pytest.raises(InputError, match="No brain was found in the scan"):
        find_brain(Volume(np.ones(awkward_grid.shape), awkward_grid))


def test_without_deepbet_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepbet.bet", None)
    grid = Grid.covering((0, 0, 0), (9, 9, 9), (9, 9, 9))
    with pytest.raises(InputError, match=r"pip install 'voxplain\[skullstrip\]', or give masks"):
        find_brain(head(grid))
