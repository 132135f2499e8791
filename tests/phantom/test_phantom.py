"""Phantoms: what is known about them is true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import ive

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom import Anatomy, Effect, Scanner, Scenario, make_phantom
from voxplain.phantom.anatomy import _integrate, sample
from voxplain.phantom.effects import darken
from voxplain.volume import Volume

GRID = Grid.covering((-60, -70, -50), (60, 70, 50), (24, 28, 20), flip_x=True)
FINE = Grid.covering((-62, -72, -52), (62, 72, 52), (62, 72, 52))


@pytest.fixture(scope="module")
def template() -> Volume:
    world = FINE.to_world(np.moveaxis(np.indices(FINE.shape), 0, -1))
    radius = np.linalg.norm(world / [50, 60, 42], axis=-1)
    texture = 0.7 + 0.2 * np.sin(world[..., 0] / 7) * np.cos(world[..., 1] / 9)
    return Volume(np.where(radius < 1, texture, 0).astype(np.float32), FINE)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    world = FINE.to_world(np.moveaxis(np.indices(FINE.shape), 0, -1))
    labels = np.zeros(FINE.shape, dtype=np.int32)
    labels[np.linalg.norm(world - [-25, -10, 0], axis=-1) < 12] = 4101
    labels[np.linalg.norm(world - [25, -10, 0], axis=-1) < 12] = 4102
    labels[np.linalg.norm(world - [0, 40, 0], axis=-1) < 1.5] = 7
    return Atlas(labels, FINE, {4101: "Ball_L", 4102: "Ball_R", 7: "Dot"}, "balls")


def scenario(**effect: object) -> Scenario:
    return Scenario(effect=Effect(regions=("Ball_L",), **effect), grid=GRID)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def phantom(template: Volume, atlas: Atlas):
    return make_phantom(8, template, atlas, scenario=scenario(), seed=3)


def test_classes_alternate_and_only_cases_carry_the_effect(phantom) -> None:
    table = phantom.cohort.participants
    assert phantom.cohort.labels.tolist() == [0, 1] * 4
    assert table["effect_strength"].tolist() == [0, Effect().strength] * 4
    natural = table["darkening"] - table["effect_strength"]
    assert natural.nunique() == 8
    assert natural.abs().max() < 5 * Effect().spread


def test_pairs_differ_where_the_effect_acts_and_nowhere_else(phantom) -> None:
    for i in range(8):
        difference = phantom.cohort[i].values - phantom.without_effect[i]
        if phantom.cohort.labels[i] == 0:
            assert not difference.any()
            continue
        changed = np.abs(difference)
        support = phantom.own_supports[i]
        assert changed[support].mean() > 20 * changed[~support].mean()
        assert difference[support].mean() < 0
        far = sample_far(support)
        assert not changed[far].any()


def sample_far(support: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return ~binary_dilation(support, iterations=4)


def test_support_lies_on_the_left_and_has_the_region_s_volume(phantom) -> None:
    where = GRID.to_world(np.argwhere(phantom.support))
    assert where[:, 0].max() < 0
    ball_ml = 4 / 3 * np.pi * 12**3 / 1000
    assert phantom.support.sum() * GRID.voxel_volume / 1000 == pytest.approx(ball_ml, rel=0.15)


def test_own_supports_move_with_the_anatomy(phantom) -> None:
    centres = [GRID.to_world(np.argwhere(own)).mean(axis=0) for own in phantom.own_supports]
    spread = np.std(centres, axis=0)
    assert (spread > 0.3).all()
    assert np.linalg.norm(np.mean(centres, axis=0) - [-25, -10, 0]) < 6


def test_same_seed_same_cohort_and_a_larger_one_begins_with_it(template, atlas, phantom) -> None:
    longer = make_phantom(10, template, atlas, scenario=scenario(), seed=3)
    np.testing.assert_array_equal(longer.cohort.stack(range(8)), phantom.cohort.stack(range(8)))
    other = make_phantom(2, template, atlas, scenario=scenario(), seed=4)
    assert not np.array_equal(other.cohort[0].values, phantom.cohort[0].values)


def test_images_are_whole_numbers_and_zero_outside_the_brain(phantom) -> None:
    values = phantom.cohort[1].values
    np.testing.assert_array_equal(values, np.rint(values))
    assert not values[:2, :2].any()
    assert not values[-2:, -2:].any()


def test_without_any_nuisance_the_image_is_the_template(template, atlas) -> None:
    still = Scenario(
        effect=Effect(regions=("Ball_L",), strength=0.3, spread=0),
        anatomy=Anatomy(scales=(), size_sd=0, rotation_sd=0, shift_sd=0),
        scanner=Scanner(gain_sd=0, bias_sd=0, contrast_sd=0, noise=0),
        grid=GRID,
    )
    phantom = make_phantom(2, template, atlas, scenario=still)
    tissue = phantom.template.values
    np.testing.assert_allclose(phantom.without_effect[1], 1000 * tissue, atol=0.51)
    ratio = phantom.cohort[1].values[phantom.support] / phantom.without_effect[1][phantom.support]
    assert ratio.min() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(phantom.own_supports[0], phantom.support)


def test_bayes_accuracy_is_that_of_the_best_observer() -> None:
    """Second derivation: draw many subjects and cut half way between the classes."""
    effect = Effect(strength=0.3, spread=0.2)
    rng = np.random.default_rng(0)
    natural = np.array([effect.draw_natural(rng) for _ in range(20_000)])
    labels = np.arange(20_000) % 2
    right = ((natural + 0.3 * labels > 0.15) == labels).mean()
    assert effect.bayes_accuracy == pytest.approx(right, abs=0.01)
    assert Effect(spread=0).bayes_accuracy == 1
    assert Effect(strength=0).bayes_accuracy == 0.5
    assert f"right {100 * effect.bayes_accuracy:.1f} %" in effect.describe()


def test_the_regions_cannot_lose_more_than_all_their_signal() -> None:
    whole = np.ones((1, 1, 1), dtype=np.float32)
    assert darken(whole, whole, 1.7) == 0
    assert darken(whole, whole, -0.2) == pytest.approx(1.2)


def test_unknown_region_lists_what_there_is(template, atlas) -> None:
    wrong = Scenario(effect=Effect(regions=("Ball",)), grid=GRID)
    with pytest.raises(InputError, match=r"Unknown region of balls 'Ball'; there are: Ball_L"):
        make_phantom(2, template, atlas, scenario=wrong)


def test_region_too_small_for_the_grid_is_refused(template, atlas) -> None:
    tiny = Scenario(effect=Effect(regions=("Dot",)), grid=GRID)
    with pytest.raises(InputError, match="fill no voxel of the grid"):
        make_phantom(2, template, atlas, scenario=tiny)


def test_one_subject_is_refused(template, atlas) -> None:
    with pytest.raises(InputError, match="at least 2 subjects; 1 was given"):
        make_phantom(1, template, atlas)


def volume_change(displacement: np.ndarray) -> np.ndarray:
    """Determinant of the Jacobian in world space; not positive where the field folds."""
    by_voxel = np.stack([np.stack(np.gradient(c.astype(np.float64))) for c in displacement])
    by_world = np.einsum("ivxyz,vw->iwxyz", by_voxel, np.linalg.inv(GRID.affine[:3, :3]))
    return np.linalg.det(np.moveaxis(by_world, (0, 1), (-2, -1)) + np.eye(3))


def test_deformations_never_fold() -> None:
    for seed in range(6):
        displacement = Anatomy().draw(GRID, np.random.default_rng(seed))
        assert displacement.shape == (3, *GRID.shape)
        assert volume_change(displacement).min() > 0
    world = GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    assert volume_change(np.moveaxis(world, -1, 0)).mean() == pytest.approx(8)


def test_scaling_and_squaring_follows_the_flow() -> None:
    """Second derivation: many small Euler steps along a rotation and a scaling."""
    world = np.moveaxis(GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    generator = np.array([[0.05, -0.1, 0], [0.1, 0.05, 0], [0, 0, -0.04]])
    velocity = np.einsum("ij,jxyz->ixyz", generator, world)
    point = world.copy()
    steps = 4000
    for _ in range(steps):
        point = point + np.einsum("ij,jxyz->ixyz", generator, point) / steps
    inner = (slice(None), *[slice(6, -6)] * 3)
    found = (world + _integrate(velocity, GRID))[inner]
    assert np.abs(found - point[inner]).max() < 0.15


def test_the_two_directions_of_a_flow_undo_each_other() -> None:
    rng = np.random.default_rng(1)
    velocity = Anatomy()._velocity(GRID, rng)
    there, back = _integrate(velocity, GRID), _integrate(-velocity, GRID)
    index = np.indices(GRID.shape).astype(float)
    moved = index + np.einsum("ij,jxyz->ixyz", np.linalg.inv(GRID.affine[:3, :3]), there)
    returned = there + np.stack([map_coordinates(c, moved, order=1, mode="nearest") for c in back])
    inner = (slice(None), *[slice(5, -5)] * 3)
    assert np.abs(returned[inner]).mean() < 0.1 * np.abs(there[inner]).mean()


def test_velocity_fields_have_the_stated_spread() -> None:
    anatomy = Anatomy(scales=((12.0, 2.0),), size_sd=0, rotation_sd=0, shift_sd=0)
    grid = Grid.covering((-150,) * 3, (150,) * 3, (50, 50, 50))
    fields = [anatomy._velocity(grid, np.random.default_rng(seed)) for seed in range(4)]
    assert np.std(fields) == pytest.approx(2.0, rel=0.1)


def test_noise_is_rician() -> None:
    """Mean of the magnitude against the closed form with Bessel functions."""
    grid = Grid((40, 40, 40), np.eye(4))
    scanner = Scanner(level=100, gain_sd=0, bias_sd=0, contrast_sd=0, noise=0.2)
    image = scanner.draw(grid, np.random.default_rng(0)).acquire(
        np.full(grid.shape, 0.3, dtype=np.float32)
    )
    signal, sigma = 30.0, 20.0
    q = signal**2 / (4 * sigma**2)
    mean = sigma * np.sqrt(np.pi / 2) * ((1 + 2 * q) * ive(0, q) + 2 * q * ive(1, q))
    assert image.mean() == pytest.approx(mean, rel=0.01)


def test_sampling_agrees_with_a_linear_function() -> None:
    index = np.moveaxis(np.indices(FINE.shape), 0, -1)
    values = (FINE.to_world(index) @ [1.0, -2.0, 0.5]).astype(np.float32)
    points = np.random.default_rng(0).uniform(-40, 40, (3, 7, 8, 9)).astype(np.float32)
    expected = np.einsum("i,ixyz->xyz", [1.0, -2.0, 0.5], points)
    np.testing.assert_allclose(sample(values, FINE, points), expected, atol=1e-3)


def test_families_are_of_one_class_and_alike(template, atlas) -> None:
    null = Effect(regions=("Ball_L",), strength=0.0)
    scenario = Scenario(null, grid=GRID, family_size=2)
    made = make_phantom(8, template, atlas, scenario=scenario, seed=3)
    table = made.cohort.participants
    assert list(table["family"]) == [f"F000{i // 2 + 1}" for i in range(8)]
    assert list(table["label"]) == ["control"] * 2 + ["case"] * 2 + ["control"] * 2 + ["case"] * 2
    likeness = np.corrcoef(made.without_effect.reshape(8, -1))
    twins = [likeness[i, i + 1] for i in range(0, 8, 2)]
    others = [likeness[i, j] for i in range(8) for j in range(i) if i // 2 != j // 2]
    assert min(twins) > max(others)
    alone = make_phantom(2, template, atlas, scenario=Scenario(null, grid=GRID), seed=3)
    assert "family" not in alone.cohort.participants
    with pytest.raises(InputError, match="Two families of 5 do not fit in 8 subjects"):
        make_phantom(8, template, atlas, scenario=Scenario(null, family_size=5))
