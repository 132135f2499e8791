"""Maps of one training beside those of another, and regions that pass for findings."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr, ttest_1samp
from scipy.stats import t as student

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.trust.retraining import against_retraining, shared_with
from voxplain.trust.surrogates import Envelope
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
    with pytest.raises(InputError, match="by 2 networks or more, as many of each; 1 and 1"):
        against_retraining(one, one, BRAIN)


def test_regions_are_called_where_a_map_is_strong_and_seldom_elsewhere() -> None:
    places = []
    for corner in combinations(range(2, 14, 4), 2):
        place = np.zeros(GRID.shape, bool)
        place[corner[0] : corner[0] + 2, corner[1] : corner[1] + 2, 6:9] = True
        places.append(place)
    strong = fields(1, 7)[0] + 5 * smooth(places[0].astype(float), GRID, 8.0)
    even = Envelope(GRID)
    assert calls(strong, places[:1], BRAIN, even, 8.0, 0).called == 1
    assert calls(strong, places[:1], BRAIN, even, 8.0, 0).p <= 0.05
    rates = []
    for seed in range(25):
        found = calls(fields(1, 40 + seed)[0], places, BRAIN, even, 8.0, seed, draws=39)
        assert found.places == len(places)
        rates.append(found.rate)
    assert np.mean(rates) < 0.12


def test_noise_that_is_strong_in_one_part_is_no_finding() -> None:
    # Where any map is strong, places are found by maps that know nothing.
    at = np.linspace(-1, 1, GRID.shape[0])[:, None, None] * np.ones(GRID.shape)
    envelope = np.exp(1.5 * at)
    places = [np.zeros(GRID.shape, bool) for _ in range(6)]
    for i, place in enumerate(places):
        place[11:15, 2 * i + 2 : 2 * i + 4, 5:9] = True
    low = []
    for seed in range(40):
        noise = envelope * fields(1, 300 + seed)[0]
        low.append(calls(noise, places, BRAIN, Envelope(GRID), 8.0, seed, draws=39).p < 0.05)
    # At most 1 of 20; more than 6 of 40 have a probability of .3 %.
    assert sum(low) <= 6


def test_what_two_trainings_share_is_told_from_what_one_has_alone() -> None:
    common, mine, theirs = fields(3, 20)
    noise = fields(8, 21)

    def maps(shared: float, alone: np.ndarray, first: int) -> list[np.ndarray]:
        return [
            np.sqrt(shared) * common + np.sqrt(1 - shared) * alone + 0.7 * noise[first + i]
            for i in range(4)
        ]

    for shared, least, most in ((0.0, 0.95, 1.0), (1.0, 0.0, 0.05)):
        found = shared_with(maps(shared, mine, 0), maps(shared, theirs, 4), BRAIN)
        assert least <= found.p <= most
        assert found.networks == 4
    # The statistic once more, by hand: leave one place out, Student's t of the pseudo-values.
    own, others = maps(0.6, mine, 0), maps(0.6, theirs, 4)

    def excess(places: tuple[int, ...]) -> float:
        rank = lambda a, b: spearmanr(a.ravel(), b.ravel())[0]  # noqa: E731
        within = np.mean([rank(own[i], own[j]) for i, j in combinations(places, 2)])
        pairs = [(i, j) for i in places for j in places if i != j]
        return float(np.mean([rank(own[i], others[j]) for i, j in pairs]) - 0.5 * within)

    whole = excess((0, 1, 2, 3))
    pseudo = [4 * whole - 3 * excess(rest) for rest in combinations(range(4), 3)]
    expected = ttest_1samp(pseudo, 0, alternative="greater").pvalue
    # The jackknife's own figure, not the mean of the pseudo-values, is what is tested.
    shift = (whole - np.mean(pseudo)) / (np.std(pseudo, ddof=1) / 2)
    found = shared_with(own, others, BRAIN)
    assert student.isf(found.p, 3) == pytest.approx(student.isf(expected, 3) + shift, abs=1e-4)


def test_three_networks_at_least_tell_what_is_shared() -> None:
    two = fields(2, 0)
    with pytest.raises(InputError, match="by 3 networks or more, as many of each; 2 and 2"):
        shared_with(two, two, BRAIN)
