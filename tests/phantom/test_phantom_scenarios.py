"""Scenarios: what can be known of them is what is said, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import ttest_ind
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom import (
    SCENARIOS,
    Effect,
    Interaction,
    Scenario,
    Suppression,
    make_phantom,
    make_scenario,
)
from voxplain.volume import Volume

GRID = Grid.covering((-60, -70, -50), (60, 70, 50), (24, 28, 20), flip_x=True)
FINE = Grid.covering((-62, -72, -52), (62, 72, 52), (62, 72, 52))
PLACE = FINE.to_world(np.moveaxis(np.indices(FINE.shape), 0, -1))


@pytest.fixture(scope="module")
def template() -> Volume:
    radius = np.linalg.norm(PLACE / [50, 60, 42], axis=-1)
    return Volume(np.where(radius < 1, 0.8, 0).astype(np.float32), FINE)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    labels = np.zeros(FINE.shape, dtype=np.int32)
    names = {}
    for number, (name, x, y) in enumerate(
        [("Hippocampus", 25, -10), ("Amygdala", 25, 20), ("Putamen", 22, -40)], start=1
    ):
        for side, sign in (("L", -1), ("R", 1)):
            label = 10 * number + (sign > 0)
            labels[np.linalg.norm(PLACE - [sign * x, y, 0], axis=-1) < 10] = label
            names[label] = f"{name}_{side}"
    return Atlas(labels, FINE, names, "balls")


def draws(scenario: Scenario, count: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Amounts of many subjects, array (N, parts), and whether each is a case."""
    rng = np.random.default_rng(0)
    cases = np.arange(count) % 2 == 1
    return np.array([scenario.effect.draw(rng, bool(c)).whole for c in cases]), cases


@pytest.mark.parametrize("dprime", [1.0, 2.5])
@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"null"}))
def test_the_dial_is_the_accuracy_of_the_best_observer(name: str, dprime: float) -> None:
    assert make_scenario(name, dprime).bayes_accuracy == pytest.approx(ndtr(dprime / 2))


def test_nobody_knows_anything_of_the_null() -> None:
    assert make_scenario("null").bayes_accuracy == 0.5


def test_the_observer_of_an_interaction_asks_for_both_sides() -> None:
    scenario = make_scenario("interaction", 2.0)
    amounts, cases = draws(scenario)
    right = (np.prod(amounts, axis=1) < 0) == cases
    assert right.mean() == pytest.approx(scenario.bayes_accuracy, abs=0.02)
    # One part alone, in its mean and in its spread, says nothing.
    for part in amounts.T:
        assert ttest_ind(part[cases], part[~cases]).pvalue > 0.01
        assert part[cases].std() == pytest.approx(part[~cases].std(), rel=0.05)
    linear = LinearDiscriminantAnalysis().fit(amounts, cases).score(amounts, cases)
    assert linear < 0.53


def test_the_observer_of_suppression_weighs_both_parts() -> None:
    scenario = make_scenario("suppressor", 2.5)
    amounts, cases = draws(scenario)
    model = LinearDiscriminantAnalysis().fit(amounts, cases)
    assert model.score(amounts, cases) == pytest.approx(scenario.bayes_accuracy, abs=0.02)
    telling, suppressor = amounts.T
    assert ttest_ind(suppressor[cases], suppressor[~cases]).pvalue > 0.01
    alone = LinearDiscriminantAnalysis().fit(telling[:, None], cases).score(telling[:, None], cases)
    assert alone < scenario.bayes_accuracy - 0.1
    weights = model.coef_[0]
    assert weights[1] / weights[0] == pytest.approx(-(0.2**2) / (0.2**2 + 0.07**2), abs=0.1)
    assert scenario.effect.telling == (True, False)


def test_a_suppressor_is_kept_apart_from_the_truth(template: Volume, atlas: Atlas) -> None:
    made = make_phantom(4, template, atlas, scenario=Scenario(effect=Suppression(), grid=GRID))
    assert made.support.any()
    assert made.decoy.any()
    assert not (made.support & made.decoy).any()
    for i in (1, 3):
        changed = made.cohort.load(i) != made.without_effect[i]
        assert changed[made.own_supports[i]].mean() > 0.9
    assert {"darkening", "darkening_2"} <= set(made.cohort.participants)


def test_an_interaction_changes_a_case_in_its_second_part(template: Volume, atlas: Atlas) -> None:
    scenario = Scenario(effect=Interaction(), grid=GRID)
    made = make_phantom(4, template, atlas, scenario=scenario)
    first = make_phantom(
        4, template, atlas, scenario=Scenario(effect=Effect(("Hippocampus_L",)), grid=GRID)
    ).support
    assert (made.support & first).any()
    changes = np.abs(made.cohort.load(1) - made.without_effect[1])
    assert changes[made.own_supports[1]].max() > 100
    assert np.array_equal(made.cohort.load(0), made.without_effect[0])
    table = made.cohort.participants
    sides = np.sign(table["darkening"] * table["darkening_2"])
    assert (sides[[0, 2]] > 0).all()
    assert (sides[[1, 3]] < 0).all()


def test_heads_of_cases_are_larger_by_what_was_asked(template: Volume, atlas: Atlas) -> None:
    scenario = make_scenario("head-size", 3.0)
    scenario = Scenario(effect=scenario.effect, head_size=scenario.head_size, grid=GRID)
    made = make_phantom(24, template, atlas, scenario=scenario)
    volume = np.array([(made.cohort.load(i) > 0).sum() for i in range(24)])
    cases = made.cohort.labels == 1
    ratio = np.log(volume[cases].mean() / volume[~cases].mean())
    assert ratio == pytest.approx(3 * 3.0 * scenario.anatomy.size_sd, abs=0.06)
    assert np.array_equal(made.cohort.stack(range(24)), made.without_effect)


def test_a_mark_lies_outside_the_brain_and_is_the_truth(template: Volume, atlas: Atlas) -> None:
    scenario = Scenario(effect=Effect(strength=0.0), mark=3.0, grid=GRID)
    made = make_phantom(40, template, atlas, scenario=scenario)
    assert not (made.support & made.brain).any()
    bright = np.array([made.cohort.load(i)[made.support].mean() for i in range(40)])
    bare = np.array([made.without_effect[i][made.support].mean() for i in range(40)])
    cases = made.cohort.labels == 1
    assert np.array_equal(bright[~cases], bare[~cases])
    assert np.allclose(bright[cases] - bare[cases], 300)
    assert made.without_effect[:, made.support].std() == pytest.approx(100, rel=0.3)


def test_bad_scenarios_are_one_sentence() -> None:
    with pytest.raises(InputError, match="scenario"):
        make_scenario("xor")
    with pytest.raises(InputError, match=r"from 0.1 to 4; 9 was given"):
        make_scenario("additive", 9)
    with pytest.raises(InputError, match="plant one of them"):
        _ = Scenario(effect=Interaction(), mark=1.0).bayes_accuracy


def test_accuracies_at_the_edges() -> None:
    assert Effect(strength=0.0, spread=0.0).bayes_accuracy == 0.5
    assert Effect(strength=0.1, spread=0.0).bayes_accuracy == 1.0
    # Head size alone tells, whatever kind of effect is absent.
    alone = Scenario(effect=Interaction(strength=0.0), head_size=2.0)
    assert alone.bayes_accuracy == pytest.approx(ndtr(1.0))


def test_heads_of_the_sex_like_preset_vary_as_measured() -> None:
    scenario = make_scenario("sex-like")
    assert scenario.anatomy.size_sd == pytest.approx(np.log(1.156) / 3 / 1.77)
