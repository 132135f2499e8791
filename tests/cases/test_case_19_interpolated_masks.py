"""https://github.com/poldrack/narps/issues/28"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import zoom

from voxplain.cohort import read_mask
from voxplain.errors import VoxplainWarning
from voxplain.grid import Grid


def test_an_interpolated_mask_keeps_its_volume(write_nifti) -> None:
    """A ball of radius 9 voxels, interpolated to voxels of half the size."""
    ball = np.linalg.norm(np.indices((24, 24, 24)) - 11.5, axis=0) < 9
    finer = zoom(ball.astype(float), 2, order=1)
    path = write_nifti(finer, np.eye(4), "mask.nii.gz", np.float32)
    with pytest.warns(VoxplainWarning, match=r"at least 0\.5 were taken for brain"):
        mask = read_mask(path, Grid(finer.shape, np.eye(4)))
    wanted = 4 / 3 * np.pi * (9 * 47 / 23) ** 3
    assert mask.sum() == pytest.approx(wanted, rel=0.02)
    assert (finer > 0).sum() > 1.15 * wanted
