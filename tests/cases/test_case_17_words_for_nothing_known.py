"""Dashes among the values of a participants' table: https://github.com/ivadomed/ivadomed/issues/796"""

from __future__ import annotations

from pathlib import Path

import pytest

from voxplain.cohort.find.labels import parse_coding
from voxplain.cohort.find.sources import from_table


@pytest.mark.parametrize("odd", ["unknown", "-", "?", "#N/A", "U", "not reported", "N/A", "–"])
def test_one_odd_word_leaves_one_person_out_and_makes_no_class(tmp_path: Path, odd: str) -> None:
    cells = ["M", "F", "Male", "female", "m", odd]
    rows = ["participant_id\timage\tsex"]
    for i, cell in enumerate(cells):
        (tmp_path / f"{i}.nii").touch()
        rows.append(f"{i}\t{i}.nii\t{cell}")
    (tmp_path / "t.tsv").write_text("\n".join(rows), encoding="utf-8")
    found = from_table(tmp_path / "t.tsv", "sex")
    assert list(found.participants["label"]) == ["male", "female", "male", "female", "male"]
    assert f"{odd} (1)" in found.coding or odd == "n/a"
    assert [one.subject for one in found.exclusions] == ["5"]


def test_a_coding_leaves_a_class_out(tmp_path: Path) -> None:
    rows = ["participant_id\timage\tdx"]
    for i, cell in enumerate(["AD", "ad", "CN", " Cn", "MCI", "mci"]):
        (tmp_path / f"{i}.nii").touch()
        rows.append(f"{i}\t{i}.nii\t{cell}")
    (tmp_path / "t.tsv").write_text("\n".join(rows), encoding="utf-8")
    found = from_table(tmp_path / "t.tsv", "dx", parse_coding("MCI=n/a"))
    assert len(found) == 4
    assert found.class_names == ("AD", "CN")
