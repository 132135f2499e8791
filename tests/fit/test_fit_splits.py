"""Splits: everybody is held out once, and those who belong together stay together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from fit_cohorts import classes, make_cohort, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from voxplain.errors import InputError
from voxplain.fit import Outcome, find_groups, inner_split, make_folds, outcome_of
from voxplain.fit.groups import joined_groups
from voxplain.fit.outcome import unit_of
from voxplain.fit.splits import most_folds


def test_each_scan_is_held_out_once_in_each_repeat() -> None:
    outcome = classes(*([0] * 30 + [1] * 20))
    folds = make_folds(outcome, 5, repeats=2, seed=3)
    assert [(f.repeat, f.number) for f in folds] == [(r, k) for r in (1, 2) for k in range(1, 6)]
    for repeat in (1, 2):
        tests = [f.test for f in folds if f.repeat == repeat]
        assert sorted(np.concatenate(tests)) == list(range(50))
        for test in tests:
            assert Counter(outcome.values[test]) == {0: 6, 1: 4}
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(50))
    assert [f.test.tolist() for f in make_folds(outcome, 5, 2, seed=3)] == [
        f.test.tolist() for f in folds
    ]
    assert folds[0].test.tolist() != folds[5].test.tolist()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_families_are_never_split(data: st.DataObject) -> None:
    count = data.draw(st.integers(24, 60))
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)))
    values = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    try:
        folds = make_folds(classes(*values), 3, groups=groups, seed=data.draw(st.integers(0, 9)))
    except InputError as error:
        said = str(error)
        assert "groups" in said or "belong together" in said
        return
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert set(values[fold.train]) == {0, 1}
        # As many folds as families leave one family out, which may be of one class.
        assert set(values[fold.test]) == {0, 1} or len(np.unique(groups)) == 3
    assert sorted(np.concatenate([f.test for f in folds])) == list(range(count))


def test_leave_one_out_of_scans_and_of_families() -> None:
    outcome = classes(0, 1, 0, 1, 0, 1)
    folds = make_folds(outcome, 6)
    assert [f.test.tolist() for f in folds] == [[i] for i in range(6)]
    groups = np.array([0, 0, 1, 1, 2, 2])
    folds = make_folds(outcome, 3, groups=groups)
    assert [f.test.tolist() for f in folds] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InputError, match="the same in each repeat"):
        make_folds(outcome, 6, repeats=2)


def test_a_class_may_have_as_many_scans_as_there_are_folds() -> None:
    for fold in make_folds(classes(0, 0, 0, 0, 0, 0, 1, 1, 1), 3):
        assert fold.test.tolist()[-1] >= 6
        assert len(fold.test) == 3


def test_the_first_repeat_is_that_of_seed_0_unless_told() -> None:
    outcome = classes(*([0, 1] * 12))
    told, unsaid = make_folds(outcome, 3, seed=0), make_folds(outcome, 3)
    assert [f.test.tolist() for f in told] == [f.test.tolist() for f in unsaid]
    other = make_folds(outcome, 3, seed=1)
    assert [f.test.tolist() for f in other] != [f.test.tolist() for f in unsaid]


def test_numbers_are_spread_over_folds() -> None:
    outcome = numbers(np.random.default_rng(0).permutation(50))
    for fold in make_folds(outcome, 5, seed=1):
        assert np.bincount(outcome.strata[fold.test], minlength=5).tolist() == [2] * 5


@pytest.mark.parametrize(
    ("values", "folds", "groups", "message"),
    [
        ([0] * 20 + [1] * 3, 5, None, "Class 'case' has 3 scans, fewer than the 5 folds.*--cv 3"),
        ([0, 1] * 4, 1, None, "between 2 and 8, the number of scans; 1 was given"),
        ([0, 1] * 4, 9, None, "between 2 and 8"),
        (
            [0] * 6 + [1] * 6,
            3,
            [0, 1, 2, 3, 4, 5] + [9] * 6,
            "'case' has 1 groups .*another --group",
        ),
        (
            [0] * 6 + [1] * 6,
            7,
            [0, 1, 2, 3, 4, 5] + [9] * 6,
            "fold 7 would have no scan of .*'case'",
        ),
    ],
)
def test_folds_that_cannot_be(
    values: list[int], folds: int, groups: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_folds(classes(*values), folds, groups=None if groups is None else np.array(groups))


def test_the_inner_part_keeps_families_together_too() -> None:
    outcome, groups = classes(*([0, 1] * 20)), np.arange(40) // 2
    train = np.arange(4, 40)
    learn, validate = inner_split(outcome, train, 0.2, groups)
    assert sorted([*learn, *validate]) == train.tolist()
    assert not set(groups[learn]) & set(groups[validate])
    assert 4 <= len(validate) <= 10
    assert set(outcome.values[validate]) == {0, 1}


def test_shared_values_join_scans_across_columns() -> None:
    family = ["a", "a", None, "b", "c"]
    person = [1, 2, 3, 3, 4]
    groups = joined_groups([person, family])
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert len(set(groups)) == 3


class TestFindGroups:
    def table(self, **columns: list[object]) -> pd.DataFrame:
        count = len(next(iter(columns.values())))
        return pd.DataFrame({"participant_id": [f"sub-{i}" for i in range(count)], **columns})

    def test_nothing_to_keep_together(self) -> None:
        groups, said = find_groups(self.table(age=[1, 2, 3, 4]), classes(0, 1, 0, 1), 2)
        assert groups is None
        assert said == "No participant, family or site has to be kept together."

    def test_families_and_repeated_participants(self) -> None:
        table = self.table(family=["f1", "f1", "n/a", "n/a", "f2", "f3"])
        table.loc[3, "participant_id"] = "sub-2"
        groups, said = find_groups(table, classes(0, 1, 0, 0, 1, 1), 2)
        assert groups is not None
        assert (groups[0] == groups[1], groups[2] == groups[3]) == (True, True)
        assert len(set(groups)) == 4
        assert said == "Scans of one participant_id or family stay together."

    def test_a_family_that_nobody_knows_joins_nobody(self) -> None:
        unknown = ["unknown", "Unknown", "-", "?", "", None]
        groups, said = find_groups(self.table(family=unknown), classes(0, 1, 0, 1, 0, 1), 2)
        assert groups is None
        assert said == "No participant, family or site has to be kept together."

    def test_a_family_is_one_however_it_is_written(self) -> None:
        table = self.table(family=["F1 ", "f1", "3", "3.0", "n/a", "F2"])
        groups, _ = find_groups(table, classes(0, 1, 0, 1, 0, 1), 2)
        assert groups is not None
        assert (groups[0] == groups[1], groups[2] == groups[3]) == (True, True)
        assert len(set(groups)) == 4

    def test_zero_is_a_parent_whom_nobody_knows(self) -> None:
        table = self.table(mother_id=["0", "0", "12", "12", "0", "7"])
        groups, said = find_groups(table, classes(0, 1, 0, 1, 0, 1), 2)
        assert said == "Scans of one mother_id stay together."
        assert groups is not None
        assert groups[2] == groups[3]
        assert len(set(groups)) == 5
        family = self.table(family=["0", "0", "12", "12", "3", "7"])
        together = find_groups(family, classes(0, 1, 0, 1, 0, 1), 2)[0]
        assert together is not None
        assert together[0] == together[1]

    def test_sites_where_there_are_enough(self) -> None:
        outcome = classes(*([0, 1] * 6))
        table = self.table(site=[i // 2 for i in range(12)])
        for folds in (5, 6):
            assert "site stay together" in find_groups(table, outcome, folds)[1]
        groups, said = find_groups(table, outcome, 7)
        assert groups is None
        assert "sites (site) are mixed in all folds; --group site keeps them apart." in said
        groups, said = find_groups(table, outcome, 7, "site")
        assert len(set(groups)) == 6

    def test_none_and_what_is_not_there(self) -> None:
        table = self.table(family=["a", "a"])
        groups, said = find_groups(table, classes(0, 1), 2, "none")
        assert groups is None
        assert said.endswith("although some belong together: expect scores that are too good.")
        alone = find_groups(self.table(age=[1, 2]), classes(0, 1), 2, "none")[1]
        assert alone == "Scans are split one by one, as --group none asks."
        with pytest.raises(InputError, match=r"no column 'twin' to group by; they have: .*family"):
            find_groups(table, classes(0, 1), 2, "twin")


def test_outcomes() -> None:
    cohort = make_cohort(6)
    assert outcome_of(cohort).counts() == "3 control and 3 case"
    age = outcome_of(cohort, "age")
    assert (age.outputs, age.class_names) == (1, ())
    np.testing.assert_allclose(age.values, cohort.participants["age"])
    cohort.participants.loc[2, "age"] = np.inf
    with pytest.raises(InputError, match=r"1 of 6 scans have no finite number in column 'age'.*02"):
        outcome_of(cohort, "age")
    with pytest.raises(InputError, match="no column 'iq' to predict; they have"):
        outcome_of(cohort, "iq")
    cohort.participants["age"] = 3
    with pytest.raises(InputError, match="same age, 3; there is nothing to predict"):
        outcome_of(cohort, "age")
    assert isinstance(age, Outcome)


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("age", "years"), ("age_at_scan", "years"), ("AgeInMonths", "months"), ("brain_ml", "mL"),
        ("height_cm", "cm"), ("iq", "iq"), ("score_2", "score_2"),
    ],
)  # fmt: skip
def test_a_column_s_name_tells_its_unit(column: str, unit: str) -> None:
    assert unit_of(column) == unit


def test_families_count_as_one_for_the_number_of_folds() -> None:
    outcome = Outcome("label", np.array([0] * 6 + [1] * 9), ("a", "b"))
    assert most_folds(outcome) == 6
    families = np.array([0, 0, 0, 1, 1, 2, *range(3, 12)])
    assert most_folds(outcome, families) == 3
