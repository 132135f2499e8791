"""https://github.com/idiap/fullgrad-saliency/issues/6"""

from __future__ import annotations

import numpy as np
import pytest

from voxplain.cohort import Recipe, prepare
from voxplain.grid import Grid
from voxplain.volume import Volume


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_shares_drawn_large_are_divided_by_the_zoom() -> None:
    """27 scan voxels to each of the network's: the values shrink, and the sum stays."""
    scan = Grid.covering((-30, -30, -30), (30, 30, 30), (60, 60, 60))
    seen = Grid.covering((-30, -30, -30), (30, 30, 30), (20, 20, 20), flip_x=True)
    values = np.zeros(scan.shape)
    values[15:45, 15:45, 15:45] = 100
    prepared = prepare(Volume(values, scan), Recipe("own", seen), centre=(0, 0, 0))
    shares = np.random.default_rng(0).normal(0.01, 1, seen.shape)
    back = prepared.back(shares)
    assert back.sum(dtype=float) == pytest.approx(shares.sum(), abs=1e-3)
    assert back[31, 28, 28] == pytest.approx(shares[9, 9, 9] / 27, abs=1e-6)
