"""https://github.com/MIC-DKFZ/nnDetection/issues/335"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from voxplain.cohort import PRESETS, prepare
from voxplain.grid import Grid
from voxplain.volume import Volume


def test_a_scan_scaled_inside_the_brain_keeps_its_brain() -> None:
    grid = Grid.covering((-70, -100, -55), (70, 64, 75), (28, 32, 26))
    place = grid.to_world(np.stack(np.indices(grid.shape), -1)) - [0, -18, 9]
    brain = np.linalg.norm(place / [58, 72, 56], axis=-1) < 1
    raw = np.where(brain, 60 + 0.4 * place[..., 1] + 0.2 * place[..., 2], 0)
    scaled = np.where(brain, (raw - raw[brain].mean()) / raw[brain].std(), 0)
    recipe = replace(PRESETS["mni-2mm"], grid=grid)
    for mask in (None, brain):
        prepared = prepare(Volume(scaled, grid), recipe, mask)
        assert round(prepared.brain_ml) == round(brain.sum() * grid.voxel_volume / 1000)
        np.testing.assert_allclose(prepared.volume.values, scaled, atol=1e-4)
