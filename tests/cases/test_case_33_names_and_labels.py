"""https://github.com/MRtrix3/mrtrix3/issues/1279"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxplain.cohort import read_atlas

LOOKUP = """#No. Label Name:  R G B A
0 Unknown 0 0 0 0
16777217 Left  Area V1 63 5 26 255
16777218 Left  Area V2 23 50 233 255
"""


def test_a_lookup_table_and_labels_above_16_million(tmp_path: Path, write_nifti) -> None:
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1], labels[2] = 16777217, 16777218
    (tmp_path / "lut.txt").write_text(LOOKUP)
    path = write_nifti(labels, np.diag([3.0, 3, 3, 1]), "areas.nii.gz", np.int32)
    atlas = read_atlas(path, tmp_path / "lut.txt", "areas", "own")
    assert atlas.names == {16777217: "Left  Area V1", 16777218: "Left  Area V2"}
    np.testing.assert_array_equal(atlas.mask(["Left  Area V1"]), labels == 16777217)
