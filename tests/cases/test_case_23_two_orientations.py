"""https://github.com/MRtrix3/mrtrix3/issues/94"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort import read_volume
from voxplain.errors import InputError, VoxplainWarning


def test_two_places_in_one_header(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((12, 14, 10), dtype=np.float32)
    sform = np.array([[-1.75, 0, 0, 9], [0, 1.75, 0, -11], [0, 0, 2, -9], [0, 0, 0, 1]])
    for column, message, error in (
        ((1.75, 0, 0, -9), "contradicts itself on left and right.*LAS by its sform and RAS", True),
        ((-1.75, 0, 0, 21), r"sform and qform differ by up to 12\.0 mm and 0\.0 degrees", False),
    ):
        qform = sform.copy()
        qform[0] = column
        image = nib.Nifti1Image(values, sform)
        image.set_sform(sform, code=1)
        image.set_qform(qform, code=1)
        nib.save(image, tmp_path / "scan.nii")
        with (pytest.raises if error else pytest.warns)(
            InputError if error else VoxplainWarning, match=message
        ):
            read_volume(tmp_path / "scan.nii")
        chosen = read_volume(tmp_path / "scan.nii", orientation="qform")
        np.testing.assert_allclose(chosen.grid.affine, qform, atol=1e-5)
