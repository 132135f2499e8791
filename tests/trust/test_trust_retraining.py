"""Maps of one training beside those of another, and regions that pass for findings."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.trust.retraining import against_retraining
from voxplain.trust.truth.calls import calls
from voxplain.volume import smooth

GRID = Grid((16, 18, 16), np.diag([8.0, 8, 8, 1]))
BRAIN = np.ones(GRID.shape, bool)


def fields(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [smooth(rng.normal(size=GRID.shape), GRID, 20.0) for _ in range(count)]


def test_trainings_that_share_nothing_are_told_apart() -> None:
    one, other = fields(2, 0)
    noise = fields(8, 1)
    own = [one + 0.7 * noise[i] for i in range(4)]
    others = [other + 0.7 * noise[i + 4] for i in range(4)]
    found = against_retraining(own, others, BRAIN)
    within = [spearmanr(a.ravel(), b.ravel())[0] for a, b in combinations(own, 2)]
    across = [
        spearmanr(a.ravel(), b.ravel())[0]
        for i, a in enumerate(own)
        for j, b in enumerate(others)
        if i != j
    ]
    assert found.own == pytest.approx(np.mean(within), abs=1e-6)
    assert found.other == pytest.approx(np.mean(across), abs=1e-6)
    # C(8, 4) / 2 ways to deal eight networks into two trainings.
    assert found.least_p == pytest.approx(1 / 35)
    assert found.p == found.least_p


def test_p_is_uniform_where_trainings_are_alike() -> None:
    shared = fields(1, 5)[0]
    low = []
    for seed in range(30):
        noise = fields(8, 100 + seed)
        maps = [shared + one for one in noise]
        low.append(against_retraining(maps[:4], maps[4:], BRAIN).p)
    # Under exchangeability P(p <= .2) is at most .2, and p is not always large either.
    assert np.mean(np.array(low) <= 0.2) < 0.4
    assert np.median(low) == pytest.approx(0.5, abs=0.2)


def test_networks_of_one_place_are_never_compared() -> None:
    # They began with the same weights: equal maps there must not count as agreement.
    own = fields(3, 2)
    others = [own[0], own[1], own[2]]
    found = against_retraining(own, others, BRAIN)
    assert found.other < 0.9
    assert found.other == pytest.approx(found.own, abs=1e-6)


def test_many_networks_are_dealt_at_random() -> None:
    maps = fields(14, 3)
    found = against_retraining(maps[:7], maps[7:], BRAIN, seed=1)
    assert found.least_p == pytest.approx(0.001)
    assert found.networks == 7


def test_two_networks_at_least() -> None:
    one = fields(1, 0)
    with pytest.raises(InputError, match="by two networks or more, as many of each; 1 and 1"):
        against_retraining(one, one, BRAIN)


def test_regions_are_called_where_a_map_is_strong_and_seldom_elsewhere() -> None:
    places = []
    for corner in combinations(range(2, 14, 4), 2):
        place = np.zeros(GRID.shape, bool)
        place[corner[0] : corner[0] + 2, corner[1] : corner[1] + 2, 6:9] = True
        places.append(place)
    strong = fields(1, 7)[0] + 5 * smooth(places[0].astype(float), GRID, 8.0)
    assert calls(strong, places[:1], BRAIN, GRID, 8.0, 0).called == 1
    rates = []
    for seed in range(25):
        found = calls(fields(1, 40 + seed)[0], places, BRAIN, GRID, 8.0, seed, draws=40)
        assert found.places == len(places)
        rates.append(found.rate)
    assert np.mean(rates) < 0.12
