"""A known bias field, put on and taken off."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.cohort.prepare.bias import without_bias_field
from voxplain.errors import InputError
from voxplain.grid import Grid


def test_a_smooth_field_is_taken_off() -> None:
    pytest.importorskip("SimpleITK")
    grid = Grid.covering((-80, -90, -60), (80, 90, 60), (40, 60, 48))
    at = grid.to_world(np.stack(np.indices(grid.shape), axis=-1))
    mask = np.linalg.norm(at / [70, 85, 55], axis=-1) < 1
    rng = np.random.default_rng(0)
    tissue = np.where(gaussian_filter(rng.normal(size=grid.shape), 2) > 0, 100, 60)
    tissue = tissue + rng.normal(0, 1, grid.shape)
    field = np.exp(at @ [0.004, -0.003, 0.002])
    scan = np.where(mask, tissue * field, 0).astype(np.float32)
    before = scan.copy()
    found = without_bias_field(scan, grid, mask)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(scan, before)
    assert not found[~mask].any()

    def left(values: np.ndarray) -> float:
        ratio = np.log(values[mask] / tissue[mask])
        return float(ratio.std())

    assert left(found) < 0.15 * left(scan)


def test_without_simpleitk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    grid = Grid.covering((0, 0, 0), (2, 2, 2), (2, 2, 2))
    with pytest.raises(InputError, match=r"pip install 'voxplain\[n4\]'"):
        without_bias_field(np.ones((2, 2, 2), np.float32), grid, np.ones((2, 2, 2), bool))
