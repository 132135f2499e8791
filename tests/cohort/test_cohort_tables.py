"""Tables of participants: random ones with a known truth, then each kind of trouble by itself."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from table_grammar import judge, make_table

from voxplain.cohort.find.tables import participant_key, read_table
from voxplain.errors import InputError, VoxplainWarning

BLOCK = 50


@pytest.mark.parametrize("start", range(0, 400, BLOCK))
def test_random_tables_are_read_rightly_or_refused(tmp_path: Path, start: int) -> None:
    """No wrong label, age or person, and no traceback, whatever the spelling and the encoding."""
    wrong = []
    outcomes = []
    for seed in range(start, start + BLOCK):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcome, why = judge(make_table(seed), folder)
        shutil.rmtree(folder)
        outcomes.append(outcome)
        if outcome == "wrong":
            wrong.append(f"seed {seed}: {why}")
    assert not wrong, "\n".join(wrong)
    assert outcomes.count("right") > BLOCK / 2


def test_the_same_seed_makes_the_same_table() -> None:
    assert make_table(7) == make_table(7)
    assert len({make_table(seed).content for seed in range(20)}) == 20


def table(folder: Path, content: str | bytes, name: str = "t.tsv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


ROWS = [["01", "M", "34"], ["02", "F", "40"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", "participant_id\tsex\tage\n01\tM\t34\n02\tF\t40"),
        ("t.tsv", "participant_id\tsex\tage\r\n01\tM\t34\r\n02\tF\t40\r\n"),
        ("t.tsv", "participant_id\tsex\tage\r01\tM\t34\r02\tF\t40\r"),
        ("t.tsv", "\n\t\t\nparticipant_id\tsex\tage\n\n01\tM\t34\n\t\n02\tF\t40\n\t\t\n"),
        ("t.tsv", "participant_id\tsex\tage\n01\tM\t34\t\n02\tF\t40\t\n"),
        ("t.tsv", "participant_id\tsex\tage\t\t\n01\tM\t34\n02\tF\t40\t\n"),
        ("t.tsv", "participant_id\tsex\tsex \tage\n01\tM\tM\t34\n02\tF\tF\t40\n"),
        ("t.tsv", "Participant_ID \tsex\tage\n 01\tM\t34 \n02\tF\t\u00a040\n"),
        ("t.tsv", "participant_id,sex,age\n01,M,34\n02,F,40\n"),
        ("t.csv", "participant_id;sex;age\n01;M;34\n02;F;40\n"),
        ("t.csv", "participant_id\tsex\tage\n01\tM\t34\n02\tF\t40\n"),
        ("t.csv", 'sep=;\n"participant_id";"sex";"age"\n"01";"M";"34"\n="02";"F";"40"\n'),
        ("t.txt", "participant_id\tsex\tage\n01\tM\t34\n02\tF\t40\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_one_table_in_many_dresses(tmp_path: Path, name: str, content: str, encoding: str) -> None:
    found = read_table(table(tmp_path, content.encode(encoding), name))
    columns = ["participant_id", "sex", "age"]
    assert list(found.columns) == columns
    assert found[columns].to_numpy().tolist() == ROWS
    assert participant_key(tmp_path / name).casefold() == "participant_id"


def test_a_spreadsheet_keeps_its_words(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "t.xlsx"
    made = pd.DataFrame({"participant_id": [1.0, 2.0], "sex": ["NA", None], "none": [None, None]})
    made.to_excel(path, index=False)
    found = read_table(path)
    assert found.to_numpy().tolist() == [["1", "NA", "n/a"], ["2", "n/a", "n/a"]]


def test_western_europe_is_read_and_said(tmp_path: Path) -> None:
    content = "participant_id;sex;town\n01;M;München\n02;F;Köln\n".encode("latin-1")
    with pytest.warns(VoxplainWarning, match=r"is not UTF-8; it is read as text of Western Europe"):
        found = read_table(table(tmp_path, content, "t.csv"))
    assert list(found["town"]) == ["München", "Köln"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty, and cannot be read as a table"),
        (b"\xef\xbb\xbf\n\t\n", r"is empty, and cannot be read as a table"),
        ("a\tb\n1\t2\n".encode("utf-16-le"), r"holds NUL bytes, as UTF-16 without a mark"),
        (b"\xff\xfea", r"cannot be read as a table"),
        (b"participant_id\tsex\tage\n01\tM\n", r"Row 2 of .* has 2 cells and the header 3"),
        (b"participant_id\tsex\n\n01\tM\tx\n", r"Row 3 of .* has 3 cells .*a comma within"),
        (b"participant_id\tsex\t\n01\tM\tx\n", r"Column 3 of .* has no name but values, .*'x'"),
        (b"participant_id\tsex\tsex \n01\tM\tF\n", r"two columns called 'sex' with different"),
        (b"participant_id\tsex\n01\tM\n\tF\n", r"Row 3 of .* names no participant in column"),
        (b"participant_id\tsex\n", r"has no rows"),
        (b'participant_id\tnote\tsex\n01\t"a\tM\n02\tb"\tF\n', r"A quotation mark .* until line 3"),
        (b'participant_id\tsex\n01\t"M\n02\tF\n', r"A quotation mark in .* goes on until line 3"),
        (b'participant_id\n01\n"02', r"has no column 'id'"),
    ],
)
def test_what_has_no_one_meaning_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    key = "id" if message.endswith("'id'") else "participant_id"
    with pytest.raises(InputError, match=message) as caught:
        read_table(table(tmp_path, content), key)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1.0", "2.00", "10"], ["1", "2", "10"]),
        (["1.0", "1.1"], ["1.0", "1.1"]),
        (["S1.0", "2.0"], ["S1.0", "2.0"]),
        (["001", "01"], ["001", "01"]),
    ],
)
def test_ids_that_a_spreadsheet_made_decimal(
    tmp_path: Path, written: list[str], read: list[str]
) -> None:
    rows = "".join(f"{name}\tM\n" for name in written)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_table(table(tmp_path, f"participant_id\tsex\n{rows}"))
    assert list(found["participant_id"]) == read
