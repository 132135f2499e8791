"""Ids lose their zeros, or gain decimals, in a table: https://github.com/incf-nidash/PyNIDM/pull/84"""

from __future__ import annotations

from pathlib import Path

import pytest

from voxplain.cohort.find.sources import from_bids
from voxplain.errors import InputError, VoxplainWarning

PEOPLE = (1, 2, 3, 10, 11, 20, 30)
SEX = {number: ("male", "female")[i % 2] for i, number in enumerate(PEOPLE)}


def dataset(folder: Path, rows: str) -> Path:
    for number in PEOPLE:
        path = folder / f"sub-{number:03d}/anat/sub-{number:03d}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    (folder / "participants.tsv").write_text("participant_id\tsex\n" + rows)
    return folder


@pytest.mark.parametrize("style", ["{}.0", "{}", "sub-{:02d}", "Sub{}"])
def test_each_scan_gets_its_own_label(tmp_path: Path, style: str) -> None:
    rows = "".join(f"{style.format(number)}\t{SEX[number]}\n" for number in PEOPLE)
    with pytest.warns(VoxplainWarning, match="are joined although their names are written"):
        found = from_bids(dataset(tmp_path, rows), "sex")
    told = {
        int(s.subject): c for s, c in zip(found.scans, found.participants["label"], strict=True)
    }
    assert told == SEX


def test_another_persons_row_is_never_taken(tmp_path: Path) -> None:
    """A mark between digits may stand for a site or a session: 1_0 is not 10."""
    rows = "1_0\tM\n1.1\tF\n2-0\tM\n"
    with pytest.raises(
        InputError, match=r"look alike but are not joined: 010 of the scans and 1_0"
    ):
        from_bids(dataset(tmp_path, rows), "sex")
