"""Cells that begin as formulas do, in tables that people open with a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.grid import Grid
from voxplain.tables.formulas import given_cell, given_table, plain_cell, plain_lines, plain_table
from voxplain.volume import Cohort

BAD = ["=1+1", "+cmd|' /C calc'!A0", "-a", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "'=1", "''@x"]
GOOD = ["-3.5", "+1e4", "-inf", "-", "a=b", "sub-01", "", "n/a", "'tis", "O'-x"]


@pytest.mark.parametrize("text", BAD)
def test_a_formula_is_written_as_text(text: str) -> None:
    assert plain_cell(text) == f"'{text}"
    assert given_cell(plain_cell(text)) == text


@pytest.mark.parametrize("value", [*GOOD, -3, 2.5, None])
def test_all_else_stays(value: object) -> None:
    assert plain_cell(value) == value
    assert given_cell(value) == value


@given(st.text("=+-@'1.a\t＝", max_size=5))
def test_what_is_written_is_read_back(text: str) -> None:
    written = plain_cell(text)
    assert given_cell(written) == text
    begins = written.lstrip("'") != written or written[:1] not in tuple("=+-@\t＝")
    assert begins or len(text) < 2 or np.isfinite(float(text))


def test_a_table_keeps_its_numbers() -> None:
    table = pd.DataFrame({"=id": ["=a", "b", None], "n": [-1, 2, 3], "mixed": [-1.5, "-x", "-2"]})
    text = plain_table(table).to_csv(sep="\t", index=False, na_rep="n/a")
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    assert rows == [
        ["'=id", "n", "mixed"], ["'=a", "-1", "-1.5"], ["b", "2", "'-x"], ["n/a", "3", "-2"],
    ]  # fmt: skip
    back = given_table(plain_table(table))
    pd.testing.assert_frame_equal(back, table)
    assert plain_lines([["a\tb", "=1"], ["c\nd", "-2"]]) == "a b\t'=1\nc d\t-2\n"


def test_a_store_gives_labels_and_columns_as_they_were(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"participant_id": ["=1", "b"], "label": ["-case", "@rest"], "@note": ["=2", "x"]}
    )
    grid = Grid((2, 3, 4), np.eye(4))
    cohort = Cohort(table, ("-case", "@rest"), grid, lambda i: np.full(grid.shape, i, np.float32))
    write_store(tmp_path, cohort, "made")
    text = (tmp_path / "participants.tsv").read_text()
    assert text.splitlines()[:2] == ["participant_id\tlabel\t'@note", "'=1\t'-case\t'=2"]
    found = open_store(tmp_path)
    assert found.participants.to_dict("list") == table.to_dict("list")
    assert found.labels.tolist() == [0, 1]
