"""UTF-16 as spreadsheets export it: https://github.com/Unstructured-IO/unstructured/issues/4443"""

from __future__ import annotations

from pathlib import Path

import pytest

from voxplain.cohort.find.labels import parse_coding
from voxplain.cohort.find.sources import from_openbhb
from voxplain.errors import InputError, VoxplainWarning

ROWS = [["participant_id", "sex", "town"], ["1", "F", "Genève"], ["2", "M", "Zürich"]]


def read(folder: Path, content: bytes, suffix: str = ".tsv", coding: str | None = None) -> list:
    for who in "12":
        (folder / f"sub-{who}_preproc-quasiraw_T1w.npy").touch()
    path = folder / f"people{suffix}"
    path.write_bytes(content)
    given = None if coding is None else parse_coding(coding)
    found = from_openbhb(folder, "sex", given, participants=path)
    return found.participants[["label", "town"]].to_numpy().tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\t\n", "\n\t\t\n"])
@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_right(tmp_path: Path, encoding: str, ending: str, separator: str) -> None:
    ending = ending.replace("\t", separator)
    content = "".join(separator.join(row) + ending for row in ROWS).encode(encoding)
    told = [["female", "Genève"], ["male", "Zürich"]]
    assert read(tmp_path, content, ".tsv" if separator == "\t" else ".csv") == told


def test_latin_1_is_said(tmp_path: Path) -> None:
    content = "\n".join("\t".join(row) for row in ROWS).encode("latin-1")
    with pytest.warns(VoxplainWarning, match="is not UTF-8"):
        assert read(tmp_path, content)[1] == ["male", "Zürich"]


def test_minus_nine_is_left_out(tmp_path: Path) -> None:
    content = b"participant_id\tsex\ttown\n1\t1\tA\n2\t2\tB\n3\t-9\tC\n"
    assert read(tmp_path, content, coding="1=male,2=female,-9=n/a") == [
        ["male", "A"],
        ["female", "B"],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"participant_id\tsex\tsex \n1\tM\tF\n2\tF\tM\n", "two columns called 'sex'"),
        (b"participant_id\tsex\ttown\n1\tF\n2\tM\tB\n", "Row 2 of .* has 2 cells and the header 3"),
        (b"participant_id\tsex\ttown\n1\tF\tA\tB\n2\tM\tB\n", "Row 2 of .* has 4 cells"),
        (b"", "is empty"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)
