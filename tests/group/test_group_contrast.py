"""Two classes, many measures: Welch, Benjamini and Hochberg, Hedges, written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from voxplain.errors import InputError
from voxplain.group.contrast import compare_classes, mean_by_participant

RNG = np.random.default_rng(0)
NAMES = ("women", "men")


def test_each_measure_by_hand() -> None:
    labels = np.array([0] * 7 + [1] * 9)
    values = RNG.normal(size=(16, 5)) + np.outer(labels, [0, 0.5, 1, 2, 3])
    found = compare_classes(values, labels, NAMES)
    p = []
    for c in range(5):
        a, b = values[:7, c], values[7:, c]
        va, vb = a.var(ddof=1) / 7, b.var(ddof=1) / 9
        t = (b.mean() - a.mean()) / np.sqrt(va + vb)
        df = (va + vb) ** 2 / (va**2 / 6 + vb**2 / 8)
        p.append(2 * stats.t.sf(abs(t), df))
        spread = np.sqrt((6 * a.var(ddof=1) + 8 * b.var(ddof=1)) / 14)
        g = (1 - 3 / (4 * 14 - 1)) * (b.mean() - a.mean()) / spread
        row = found.iloc[c]
        assert row[["t", "df", "p", "g"]].tolist() == pytest.approx([t, df, p[-1], g])
        assert row[["mean_women", "sd_men"]].tolist() == pytest.approx([a.mean(), b.std(ddof=1)])
    order = np.argsort(p)
    q = np.minimum.accumulate([p[i] * 5 / (rank + 1) for rank, i in enumerate(order)][::-1])[::-1]
    assert found["q"].to_numpy()[order] == pytest.approx(q)


def test_noise_is_rarely_called_a_difference() -> None:
    labels = np.arange(40) % 2
    false = [
        (
            compare_classes(np.random.default_rng(i).normal(size=(40, 32)), labels, NAMES)["q"]
            < 0.05
        ).any()
        for i in range(100)
    ]
    assert np.mean(false) < 0.12


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=14), st.integers(0, 2**16))
def test_each_participant_is_a_row_whatever_the_order_and_number_of_scans(
    who: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(len(who), 3))
    names = [f"sub-{w}" for w in who]
    means, labels = mean_by_participant(values, names, np.array(who) % 2)
    expected = pd.DataFrame(values).groupby(names, sort=False).mean()
    assert means == pytest.approx(expected.to_numpy())
    assert labels.tolist() == [int(name[-1]) % 2 for name in expected.index]


@pytest.mark.parametrize("scans", [2, 4])
def test_several_scans_of_one_person_are_no_evidence(scans: int) -> None:
    """Of null studies few have a false discovery at q < .05; many, by scans as they are."""
    who = np.repeat(np.arange(40), scans)
    false = np.zeros(2)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(40, 16))[who] + 0.5 * rng.normal(size=(len(who), 16))
        averaged = mean_by_participant(values, who.astype(str).tolist(), who % 2)
        for i, each in enumerate((averaged, (values, who % 2))):
            false[i] += (compare_classes(*each, NAMES)["q"] < 0.05).any()
    assert false[0] <= 11
    assert false[1] >= 25


def test_a_participant_of_two_classes_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 have scans of more than one class, such as b"):
        mean_by_participant(np.zeros((4, 2)), ["a", "b", "b", "a"], np.array([0, 0, 1, 0]))


def test_a_constant_measure_differs_in_nothing() -> None:
    values = np.column_stack([np.ones(6), RNG.normal(size=6)])
    found = compare_classes(values, np.array([0, 1] * 3), NAMES)
    assert found.iloc[0][["t", "p", "g"]].tolist() == [0, 1, 0]
    assert np.isfinite(found["q"]).all()


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 0, 0, 0]])
def test_two_of_each_are_needed(labels: list[int]) -> None:
    with pytest.raises(InputError, match="two classes of two subjects or more; there are"):
        compare_classes(np.zeros((4, 2)), np.array(labels), NAMES)
