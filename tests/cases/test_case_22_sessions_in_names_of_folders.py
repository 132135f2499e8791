"""Sessions of FreeSurfer's subjects: https://github.com/bids-apps/freesurfer/issues/11"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxplain.cohort.find.sources import from_cat12, from_freesurfer
from voxplain.fit import find_groups, make_folds
from voxplain.fit.outcome import Outcome


@pytest.mark.parametrize("read", [from_freesurfer, from_cat12])
@pytest.mark.parametrize("name", ["sub-{:02d}_ses-{}", "HC{:02d}_V{}"])
def test_no_fold_parts_the_sessions_of_a_participant(
    tmp_path: Path, read: object, name: str
) -> None:
    rows = ["participant_id\tsex"]
    for i in range(8):
        for session in (1, 2):
            scan = name.format(i, session)
            rows.append(f"{scan}\t{'MF'[i % 2]}")
            place = f"{scan}/mri/brain.mgz" if read is from_freesurfer else f"mwp1{scan}.nii"
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).touch()
    (tmp_path / "t.tsv").write_text("\n".join(rows))
    found = read(tmp_path, tmp_path / "t.tsv", "sex", all_scans=True)
    people = [i for i in range(8) for _ in (1, 2)]
    values = np.array([found.class_names.index(label) for label in found.participants["label"]])
    assert [("male", "female")[i % 2] for i in people] == list(found.participants["label"])
    outcome = Outcome("label", values, found.class_names)
    groups, said = find_groups(found.participants, outcome, 4)
    assert said == "Scans of one participant_id stay together."
    for fold in make_folds(outcome, 4, 3, groups):
        assert not {people[i] for i in fold.train} & {people[i] for i in fold.test}
    assert len(read(tmp_path, tmp_path / "t.tsv", "sex")) == 8
