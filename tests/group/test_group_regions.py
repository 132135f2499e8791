from __future__ import annotations

import math

import numpy as np
import pytest
from group_maps import GRID, SHAPE

from voxplain.atlas import Atlas
from voxplain.errors import GridError, InputError
from voxplain.group import OUTSIDE, ranks_of, region_table

NAMES = {300: "hippocampus", 4101: "amygdala", 70_000: "caudate", 12: "nowhere", 5: "vermis"}


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.fixture
def brain():
    mask = np.ones(SHAPE, dtype=bool)
    mask[0], mask[:, :2], mask[:, :, -1] = False, False, False
    return mask


@pytest.fixture
def atlas(rng):
    # 999 has no name and -4 is no label: both lie outside the named regions.
    labels = rng.choice([0, 300, 4101, 70_000, 5, 999, -4], SHAPE)
    return Atlas(labels, GRID, NAMES, "toy")


def table_of(values, atlas, brain):
    return region_table(values, atlas, brain, grid=GRID, method="gradient", target="case")


def slow_rows(values, atlas, brain):
    """One pass over all voxels per region, in plain Python."""
    total = sum(abs(float(values[i])) for i in np.ndindex(SHAPE) if brain[i])
    inside = sum(bool(brain[i]) for i in np.ndindex(SHAPE))
    rows = {}
    for label, name in [*sorted(atlas.names.items()), (0, OUTSIDE)]:
        found = []
        for i in np.ndindex(SHAPE):
            own = int(atlas.labels[i])
            belongs = own == label if label else own not in atlas.names
            if brain[i] and belongs:
                found.append(float(values[i]))
        share = sum(abs(v) for v in found) / total
        rows[name] = {
            "label": label,
            "voxels": len(found),
            "volume_ml": len(found) * 2 * 3 * 4.5 / 1000,
            "mean": sum(found) / len(found) if found else math.nan,
            "peak": max(found, key=abs) if found else math.nan,
            "share": share,
            "density": share / (len(found) / inside) if found else math.nan,
        }
    return rows


def test_table_equals_explicit_loops(rng, atlas, brain):
    values = rng.standard_normal(SHAPE).astype(np.float32)
    table = table_of(values, atlas, brain)
    expected = slow_rows(values, atlas, brain)
    assert list(table.frame["region"]) == list(expected)
    assert list(table.frame["label"]) == [5, 12, 300, 4101, 70_000, 0]
    for _, row in table.frame.iterrows():
        for column, value in expected[row["region"]].items():
            assert row[column] == pytest.approx(value, rel=1e-9, nan_ok=True)
    assert table.frame["share"].sum() == pytest.approx(1)
    assert (table.frame["peak"] < 0).any()
    assert (table.atlas, table.method, table.target) == ("toy", "gradient", "case")


def test_ranks_follow_the_mean_absolute_value_and_empty_regions_come_last(rng, atlas, brain):
    values = rng.standard_normal(SHAPE)
    values[atlas.labels == 4101] *= 9
    values[atlas.labels == 5] *= 0.1
    table = table_of(values, atlas, brain)
    absolute = {
        name: np.abs(values[brain & (atlas.labels == label)]).mean()
        for label, name in NAMES.items()
        if name != "nowhere"
    }
    order = [*sorted(absolute, key=lambda name: -absolute[name]), "nowhere"]
    assert order[0] == "amygdala"
    assert ranks_of(table, order) == {name: i + 1 for i, name in enumerate(order)}
    empty = table.frame.set_index("region").loc["nowhere"]
    assert (empty["voxels"], empty["share"], empty["rank"]) == (0, 0, 5)
    assert np.isnan(empty[["mean", "peak", "density"]].astype(float)).all()
    assert math.isnan(table.frame.set_index("region").loc[OUTSIDE, "rank"])


def test_a_tie_never_flatters(atlas, brain):
    table = table_of(np.full(SHAPE, -0.1), atlas, brain)
    named = table.frame[table.frame["voxels"] > 0]
    assert named["density"].to_numpy() == pytest.approx(1)
    assert ranks_of(table, ["vermis", "caudate", "nowhere"]) == {
        "vermis": 4,
        "caudate": 4,
        "nowhere": 5,
    }


def test_a_map_of_zeros_has_no_ranks(atlas, brain):
    table = table_of(np.zeros(SHAPE), atlas, brain)
    assert (table.frame["share"] == 0).all()
    assert table.frame["rank"].isna().all()
    assert table.frame["density"].isna().all()
    with pytest.raises(InputError, match="gradient map for case is zero everywhere"):
        ranks_of(table, ["vermis"])


def test_nothing_outside_the_brain_counts(rng, atlas, brain):
    values = rng.standard_normal(SHAPE)
    loud = np.where(brain, values, np.nan)
    quiet, noisy = table_of(values, atlas, brain), table_of(loud, atlas, brain)
    assert quiet.frame.equals(noisy.frame)


def test_an_atlas_without_names_leaves_everything_outside(brain):
    bare = Atlas(np.ones(SHAPE, dtype=np.int32), GRID, {}, "bare")
    frame = table_of(np.ones(SHAPE), bare, brain).frame
    assert list(frame["region"]) == [OUTSIDE]
    assert frame["share"].tolist() == [1.0]


def test_wrong_input_is_named(atlas, brain):
    values = np.ones(SHAPE)
    elsewhere = Atlas(atlas.labels, GRID.moved([4, 0, 0]), NAMES, "toy")
    with pytest.raises(GridError, match="The atlas 'toy' and the map do not share a grid"):
        table_of(values, elsewhere, brain)
    with pytest.raises(GridError, match=r"map has shape \(9, 8, 7\)"):
        table_of(values.T, atlas, brain)
    with pytest.raises(GridError, match="brain mask has shape"):
        table_of(values, atlas, brain.T)
    with pytest.raises(InputError, match="brain mask must be a boolean array"):
        table_of(values, atlas, brain.astype(int))
    with pytest.raises(InputError, match="not finite"):
        table_of(np.where(brain, np.inf, 0), atlas, brain)
    with pytest.raises(InputError, match=r"Unknown region of toy 'amygdale'.*'amygdala'"):
        ranks_of(table_of(values, atlas, brain), ["amygdale"])
    with pytest.raises(InputError, match="Unknown region of toy 'outside regions'"):
        ranks_of(table_of(values, atlas, brain), [OUTSIDE])


def test_a_name_for_zero_is_no_region_and_one_is_like_any_other(rng, brain):
    labels = rng.choice([0, 1, 2], SHAPE)
    named = Atlas(labels, GRID, {0: "Background", 1: "One", 2: "Two"}, "toy")
    values = rng.standard_normal(SHAPE)
    frame = table_of(values, named, brain).frame
    assert frame["region"].tolist() == ["One", "Two", OUTSIDE]
    for label, share in zip((1, 2, 0), frame["share"], strict=True):
        mine = np.abs(values[brain & (labels == label)]).sum()
        assert share == pytest.approx(mine / np.abs(values[brain]).sum())


def test_shares_and_ranks_know_no_scale(rng, brain, atlas):
    values = rng.standard_normal(SHAPE)
    large, small = (table_of(values * scale, atlas, brain).frame for scale in (1e6, 1e-9))
    np.testing.assert_allclose(large["share"], small["share"])
    np.testing.assert_array_equal(large["rank"], small["rank"])
    assert small["share"].sum() == pytest.approx(1)
