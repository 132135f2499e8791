"""https://github.com/ReproNim/reproin/issues/69"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxplain.cohort import read_mask, read_volume
from voxplain.cohort.find.sources import from_bids
from voxplain.errors import InputError


def test_a_mask_that_was_not_fetched_is_not_left_out(tmp_path: Path, write_nifti) -> None:
    rng = np.random.default_rng(0)
    for who in ("a", "b", "c"):
        start = f"sub-{who}/anat/sub-{who}_desc"
        write_nifti(rng.random((5, 6, 7)), np.diag([3.0, 3, 3, 1]), f"{start}-preproc_T1w.nii.gz")
        key = "SHA1-s99--0f"
        link = f"../../.git/annex/objects/1k/2J/{key}/{key}"
        (tmp_path / f"{start}-brain_mask.nii.gz").symlink_to(link)
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\na\tF\nb\tM\nc\tF\n")
    for scan in from_bids(tmp_path, "sex").scans:
        assert scan.mask is not None
        with pytest.raises(InputError, match=r"not fetched; run datalad get or git annex get on"):
            read_mask(scan.mask, read_volume(scan.image))
