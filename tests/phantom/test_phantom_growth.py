"""Regions that grow in phantoms, the preset that follows measured effects, and real-brain bases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom import (
    Anatomy,
    Growth,
    Interaction,
    Scanner,
    Scenario,
    log_jacobian,
    make_phantom,
    make_scenario,
)
from voxplain.volume import Volume

GRID = Grid.covering((-60, -70, -50), (60, 70, 50), (30, 35, 25), flip_x=True)
FINE = Grid.covering((-62, -72, -52), (62, 72, 52), (62, 72, 52))
PLACE = FINE.to_world(np.moveaxis(np.indices(FINE.shape), 0, -1))
STILL = Anatomy(scales=(), size_sd=0, rotation_sd=0, shift_sd=0)
QUIET = Scanner(gain_sd=0, bias_sd=0, contrast_sd=0, noise=0)
BALLS = (("Ball_L",), ("Ball_R",))


def brain(bright: float = 0.5) -> Volume:
    """Bright balls in a darker brain."""
    values = np.where(np.linalg.norm(PLACE / [50, 60, 42], axis=-1) < 1, bright, 0)
    for x in (-25, 25):
        values[np.linalg.norm(PLACE - [x, 0, 0], axis=-1) < 14] = 1.0
    return Volume(values.astype(np.float32), FINE)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    labels = np.zeros(FINE.shape, dtype=np.int32)
    labels[np.linalg.norm(PLACE - [-25, 0, 0], axis=-1) < 14] = 1
    labels[np.linalg.norm(PLACE - [25, 0, 0], axis=-1) < 14] = 2
    return Atlas(labels, FINE, {1: "Ball_L", 2: "Ball_R"}, "balls")


def growth(**given: object) -> Growth:
    return Growth(places=BALLS, changes=(0.2, -0.1), **given)  # type: ignore[arg-type]


def test_balls_of_cases_are_as_large_as_was_asked(atlas: Atlas) -> None:
    """Volumes by the signal above the rest of the brain: an integral over the image."""
    scenario = Scenario(effect=growth(spread=0.0), anatomy=STILL, scanner=QUIET, grid=GRID)
    made = make_phantom(2, brain(), atlas, scenario=scenario)
    left = GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1))[..., 0] < 0

    def volumes(values: np.ndarray) -> np.ndarray:
        inner = np.clip(values - 500, 0, None) / 500
        return np.array([inner[left].sum(), inner[~left].sum()])

    ratio = np.log(volumes(made.cohort.load(1)) / volumes(made.without_effect[1]))
    np.testing.assert_allclose(ratio, [0.2, -0.1], rtol=0.1)
    np.testing.assert_array_equal(made.cohort.load(0), made.without_effect[0])
    sizes = [(own & left).sum() for own in made.own_supports]
    assert np.log(sizes[1] / sizes[0]) == pytest.approx(0.2, abs=0.06)
    assert made.cohort.participants["log_volume"].tolist() == [0.0, 0.2]
    assert made.cohort.participants["log_volume_2"].tolist() == [0.0, -0.1]


def test_the_observer_of_growth_takes_all_parts_together() -> None:
    effect = growth(spread=1.6)
    rng = np.random.default_rng(0)
    cases = np.arange(8000) % 2 == 1
    amounts = np.array([effect.draw(rng, bool(c)).whole for c in cases])
    score = amounts @ (np.array([0.2, -0.1]) / (1.6 * np.array([0.2, 0.1])) ** 2)
    middle = (score[cases].mean() + score[~cases].mean()) / 2
    assert ((score > middle) == cases).mean() == pytest.approx(effect.bayes_accuracy, abs=0.015)
    assert effect.bayes_accuracy == pytest.approx(ndtr(np.sqrt(2) / 1.6 / 2))


def test_the_preset_is_what_was_measured() -> None:
    made = make_scenario("sex-like")
    linear = made.head_size * made.anatomy.size_sd
    assert np.exp(3 * linear) == pytest.approx(1.156)
    assert made.head_size == 1.77
    effect = made.effect
    assert isinstance(effect, Growth)
    assert {round(abs(c), 2) for c in effect.changes} <= {0.02, 0.03, 0.04, 0.05}
    assert effect.strength / effect.spread == pytest.approx(0.3)
    assert made.bayes_accuracy == pytest.approx(ndtr(np.hypot(1.77, 0.3 * np.sqrt(6)) / 2))
    assert "Hippocampus_L, Hippocampus_R 3 % smaller" in effect.describe()
    with pytest.raises(InputError, match="sex-like is as hard as the effects that were measured"):
        make_scenario("sex-like", 2.0)
    with pytest.raises(InputError, match="2 places and 1 changes"):
        Growth(places=BALLS, changes=(0.1,))


def test_the_population_effect_map_is_the_mean_change_of_cases(atlas: Atlas) -> None:
    scenario = Scenario(effect=growth(), grid=GRID)
    made = make_phantom(6, brain(), atlas, scenario=scenario)
    change = np.mean([made.cohort.load(i) - made.without_effect[i] for i in (1, 3, 5)], axis=0)
    np.testing.assert_allclose(made.change, change, atol=1e-3)


def test_the_effect_map_of_an_interaction_shows_both_parts(atlas: Atlas) -> None:
    """A case differs from a control in one part or the other; both make it one."""
    effect = Interaction(regions=("Ball_L",), second=("Ball_R",))
    made = make_phantom(4, brain(), atlas, scenario=Scenario(effect=effect, grid=GRID))
    left = GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1))[..., 0] < 0
    for side in (left, ~left):
        assert made.change[made.support & side].mean() < -200


def test_real_brains_take_turns_and_serve_both_classes(atlas: Atlas) -> None:
    brains = [brain(0.3), brain(0.7)]
    scenario = Scenario(effect=growth(), anatomy=STILL, scanner=QUIET, grid=GRID)
    made = make_phantom(8, brains, atlas, scenario=scenario)
    levels = [round(float(np.median(v[v > 0])), -2) for v in map(made.cohort.load, range(8))]
    assert levels == [300, 300, 700, 700, 300, 300, 700, 700]
    alone = make_phantom(2, brains[1:], atlas, scenario=scenario)
    assert np.median(alone.cohort.load(0)[alone.cohort.load(0) > 0]) == pytest.approx(700, abs=1)
    rest = np.mean([0.3, 0.7])
    assert np.median(made.template.values[made.brain]) == pytest.approx(rest, abs=0.01)
    moved = make_phantom(4, brains, atlas, scenario=Scenario(effect=growth(), grid=GRID))
    assert not np.array_equal(moved.cohort.load(0) > 0, moved.cohort.load(1) > 0)
    with pytest.raises(InputError, match="needs a brain"):
        make_phantom(4, [], atlas, scenario=scenario)


def test_the_jacobian_of_an_anatomy_is_known(awkward_grid: Grid) -> None:
    """A head that is larger by a known factor, and a field whose volume change is by hand."""
    field = STILL.draw(awkward_grid, np.random.default_rng(0), larger=0.05)
    np.testing.assert_allclose(log_jacobian(field, awkward_grid), 0.15, atol=0.01)
    world = awkward_grid.to_world(np.moveaxis(np.indices(awkward_grid.shape), 0, -1))
    shear = np.zeros((3, *awkward_grid.shape))
    shear[0] = 0.2 * world[..., 0] + 0.7 * world[..., 1]
    found = log_jacobian(shear.astype(np.float32), awkward_grid)
    np.testing.assert_allclose(found, -np.log(1.2), atol=1e-4)
