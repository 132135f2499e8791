"""A column of ages is text, and becomes groups: https://github.com/easystats/report/pull/389"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from voxplain.cohort.check.balance import balance
from voxplain.errors import InputError, VoxplainWarning
from voxplain.fit.confounds import confound_columns, confounds_alone, design
from voxplain.fit.outcome import Outcome, outcome_of
from voxplain.fit.splits import make_folds
from voxplain.grid import Grid
from voxplain.volume import Cohort

COUNT = 60
AGES = np.random.default_rng(3).uniform(20, 80, COUNT).round(1)
WAYS = {
    "decimal comma": [f"{age:.1f}".replace(".", ",") for age in AGES],
    "years": [f"{age:g} years" for age in AGES],
    "y": [f"{age:g}y" for age in AGES],
    "blanks": [f" {age:g} " for age in AGES],
    "months": [f"{12 * age:.1f} months" for age in AGES],
}


def cohort(ages: list[str]) -> Cohort:
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i}" for i in range(COUNT)],
            "label": ["a", "b"] * (COUNT // 2),
            "age": ages,
        }
    )
    grid = Grid((2, 2, 2), np.eye(4))
    return Cohort(table, ("a", "b"), grid, lambda i: np.zeros((2, 2, 2), np.float32))


@pytest.mark.parametrize("ages", WAYS.values(), ids=WAYS)
def test_ages_are_numbers_wherever_they_are_read(ages: list[str]) -> None:
    made, plain = cohort(ages), cohort([f"{age:g}" for age in AGES])
    train = np.arange(40)
    by_hand = (AGES - AGES[train].mean()) / AGES[train].std()
    np.testing.assert_allclose(design(made.participants["age"], train)[:, 0], by_hand, atol=0.02)
    np.testing.assert_allclose(outcome_of(made, "age").values, AGES, atol=0.01)
    assert confound_columns(made.participants, outcome_of(made)) == ["age"]
    assert balance(made)[0].auc == pytest.approx(balance(plain)[0].auc)
    folds = make_folds(outcome_of(made), 5)
    one, other = (
        np.concatenate(confounds_alone(c.participants[["age"]], outcome_of(c), folds))
        for c in (made, plain)
    )
    np.testing.assert_allclose(one, other, atol=0.01)


def test_ages_of_dicom() -> None:
    ages = [f"{int(age):03d}Y" for age in AGES]
    np.testing.assert_array_equal(outcome_of(cohort(ages), "age").values, AGES.astype(int))


def test_a_few_cells_that_are_no_number_are_said_and_make_no_groups() -> None:
    ages = [*WAYS["decimal comma"][:-2], "90+", "elderly"]
    made = cohort(ages)
    with pytest.warns(VoxplainWarning, match=r"holds numbers, but for '90\+', 'elderly'"):
        assert design(made.participants["age"], np.arange(COUNT)).shape == (COUNT, 1)
    with pytest.raises(InputError, match="2 of 60 scans have no finite number in column 'age'"):
        outcome_of(made, "age")


def test_dates_are_no_groups() -> None:
    made = cohort([f"19{50 + i % 50}-0{1 + i % 9}-01" for i in range(COUNT)])
    outcome = Outcome("label", made.labels, made.class_names)
    with pytest.warns(VoxplainWarning, match="neither numbers nor groups.*not controlled for"):
        assert confound_columns(made.participants, outcome) == []
    with pytest.raises(InputError, match="neither numbers nor groups"):
        confound_columns(made.participants, outcome, ["age"])
    with pytest.warns(VoxplainWarning, match="neither numbers nor groups.*not looked at"):
        assert balance(made) == []
