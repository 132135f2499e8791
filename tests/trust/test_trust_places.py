"""Thresholds, boxes, peaks and distances, each by a slow and obvious way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance_nd
from sklearn.metrics import f1_score

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.truth.places import _gathered, box_overlap, earth_movers_mm, find_places, max_f1

GRID = Grid((9, 10, 8), np.array([[0, -4.0, 0, 3], [3, 0, 0, -7], [0, 0, 5.0, 11], [0, 0, 0, 1]]))
PLACE = np.indices(GRID.shape)
BRAIN = np.abs(PLACE - np.array([4, 4.5, 3.5])[:, None, None, None]).max(axis=0) < 4
TRUTH = np.zeros(GRID.shape, dtype=bool)
TRUTH[2:4, 2:5, 3:5] = True


def test_max_f1_tries_every_threshold() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.2
    score = np.round(rng.normal(truth, 1.0), 1)
    slow = max(f1_score(truth, score >= cut) for cut in np.unique(score))
    assert max_f1(score, truth) == pytest.approx(slow)


def test_the_truth_itself_is_perfect() -> None:
    found = find_places(TRUTH.astype(float), TRUTH, BRAIN, GRID)
    assert found.max_f1 == 1
    assert found.box_overlap == 1
    assert found.box_found
    assert found.pointed
    assert found.distance_mm == pytest.approx(0, abs=1e-9)


def test_boxes_go_round_the_largest_part() -> None:
    score = np.where(BRAIN, 0.0, -np.inf)
    score[2:4, 2:5, 3:6] = 1.0
    score[7, 7, 6] = 2.0
    # 12 voxels of the truth's box lie in the map's 18.
    assert box_overlap(score, TRUTH) == pytest.approx(12 / 18)
    away = np.where(BRAIN, 0.0, -np.inf)
    away[6:8, 6:8, 5:7] = 1.0
    inner = 12 / BRAIN.sum()
    assert box_overlap(away, TRUTH) == pytest.approx(inner)


@pytest.mark.parametrize(
    ("place", "hit"), [((2, 2, 3), True), ((5, 3, 4), True), ((7, 7, 5), False)]
)
def test_the_peak_may_lie_8_mm_away(place: tuple[int, int, int], hit: bool) -> None:
    score = np.zeros(GRID.shape)
    score[place] = 1
    found = find_places(score, TRUTH, BRAIN, GRID)
    nearest = np.linalg.norm(
        GRID.to_world(np.argwhere(TRUTH).astype(float)) - GRID.to_world(np.array([place], float)),
        axis=1,
    ).min()
    assert bool(nearest <= 8) is hit
    assert found.pointed is hit
    # The outer of two equal peaks loses.
    score[7, 7, 5] = 1
    assert not find_places(score, TRUTH, BRAIN, GRID).pointed


def test_a_constant_map_points_nowhere_and_the_middle_is_told_apart() -> None:
    found = find_places(np.ones(GRID.shape), TRUTH, BRAIN, GRID)
    assert not found.pointed
    assert found.centre_pointed
    corner = np.zeros(GRID.shape, dtype=bool)
    corner[7, 8, 6] = True
    assert not find_places(np.ones(GRID.shape), corner, BRAIN, GRID).centre_pointed


def test_distance_by_pairing_voxels() -> None:
    """Equal masses on as many voxels: the best pairing of them is the distance."""
    a, b = np.zeros(GRID.shape), np.zeros(GRID.shape, dtype=bool)
    a[1:7:2, 2, 2:6:2] = 3.0
    b[2:8:2, 7, 3:7:2] = True
    places = [GRID.to_world(np.argwhere(x > 0).astype(float)) for x in (a, b)]
    cost = np.linalg.norm(places[0][:, None] - places[1][None], axis=-1)
    rows, columns = linear_sum_assignment(cost)
    assert earth_movers_mm(a, b, GRID) == pytest.approx(cost[rows, columns].mean(), rel=1e-6)


def test_a_shift_costs_its_length_also_in_blocks() -> None:
    grid = Grid((40, 40, 40), np.diag([2.0, 2.0, 2.0, 1.0]))
    ball = np.linalg.norm(np.indices(grid.shape) - 15.0, axis=0) < 6
    moved = np.roll(ball, 10, axis=1)
    assert earth_movers_mm(ball.astype(float), moved, grid) == pytest.approx(20, rel=0.06)


@pytest.mark.parametrize("seed", range(3))
def test_equal_parts_are_as_far_apart_as_any_shares(seed: int) -> None:
    mass = gaussian_filter(np.random.default_rng(seed).random(GRID.shape), 1) ** 4 * BRAIN
    (a, a_mass), (b, b_mass) = (_gathered(x.astype(float), GRID) for x in (mass, TRUTH))
    exact = wasserstein_distance_nd(a, b, a_mass, b_mass)
    assert earth_movers_mm(mass, TRUTH, GRID) == pytest.approx(exact, rel=0.01)


def test_bad_maps_are_told() -> None:
    assert earth_movers_mm(np.zeros(GRID.shape), TRUTH, GRID) == float("inf")
    with pytest.raises(InputError, match="must be 0 or more"):
        earth_movers_mm(-np.ones(GRID.shape), TRUTH, GRID)
    with pytest.raises(GridError, match="the grid"):
        find_places(np.ones((3, 3, 3)), np.ones((3, 3, 3), bool), np.ones((3, 3, 3), bool), GRID)
