"""How far an atlas lies from the brains."""

from __future__ import annotations

import numpy as np
import pytest

from voxplain.atlas import Atlas
from voxplain.errors import GridError
from voxplain.grid import Grid
from voxplain.trust.displacement import displacement

PLACE = Grid(
    (50, 60, 50), np.array([[2.0, 0, 0, -50], [0, 2, 0, -60], [0, 0, 2, -50], [0, 0, 0, 1]])
)


def ellipsoid(grid: Grid, shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    at = grid.to_world(np.argwhere(np.ones(grid.shape))) - np.array(shift)
    return (((at / (36, 45, 33)) ** 2).sum(axis=1) < 1).reshape(grid.shape)


@pytest.mark.parametrize("shift", [(0, 0, 0), (8, 0, 0), (0, -8, 0), (3, -5, 8)])
def test_the_way_to_a_brain_is_found(shift: tuple[float, float, float]) -> None:
    labels = ellipsoid(PLACE).astype(np.int32)
    labels[24:27] *= 2
    # A gap between two regions, as white matter between labels.
    labels[22] = 0
    atlas = Atlas(labels, PLACE, {1: "a", 2: "b"}, "test")
    there = PLACE.recut(6.0)
    found = displacement(atlas, ellipsoid(there, shift), there)
    assert found == pytest.approx(shift, abs=1.0)


def test_the_brain_must_lie_on_its_grid() -> None:
    atlas = Atlas(ellipsoid(PLACE).astype(np.int32), PLACE, {1: "a"}, "test")
    with pytest.raises(GridError, match=r"The brain has shape \(3, 3, 3\), its grid"):
        displacement(atlas, np.ones((3, 3, 3)), PLACE)
