"""Cells and columns of tables: what is missing, what number is meant, what makes a group."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pandas as pd
import pytest

from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.cells import missing, one_spelling
from voxplain.tables.columns import numbers_or_words, read_numbers


def column(cells: list[object], name: str = "age") -> pd.Series:
    return pd.Series(cells, name=name)


@pytest.mark.parametrize(
    "cell",
    ["", " ", "n/a", "N/A", "NaN", "#N/A", "unknown", "UNK", "(unknown)", "-", "—", "???", "None",
     "not reported", "Not_Available", "prefer not to say", "don't know", None, np.nan, pd.NA,
     "\u200bn/a\ufeff", "n.a.", "<NA>", "null", ".", "missing"],
)  # fmt: skip
def test_nothing_is_missing_in_any_dress(cell: object) -> None:
    assert missing(cell)


@pytest.mark.parametrize(
    "cell", ["0", "-9", "+", "U", "NR", "no", "normal", "M", "a-b", "unknown cause", "N", "-1"]
)
def test_what_says_something_is_not_missing(cell: str) -> None:
    assert not missing(cell)


def test_the_most_frequent_spelling_names_all() -> None:
    told = one_spelling(["ad", "AD", "AD ", "AD", "C N", "CN", "cn", "Ｃn"])
    assert set(told.values()) == {"AD", "CN"}


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["45,3", "46.1", "50", " 7 "], [45.3, 46.1, 50, 7]),
        (["45,321", "30,125"], [45.321, 30.125]),
        (["045Y", "018M", "026W", "073D"], [45, 1.5, 26 * 7 / 365.25, 73 / 365.25]),
        (["45 years", "46y", "47 yrs old"[:6], "48 Jahre", "49"], [45, 46, 47, 48, 49]),
        (["45 years 6 months", "3y 3m", "2 y"], [45.5, 3.25, 2]),
        (["6 months", "18 mo", "2 years"], [0.5, 1.5, 2]),
        (["45.", "\u00a046\u200b", "'47", "４８"], [45, 46, 47, 48]),
        (["45", "unknown", "", None, "47"], [45, np.nan, np.nan, np.nan, 47]),
        (["−5.5", "+3", ".5", "1e3"], [-5.5, 3, 0.5, 1000]),
    ],
)
def test_ages_as_people_write_them(cells: list[object], numbers: list[float]) -> None:
    found = read_numbers(column(cells))
    np.testing.assert_allclose(found.values, numbers)
    assert found.numeric
    assert found.unread == ()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,234.5", "987", "1,500"], [1234.5, 987, 1500]),
        (["1.234,5", "987,25", "1.500"], [1234.5, 987.25, 1500]),
        (["1 234,5", "1'500.25", "987"], [1234.5, 1500.25, 987]),
        (["1,234,567", "1,500"], [1234567, 1500]),
        (["1.234.567", "1.500"], [1234567, 1500]),
        (["100 iu", "120 iu"], [100, 120]),
        (["1503 ml", "1200ml"], [1503, 1200]),
        (["1.75 m", "1.8m"], [1.75, 1.8]),
        (["5 %", "7%"], [5, 7]),
    ],
)
def test_sizes_as_people_write_them(cells: list[object], numbers: list[float]) -> None:
    found = read_numbers(column(cells, "tiv"))
    np.testing.assert_allclose(found.values, numbers)
    assert found.unread == ()


@pytest.mark.parametrize(
    ("cells", "unread"),
    [
        (["1,234", "987"], ("1,234",)),
        (["1.234", "98,5"], ("1.234",)),
        (["1,234.5", "1.234,5"], ("1,234.5", "1.234,5")),
        (["1503 ml", "1.5 l"], ("1503 ml", "1.5 l")),
        (["45", "26-30", ">89", "90+", "50", "60", "70"], ("26-30", ">89", "90+")),
        (["12 34", "5"], ("12 34",)),
        (["45.5", "12.03.1950", "50,5"], ("12.03.1950",)),
        (["1", "2", "3", "4A", "5"], ("4A",)),
    ],
)
def test_what_may_mean_two_numbers_is_not_read(cells: list[object], unread: tuple[str]) -> None:
    found = read_numbers(column(cells, "tiv"))
    assert found.unread == unread
    assert found.numeric
    assert np.isnan(found.values[[cell in unread for cell in cells]]).all()


@pytest.mark.parametrize("code", ["-9", "-99", "999", "9999"])
def test_codes_for_a_missing_age(code: str) -> None:
    found = read_numbers(column([code, *map(str, range(20, 60))]))
    assert np.isnan(found.values[0])
    assert found.unread == (code,)
    scores = read_numbers(column(["-1", "-9", "0.5", "1.2"], "age_z"))
    assert np.isfinite(scores.values).all()
    assert np.isfinite(read_numbers(column([code, "1", "2"], "score")).values).all()


def test_codes_are_looked_for_where_numbers_can_be_ages() -> None:
    for oldest, known in ((130, False), (131, True)):
        found = read_numbers(column([999, *[oldest] * 5], "age_in_weeks"))
        assert np.isfinite(found.values[0]) == known


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1", "2", "a", "b"], False),
        (["1", "2", "3", "a", "b"], True),
        (["5 iu", "6 iu", "7 au", "8 au"], False),
        (["5 ml", "6 ml", "7 cc", "8 cc"], True),
        (["5 iu", "6 iu"], True),
    ],
)
def test_a_column_is_of_numbers_where_most_cells_are(cells: list[str], numeric: bool) -> None:
    assert read_numbers(column(cells, "dose")).numeric == numeric


def test_months_beside_numbers_without_a_unit_are_said() -> None:
    with pytest.warns(VoxplainWarning, match="without a unit beside months.*taken for years"):
        found = read_numbers(column(["45", "018M"]))
    np.testing.assert_allclose(found.values, [45, 1.5])


def test_any_way_of_writing_gives_the_number() -> None:
    """Numbers of every size, written by Python's own formatting, come back."""
    rng = random.Random(0)
    for _ in range(200):
        numbers = [round(rng.uniform(0, 10 ** rng.randint(1, 6)), 2) for _ in range(12)]
        write = rng.choice(
            (
                lambda x: f"{x:,.2f}",
                lambda x: f"{x:,.2f}".replace(",", " "),
                lambda x: f"{x:,.2f}".translate({44: 46, 46: 44}),
                lambda x: f"{x:.2f}".replace(".", ","),
                lambda x: f" {x:.2f} mL ",
                lambda x: f"{x:e}",
            )
        )
        found = read_numbers(column([write(x) for x in numbers], "size"))
        np.testing.assert_allclose(found.values, numbers, rtol=1e-6, err_msg=write(numbers[0]))


