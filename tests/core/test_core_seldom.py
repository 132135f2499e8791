"""Errors, names, pointers and numbers as they seldom are."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxplain.errors import StudyError, VoxplainWarning, remarks
from voxplain.files.atomic import cannot_write
from voxplain.tables.numerals import TIMES, decimal_mark, parse, value_of


def test_an_error_that_is_a_sentence_already_stays_as_it_is() -> None:
    said = StudyError("The folder is gone.")
    assert cannot_write(said, Path("a")) is said


def test_warnings_of_others_are_passed_on() -> None:
    def collected() -> list[str]:
        with remarks() as said:
            warnings.warn("Ours.", VoxplainWarning, stacklevel=1)
            warnings.warn("Of others.", UserWarning, stacklevel=1)
        return said

    with pytest.warns(UserWarning, match=r"^Of others\.$"):
        said = collected()
    assert said == ["Ours."]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("3 years, 2 months", (("3", "years"), ("2", "months"))),
        ("3y,2m", (("3", "y"), ("2", "m"))),
        ("3 years 2 years", ()),
        ("1,234 mL", (("1,234", "ml"),)),
    ],
)
def test_parts_of_a_time_may_stand_apart(text: str, parts: tuple[tuple[str, str], ...]) -> None:
    assert parse(text).parts == parts


def test_years_and_months_add_up() -> None:
    found = value_of(parse("3 years, 6 months"), "", True)
    assert found == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("numbers", "mark"),
    [
        (["1,234.5"], "."),
        (["1.234,5"], ","),
        # A point before decimals, and thousands that say that it is none.
        (["1.234,5", "2.75"], None),
        (["1,234.5", "2,75"], None),
        (["1,234,567"], "."),
        (["1.234.567", "0.5"], None),
        (["12.5"], ""),
        (["12,5"], ",."),
    ],
)
def test_which_mark_stands_before_decimals(numbers: list[str], mark: str | None) -> None:
    assert decimal_mark(numbers, False) == mark


@pytest.mark.parametrize(
    ("text", "point", "value"),
    [
        ("1,234.5", ".", 1234.5),
        ("1.234,5", ",", 1234.5),
        ("1,23.5", ".", None),
        ("1.5,234", ".", None),
        ("1,5", None, None),
        ("1 2345", "", None),
        ("12 345", "", 12345.0),
        ("1,5", "", None),
        ("1,5", ",.", 1.5),
        ("1,500", ",.", None),
        ("1,5.2", "age", None),
        ("1.2.3", "", None),
    ],
)
def test_a_number_that_contradicts_its_column_has_no_value(
    text: str, point: str | None, value: float | None
) -> None:
    assert value_of(parse(text), point, False) == value


@given(
    st.integers(0, 90),
    st.integers(1, 11),
    st.sampled_from(["y", "yrs", "years"]),
    st.sampled_from(["m", "mo", "months"]),
    st.sampled_from([" ", ", ", ","]),
)
def test_any_age_in_years_and_months(
    years: int, months: int, year: str, month: str, between: str
) -> None:
    found = value_of(parse(f"{years} {year}{between}{months} {month}"), "", True)
    assert found == pytest.approx(years + months / 12)
    assert TIMES[month] == 1 / 12
