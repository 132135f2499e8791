"""Summaries of maps that come one by one, against all of them in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from group_maps import GRID, SHAPE

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.group import RunningMoments, Summaries
from voxplain.maps import AttributionMap
from voxplain.provenance import Provenance
from voxplain.volume import resample

PROVENANCE = Provenance("gradient", {}, "case", None, "Net", "0", "float32", "cpu", 0, {}, {})


def _map(values: np.ndarray, grid: Grid = GRID, **traits: object) -> AttributionMap:
    one = AttributionMap(
        values, grid, "01", "gradient", "case", "logit", "positive: for", PROVENANCE
    )
    return replace(one, **traits)  # type: ignore[arg-type]


def test_moments_of_each_cell() -> None:
    rng = np.random.default_rng(0)
    maps = (1000 + rng.normal(size=(12, *SHAPE))).astype(np.float32)
    classes, folds = np.array(["a", "b"] * 6), np.repeat([1, 2, 3], 4)
    found = Summaries()
    for values, name, fold in zip(maps, classes, folds, strict=True):
        found.add(_map(values), {"class": name, "fold": fold})
    assert found.counts() == {
        "all": {"all": 12},
        "class": {"a": 6, "b": 6},
        "fold": {"1": 4, "2": 4, "3": 4},
    }
    exact = maps.astype(np.float64)
    for chosen, cell in ((classes == "b", ("class", "b")), (folds == 3, ("fold", 3))):
        mean, variance = found.map("mean", *cell), found.map("variance", *cell)
        np.testing.assert_allclose(mean.values, exact[chosen].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(variance.values, exact[chosen].var(axis=0, ddof=1), rtol=1e-5)
        assert mean.n_subjects == variance.n_subjects == chosen.sum()
    assert (found.map("mean").unit, found.map("variance").unit) == ("logit", "(logit)²")


def test_memory_does_not_grow() -> None:
    values, moments = np.ones((50, 50, 50), dtype=np.float32), RunningMoments()
    moments.add(values)
    tracemalloc.start()
    for _ in range(3):
        moments.add(values)
    few = tracemalloc.get_traced_memory()[1]
    # Another thread may take memory in one round, hardly in all three.
    many = []
    for _ in range(3):
        tracemalloc.reset_peak()
        for _ in range(20):
            moments.add(values)
        many.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert min(many) <= few + 1000
    assert moments.count == 64


def test_maps_on_another_grid_are_brought_over() -> None:
    other = Grid((9, 10, 11), np.diag([-1.5, 2.4, 4.0, 1.0]))
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=SHAPE), rng.normal(size=other.shape).astype(np.float32)
    there = resample(second, other, GRID)
    for additive, scale in ((False, 1.0), (True, 27 / 14.4)):
        found = Summaries()
        found.add(_map(first), {})
        found.add(_map(second, other, subject="02", additive=additive), {})
        assert found.moved == ["02"]
        mean = (first + scale * there) / 2
        np.testing.assert_allclose(found.map("mean").values, mean, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_summed_up() -> None:
    found = Summaries()
    found.add(_map(np.zeros(SHAPE)), {"class": "a"})
    with pytest.raises(
        InputError, match="A summary needs maps of one target; 'case' and 'control'"
    ):
        found.add(_map(np.zeros(SHAPE), target="control"), {})
    with pytest.raises(InputError, match="There is no map with class 'b'"):
        found.map("mean", "class", "b")
    with pytest.raises(InputError, match="two maps or more; there is 1"):
        found.map("variance", "class", "a")