class TestNumbersOrWords:
    def test_unreadable_cells_are_said(self) -> None:
        cells = [*map(str, range(20, 40)), "old", "90+"]
        with pytest.warns(VoxplainWarning, match="holds numbers, but for 'old', '90.'; such cells"):
            found = numbers_or_words(column(cells))
        assert np.isnan(found[-2:]).all()

    def test_words_of_one_group_are_spelt_alike(self) -> None:
        found = numbers_or_words(column(["HH", "hh ", "Guys", "unknown"], "town"))
        assert found.tolist() == ["HH", "HH", "Guys", None]

    def test_sites_are_groups_whatever_they_look_like(self) -> None:
        for cells in (["1", "2", "1"], [1, 2, 1], [1.0, 2.0, 1.0]):
            assert numbers_or_words(column(cells, "site")).tolist() == ["1", "2", "1"]

    def test_codes_with_letters_are_words(self) -> None:
        for cells in (["1A", "2B", "1A", "3C"], ["1A", "2A", "1A", "2A"], ["1st", "2nd", "3rd"]):
            assert numbers_or_words(column(cells, "arm")).tolist() == cells

    def test_dozens_of_single_words_are_no_groups(self) -> None:
        days = [f"1950-01-{day:02d}" for day in range(1, 29)]
        with pytest.raises(InputError, match="neither numbers nor groups: there are 28 different"):
            numbers_or_words(column(days))
        with pytest.raises(InputError, match=r"no number of one meaning \('1,234'"):
            numbers_or_words(column(["1,234", "1,500"], "tiv"))

    def test_words_beside_some_numbers_are_said(self) -> None:
        cells = ["26-30", "31-35", "36", "26-30"]
        with pytest.warns(VoxplainWarning, match="holds words beside numbers"):
            assert numbers_or_words(column(cells)).tolist() == cells

    def test_plain_columns_are_silent(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for cells in ([1.5, np.nan, 2], ["1.5", "n/a", "2"], ["a", "b", "a"], [True, False]):
                numbers_or_words(column(cells, "x"))
