from __future__ import annotations

import numpy as np
import pytest
from group_maps import GRID, SHAPE

from voxplain.atlas import Atlas
from voxplain.group import RegionsOverSubjects, own_regions, region_table, regions_of_rows

NAMES = {1: "strong", 2: "weak", 3: "noise", 9: "empty"}


def material(effect: float = 3.0):
    rng = np.random.default_rng(5)
    atlas = Atlas(rng.integers(0, 4, SHAPE), GRID, NAMES, "toy")
    brain = rng.uniform(size=SHAPE) > 0.2
    maps = rng.normal(size=(12, *SHAPE)).astype(np.float32)
    maps[:, atlas.labels == 1] += effect
    maps[:, atlas.labels == 2] -= effect / 3
    return atlas, brain, maps


def test_the_table_is_that_of_the_mean_map_with_the_spread_of_participants():
    atlas, brain, maps = material()
    whose = [f"p{i // 2}" for i in range(12)]
    sums = RegionsOverSubjects([atlas], brain, GRID)
    for one, who in zip(maps, whose, strict=True):
        sums.add(one, who)
    frame = sums.table(0, "gradient", "case").frame
    mean = maps.astype(float).mean(axis=0)
    plain = region_table(mean, atlas, brain, grid=GRID, method="gradient", target="case").frame
    for name in ("voxels", "mean", "mean_absolute", "share", "density", "rank", "peak"):
        np.testing.assert_allclose(frame[name], plain[name], rtol=1e-6)
    inside = (atlas.labels == 2) & brain
    of_people = [maps[2 * i : 2 * i + 2][:, inside].mean() for i in range(6)]
    row = frame.set_index("region").loc["weak"]
    assert row["sd"] == pytest.approx(np.std(of_people, ddof=1), rel=1e-4)
    assert frame.set_index("region").loc["strong", ["rank_low", "rank_high"]].tolist() == [1, 1]
    place = np.argwhere(inside)[np.abs(mean[inside]).argmax()]
    np.testing.assert_allclose(
        row[["peak_x", "peak_y", "peak_z"]].to_numpy(float), GRID.to_world(place), atol=0.051
    )


def test_ranks_of_noise_are_said_to_be_unsure():
    atlas, brain, maps = material(effect=0.0)
    sums = RegionsOverSubjects([atlas], brain, GRID)
    for number, one in enumerate(maps):
        sums.add(one, f"p{number}")
    frame = sums.table(0, "gradient", "case").frame.query("label in [1, 2, 3]")
    assert (frame["rank_high"] - frame["rank_low"]).max() >= 1


def test_own_regions_are_averaged_over_those_who_have_them():
    atlas, brain, maps = material()
    tables, whose = [], [f"p{i // 2}" for i in range(12)]
    for number, one in enumerate(maps):
        labels = np.where((atlas.labels == 3) & (number >= 4), 0, atlas.labels)
        own = Atlas(labels, GRID, NAMES, "own")
        tables.append(region_table(one, own, brain, grid=GRID, method="m", target="t"))
    frame = own_regions(tables, whose).set_index("region")
    assert frame.loc["noise", "participants"] == 2
    assert "empty" not in frame.index
    each = [one.frame.set_index("region").loc["strong", "density"] for one in tables]
    assert frame.loc["strong", "density"] == pytest.approx(np.mean(each))
    assert frame.loc["strong", ["rank", "rank_low", "rank_high"]].tolist() == [1, 1, 1]


def test_an_array_of_maps_gives_the_table_of_maps_that_come_one_by_one():
    atlas, brain, maps = material()
    whose = [f"p{i // 2}" for i in range(12)]
    sums = RegionsOverSubjects([atlas], brain, GRID)
    for one, who in zip(maps, whose, strict=True):
        sums.add(one, who)
    wanted = sums.table(0, "m", "t").frame
    units = [np.array([2 * i, 2 * i + 1]) for i in range(6)]
    frame = regions_of_rows(maps[:, brain], atlas, brain, whose=whose, units=units)
    assert frame.columns.tolist() == wanted.columns.tolist()
    for name in frame.columns.drop(["region", "rank_low", "rank_high"]):
        np.testing.assert_allclose(frame[name], wanted[name], rtol=1e-5, atol=1e-7)
    assert frame.set_index("region").loc["strong", ["rank_low", "rank_high"]].tolist() == [1, 1]


def test_a_unit_is_taken_or_left_whole():
    atlas, brain, maps = material(effect=0.0)
    inside = maps[:, brain]
    # The first half of the scans puts region 1 first, the other half region 2.
    inside[:6, atlas.labels[brain] == 1] += 20
    inside[6:, atlas.labels[brain] == 2] += 20
    whose = [str(i) for i in range(12)]
    halves = regions_of_rows(
        inside, atlas, brain, whose=whose, units=[np.arange(6), np.arange(6, 12)]
    ).set_index("region")
    # Of two units both are drawn twice a quarter of the time each: each region is first, or third.
    assert halves.loc[["strong", "weak"], "rank_low"].tolist() == [1, 1]
    assert halves.loc[["strong", "weak"], "rank_high"].min() >= 2
    one = regions_of_rows(inside, atlas, brain, whose=whose, units=[np.arange(12)])
    assert one["rank_low"].isna().all()


def test_of_one_participant_there_is_no_interval_of_ranks():
    atlas, brain, maps = material()
    sums = RegionsOverSubjects([atlas], brain, GRID)
    for one in maps[:3]:
        sums.add(one, "p0")
    frame = sums.table(0, "gradient", "case").frame
    assert sorted(frame["rank"][:-1]) == [1, 2, 3, 4]
    assert frame[["rank_low", "rank_high", "sd"]].isna().all().all()
    plain = region_table(maps[0], atlas, brain, grid=GRID, method="gradient", target="case")
    own = own_regions([plain], ["p0"])
    assert sorted(own["rank"].dropna()) == [1, 2, 3]
    assert own[["rank_low", "rank_high"]].isna().all().all()
