"""Effects planted in scans that exist: what was planted is known, and nothing else is changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom import Darkening, Expansion, Flow, Spike, background_of, divide, dprime_of
from voxplain.volume import Cohort

GRID = Grid((16, 18, 14), np.diag([-4.0, 3.0, 5.0, 1.0]))
PLACE = np.moveaxis(np.indices(GRID.shape), 0, -1) * np.array(GRID.voxel_size)
CENTRE = np.array([30.0, 27.0, 35.0])
BALL = np.clip((12 - np.linalg.norm(PLACE - CENTRE, axis=-1)) / 4 + 0.5, 0, 1).astype(np.float32)
BRAIN = np.linalg.norm((PLACE - CENTRE) / [26, 22, 28], axis=-1) < 1


def people(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(count)],
            "label": rng.permutation(["f", "m"] * (count // 2)),
            "age": rng.normal(60, 9, count).round(1),
            "brain_ml": rng.normal(1300, 120, count).round(1),
            "site": rng.choice(["A", "B", "C"], count),
            "remark": [f"words of {i}, never the same" for i in range(count)],
        }
    )


def largest(table: pd.DataFrame, chosen: np.ndarray) -> float:
    """The largest standardised difference, column by column."""
    found = []
    for name in ("age", "brain_ml"):
        values = table[name]
        found.append(abs(values[chosen].mean() - values[~chosen].mean()) / values.std(ddof=0))
    for name in ("label", "site"):
        for level in table[name].unique():
            values = (table[name] == level).astype(float)
            found.append(abs(values[chosen].mean() - values[~chosen].mean()) / values.std(ddof=0))
    return max(found)


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_alike_in_all_that_is_known(seed: int) -> None:
    table = people(60, seed)
    found = divide(table, list(table.columns[1:]), seed)
    assert found.chosen.sum() == 30
    assert found.balanced == ("label", "age", "brain_ml", "site")
    assert found.largest == pytest.approx(largest(table, found.chosen))
    rng = np.random.default_rng(99)
    others = [largest(table, rng.permutation(found.chosen)) for _ in range(300)]
    assert found.largest < np.quantile(others, 0.02)


def test_scans_of_a_participant_stay_together_and_another_seed_divides_anew() -> None:
    table = pd.concat([people(20), people(20)[:7]], ignore_index=True)
    one, two = (divide(table, ["age"], seed).chosen for seed in (0, 1))
    assert (one != two).any()
    for rows in table.groupby("participant_id").groups.values():
        assert len(set(one[rows])) == 1
    assert table[one].participant_id.nunique() == 10


def test_missing_numbers_do_not_count_and_few_participants_are_refused() -> None:
    table = people(12).assign(score=[np.nan] * 12, age=[50.0] * 12)
    assert divide(table, ["score", "age", "remark"], 0).balanced == ()
    with pytest.raises(InputError, match="at least 8"):
        divide(people(6), ["age"], 0)


@pytest.mark.parametrize("standardised", [False, True])
def test_darkening_takes_a_share_of_the_signal(standardised: bool) -> None:
    rng = np.random.default_rng(1)
    plain = np.where(BRAIN, 1 + rng.random(GRID.shape), 0).astype(np.float32)
    scale, shift = (3.0, -2.0) if standardised else (1.0, 0.0)
    scan = (scale * plain + shift).astype(np.float32)
    made = Darkening(BALL).apply(scan, 0.25)
    wanted = scale * plain * (1 - 0.25 * BALL) + shift
    assert background_of(scan) == pytest.approx(shift)
    assert np.allclose(made, wanted, atol=1e-5)
    assert np.array_equal(made[BALL == 0], scan[BALL == 0])
    assert np.array_equal(Darkening(BALL).apply(scan, 0), scan)
    # More than all of the signal counts as all of it.
    assert made.dtype == np.float32
    assert np.allclose(Darkening(BALL).apply(scan, 7)[BALL == 1], shift, atol=1e-5)


@pytest.mark.parametrize("amount", [-0.3, 0.1, 0.45])
def test_volume_grows_by_what_was_asked_and_nowhere_else(amount: float) -> None:
    flow = Flow.expanding(BALL, GRID)
    jacobian = flow.log_jacobian(amount)
    distance = np.linalg.norm(PLACE - CENTRE, axis=-1)
    assert np.allclose(jacobian[distance < 5], amount, atol=0.02 + 0.05 * abs(amount))
    inner = (slice(2, -2),) * 3
    assert np.abs(jacobian[inner][distance[inner] > 22]).max() < 0.03
    # The region itself, carried along, holds more voxels: an integral and no derivative.
    grown = flow.warp(BALL, amount).sum() / BALL.sum()
    share = (BALL**2).sum() / BALL.sum()
    assert np.log(grown) == pytest.approx(amount * share, abs=0.06)
    assert np.array_equal(Expansion(BALL, GRID).apply(BALL, 0), BALL)


def test_the_radius_of_a_ball_grows_as_theory_says() -> None:
    """Outside a ball that grows, a point at r moves to (r³ + R³ (exp(a) - 1))^(1/3)."""
    grid = Grid((48, 48, 48), np.diag([2.0, 2.0, 2.0, 1.0]))
    place = np.moveaxis(np.indices(grid.shape), 0, -1) * 2.0
    middle = np.full(3, 47.0)
    distance = np.linalg.norm(place - middle, axis=-1)
    ball = np.clip((14 - distance) / 2 + 0.5, 0, 1).astype(np.float32)
    amount = 0.3
    read = Flow.expanding(ball, grid).displacement(amount)
    radius = np.linalg.norm(
        np.indices(grid.shape) * 2.0 + 2 * read - middle[:, None, None, None], axis=0
    )
    outside = (distance > 20) & (distance < 30)
    wanted = (distance[outside] ** 3 - 14**3 * (np.exp(amount) - 1)) ** (1 / 3)
    # Periodic images of the ball and its growth against a box pull a little.
    assert np.allclose(radius[outside], wanted, atol=0.12)


def test_the_best_observer_is_right_as_often_as_is_said() -> None:
    spike = Spike(Darkening(BALL), 2.0, 0.1, seed=5)
    natural = np.array([spike.natural(i) for i in range(4000)])
    cases = np.arange(4000) % 2 == 1
    amounts = natural + np.where(cases, spike.strength, 0)
    right = (amounts > spike.strength / 2) == cases
    assert spike.strength == pytest.approx(0.2)
    assert spike.bayes_accuracy == pytest.approx(ndtr(1))
    assert right.mean() == pytest.approx(spike.bayes_accuracy, abs=0.02)
    assert natural.std() == pytest.approx(0.1, rel=0.05)


def test_a_participant_is_changed_alike_in_all_scans() -> None:
    table = people(8)[["participant_id", "label"]].assign(label="f")
    twice = pd.concat([table, table], ignore_index=True)
    cohort = Cohort(twice, ("f",), GRID, lambda i: np.zeros(GRID.shape, np.float32))
    amounts = Spike(Darkening(BALL), 1.0, 0.1).natural_amounts(cohort)
    assert np.array_equal(amounts[:8], amounts[8:])
    assert len(set(amounts)) == 8


@pytest.mark.parametrize("accuracy", [0.6, 0.8413447, 0.97])
def test_dprime_of_an_accuracy(accuracy: float) -> None:
    assert ndtr(dprime_of(accuracy) / 2) == pytest.approx(accuracy)


def test_dprime_of_chance_and_of_perfection_stay_within_bounds() -> None:
    assert dprime_of(0.4) == 0.5
    assert dprime_of(1.0) == 6.0
    with pytest.raises(InputError, match="dprime must be 0 or more"):
        Spike(Darkening(BALL), -1.0, 0.1)
    with pytest.raises(InputError, match="spread must be above 0"):
        Spike(Darkening(BALL), 1.0, 0.0)
    with pytest.raises(InputError, match="has no voxel"):
        Flow.expanding(np.zeros(GRID.shape, np.float32), GRID)


def test_a_voxel_belongs_to_a_region_that_fills_half_of_it() -> None:
    fraction = np.zeros(GRID.shape, np.float32)
    fraction[8, 8, 5:9] = 0.49, 0.5, 1.0, 0.1
    for planted in (Darkening(fraction), Expansion(fraction, GRID)):
        assert np.argwhere(planted.support).tolist() == [[8, 8, 6], [8, 8, 7]]


def test_a_small_effect_may_be_planted() -> None:
    assert Spike(Darkening(BALL), 0.5, 0.1).bayes_accuracy == pytest.approx(ndtr(0.25))
