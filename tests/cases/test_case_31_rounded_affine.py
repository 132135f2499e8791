"""https://github.com/nilearn/nilearn/issues/3115"""

from __future__ import annotations

import numpy as np

from voxplain.cohort import read_mask
from voxplain.grid import Grid


def test_a_rounded_affine_is_the_same_grid(write_nifti) -> None:
    affine = np.diag([0.9, 0.9, 0.9, 1])
    affine[:3, 3] = (-81.0043, 90.0038, -77.0021)
    mask = np.random.default_rng(0).random((11, 12, 13)) > 0.4
    path = write_nifti(mask, np.round(affine, 2), "mask.nii")
    np.testing.assert_array_equal(read_mask(path, Grid(mask.shape, affine)), mask)
