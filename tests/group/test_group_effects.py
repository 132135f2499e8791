"""Sizes of effects, prevalence and conjunction: each against a loop written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxplain.errors import InputError
from voxplain.group.conjunction import conjunction
from voxplain.group.design import Design, make_design
from voxplain.group.effects import effects
from voxplain.group.prevalence import prevalence


@pytest.mark.parametrize(("shown", "of", "alpha"), [(14, 20, 0.05), (9, 30, 0.5), (25, 25, 0.05)])
def test_prevalence_by_a_fine_grid_of_all_that_it_could_be(
    shown: int, of: int, alpha: float
) -> None:
    share = np.linspace(0, 1, 200_001)
    finds = alpha + (1 - alpha) * share
    weight = finds**shown * (1 - finds) ** (of - shown)
    weight /= weight.sum()
    found = prevalence(shown, of, alpha)
    assert found.value == pytest.approx(share[weight.argmax()], abs=1e-4)
    # The narrowest interval holds the likeliest shares.
    order = np.argsort(-weight)
    held = share[order[: np.searchsorted(weight[order].cumsum(), 0.95) + 1]]
    assert (found.low, found.high) == pytest.approx((held.min(), held.max()), abs=2e-3)


def test_intervals_of_prevalence_hold_the_truth_as_often_as_they_say() -> None:
    rng, alpha, held = np.random.default_rng(0), 0.05, 0
    shares = rng.uniform(0, 1, 400)
    for share in shares:
        found = prevalence(int(rng.binomial(30, alpha + (1 - alpha) * share)), 30, alpha)
        held += found.low <= share <= found.high
    assert 0.92 < held / 400 < 0.98


def test_no_prevalence_without_subjects() -> None:
    for given in ((3, 2, 0.05), (0, 0, 0.05), (1, 2, 1.0), (-1, 2, 0.05)):
        with pytest.raises(InputError, match="A prevalence needs subjects"):
            prevalence(*given)


def test_a_conjunction_voxel_by_voxel() -> None:
    rng = np.random.default_rng(1)
    t, p = rng.normal(size=(3, 50)), rng.uniform(size=(3, 50))
    found_t, found_p = conjunction(list(t), list(p))
    for voxel in range(50):
        one = t[:, voxel]
        agree = (one > 0).all() or (one < 0).all()
        nearest = min(one, key=abs) if agree else 0.0
        assert found_t[voxel] == pytest.approx(nearest)
        assert found_p[voxel] == (max(p[:, voxel]) if agree else 1.0)
    assert (found_p < 1).any()
    assert (found_p == 1).any()
    with pytest.raises(InputError, match="needs two tests or more of the same voxels; 1 were"):
        conjunction([t[0]], [p[0]])
    with pytest.raises(InputError, match="of the same voxels"):
        conjunction([t[0], t[1, :9]], [p[0], p[1]])


def test_a_conjunction_holds_its_level_where_one_effect_is_missing() -> None:
    rng = np.random.default_rng(2)
    p = [rng.uniform(size=20_000), np.full(20_000, 1e-6)]
    found = conjunction([np.ones(20_000), np.ones(20_000)], p)[1]
    assert (found <= 0.05).mean() == pytest.approx(0.05, abs=0.006)


def _table(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b"] * (n // 2))
    age = rng.normal(50, 8, n)
    table = pd.DataFrame({"participant_id": range(n), "label": labels, "age": age})
    values = rng.normal(size=(n, 3)) + 0.1 * age[:, None]
    values[labels == "b"] += [1.5, 0.0, -1.0]
    return table, values


def _slope(design: Design, values: np.ndarray, rows: list[int]) -> np.ndarray:
    x = design.matrix[rows]
    return design.contrast @ np.linalg.lstsq(x, values[rows], rcond=None)[0]


@pytest.mark.parametrize("model", ["class + age", "1 + age", "age + class"])
def test_effects_and_their_intervals_by_drawing_families_one_by_one(model: str) -> None:
    table, values = _table(60, 3)
    design = make_design(table, model)
    units = [np.arange(i, i + 3) for i in range(0, 60, 3)]
    found = effects(values, design, units, seed=5)
    assert [one.value for one in found] == pytest.approx(_slope(design, values, list(range(60))))
    rng, drawn = np.random.default_rng(9), []
    for _ in range(2000):
        chosen = rng.integers(0, 20, 20)
        drawn.append(_slope(design, values, [row for one in chosen for row in units[one]]))
    wanted = np.percentile(drawn, [2.5, 97.5], axis=0)
    spread = np.std(drawn, axis=0)
    for column, one in enumerate(found):
        assert one.low == pytest.approx(wanted[0, column], abs=0.2 * spread[column])
        assert one.high == pytest.approx(wanted[1, column], abs=0.2 * spread[column])


def test_in_how_many_cases_an_effect_shows_case_by_case() -> None:
    table, values = _table(80, 4)
    design = make_design(table, "class + age")
    units = [np.array([row]) for row in range(80)]
    found = effects(values, design, units)
    beta = np.linalg.lstsq(design.matrix, values, rcond=None)[0]
    left = values - np.outer(design.matrix[:, 2], beta[2])
    for column, one in enumerate(found):
        sign = np.sign(one.value)
        controls = sign * left[table["label"] == "a", column]
        shown = 0
        for value in sign * left[table["label"] == "b", column]:
            shown += (1 + sum(other >= value for other in controls)) / 41 <= 0.05
        assert one.prevalence is not None
        assert (one.prevalence.shown, one.prevalence.of) == (shown, 40)
        alone = prevalence(shown, 40, 0.05)
        assert one.prevalence.value == alone.value
        assert one.prevalence.low <= alone.low <= alone.high <= one.prevalence.high
    assert found[0].prevalence is not None
    assert found[0].prevalence.shown > 10


def test_in_how_many_families_a_mean_has_its_sign() -> None:
    table, values = _table(40, 6)
    design = make_design(table, "1")
    units = [np.arange(i, i + 2) for i in range(0, 40, 2)]
    values = values - values.mean(axis=0) + [0.5, 0.02, -3.0]
    found = effects(values, design, units)
    for column, one in enumerate(found):
        sign = np.sign(values[:, column].mean())
        shown = sum(sign * values[rows, column].mean() > 0 for rows in units)
        assert one.prevalence == prevalence(int(shown), 20, 0.5)


def test_no_prevalence_of_a_slope_or_of_few_controls() -> None:
    table, values = _table(30, 7)
    single = [np.array([row]) for row in range(30)]
    assert effects(values, make_design(table, "age"), single)[0].prevalence is None
    assert effects(values, make_design(table, "class"), single)[0].prevalence is None


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"participant_id": range(40), "label": "a", "age": 1.0})
    values = rng.normal(size=(40, 300))
    found = effects(values, make_design(table, "1"), [np.array([row]) for row in range(40)])
    held = np.mean([one.low <= 0 <= one.high for one in found])
    assert held == pytest.approx(0.94, abs=0.035)
    wide = 2 * stats.t.isf(0.025, 39) / np.sqrt(40)
    assert np.mean([one.high - one.low for one in found]) == pytest.approx(wide, rel=0.08)
