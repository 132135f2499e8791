"""Blocks: every permitted permutation of small tables, found by trying all."""

from __future__ import annotations

from itertools import permutations, product
from math import factorial

import numpy as np
import pandas as pd
import pytest

from voxplain.errors import InputError
from voxplain.group.blocks import Arrangements, Block, Leaf, read_blocks
from voxplain.group.design import make_design

Permutation = tuple[int, ...]


def _keeps(column: list[object], p: Permutation) -> bool:
    """Whether scans that share a value still share one, and no others do."""
    n = range(len(p))
    return all((column[i] == column[j]) == (column[p[i]] == column[p[j]]) for i in n for j in n)


def _alone(column: list[object]) -> list[object]:
    return [value if value is not None else f"alone{i}" for i, value in enumerate(column)]


def _rank(column: list[object]) -> list[int]:
    return [column[:i].count(value) for i, value in enumerate(column)]


def _drawn(tree: Block) -> set[Permutation]:
    """All that 60 draws a permutation find."""
    place = [leaf.row for leaf in tree.leaves]
    found = np.empty((60 * tree.count(), len(place)), dtype=int)
    found[:, place] = tree.draw(len(found), np.random.default_rng(0))
    return {tuple(row) for row in found.tolist()}


TABLES: dict[str, dict[str, list[object]]] = {
    "families of unequal size": {"family": ["a", "a", "b", "b", "c", "c", None]},
    "three and two": {"family": ["a", "a", "a", "b", "b", None, None]},
    "twins in families": {
        "family": ["a", "a", "a", "b", "b", "b", None],
        "twin": ["x", "x", None, "y", "y", None, None],
        "zygosity": ["MZ", "MZ", "-", "MZ", "MZ", "-", "-"],
    },
    "twins of two kinds": {
        "family": ["a", "a", "b", "b", "c", "c"],
        "twin": ["x", "x", "y", "y", "z", "z"],
        "zygosity": ["MZ", "MZ", "DZ", "DZ", "MZ", "MZ"],
    },
    "families over sites": {
        "family": ["a", "a", "b", "b", "c", "c", None],
        "site": ["1", "2", "2", "1", "1", "1", "1"],
    },
}


def _table(columns: dict[str, list[object]]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"participant_id": [f"{i:02d}" for i in range(n)], **columns})


@pytest.mark.parametrize("name", TABLES)
def test_whole_and_within_are_all_that_keep_the_relations(name: str) -> None:
    columns = TABLES[name]
    n = len(columns["family"])
    relations = [_alone(columns[c]) for c in ("family", "twin") if c in columns]
    fixed = [columns[c] for c in ("site", "zygosity") if c in columns]
    wanted = {
        p
        for p in permutations(range(n))
        if all(_keeps(column, p) for column in relations)
        and all(column[p[i]] == column[i] for column in fixed for i in range(n))
    }
    asked = ", ".join(c for c in ("site", "family", "twin") if c in columns)
    tree, _ = read_blocks(_table(columns), asked)
    assert tree.count() == len(wanted)
    assert _drawn(tree) == wanted


@pytest.mark.parametrize("mode", ["whole", "within"])
def test_whole_alone_and_within_alone(mode: str) -> None:
    family = _alone(["a", "a", "a", "b", "b", "b", None, None])
    rank = _rank(family)
    n = range(len(family))
    wanted = {
        p
        for p in permutations(n)
        if (
            all(family[p[i]] == family[i] for i in n)
            if mode == "within"
            else _keeps(family, p) and all(rank[p[i]] == rank[i] for i in n)
        )
    }
    given = {"family": ["a", "a", "a", "b", "b", "b", None, None]}
    tree, words = read_blocks(_table(given), f"family:{mode}")
    assert tree.count() == len(wanted)
    assert _drawn(tree) == wanted
    assert ("stay in place" in words) == (mode == "within")


def test_draws_are_even() -> None:
    tree, _ = read_blocks(_table(TABLES["families of unequal size"]), "family")
    drawn = tree.draw(48_000, np.random.default_rng(1))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == tree.count() == factorial(3) * 2**3
    # Of 1,000 expected each, 4 standard deviations are 127.
    assert abs(counts - 1000).max() < 160


def _labelled(labels: str, **columns: list[object]) -> pd.DataFrame:
    return _table({"label": list(labels), **columns})


def test_distinct_arrangements_are_those_of_the_class() -> None:
    table = _labelled("aabbababab", family=["f", "f", "g", "g", "h", "h", "k", "k", None, None])
    design = make_design(table, "class")
    tree, _ = read_blocks(table, "family")
    wanted = {tuple(design.regressor[list(p)].round(6)) for p in _drawn(tree)}
    found = Arrangements(design, tree)
    assert found.permitted == tree.count() == 24 * 16 * 2
    assert found.distinct == len(wanted)
    rows, complete = found.rows(10_000, 0)
    assert complete
    own = tuple(design.regressor.round(6))
    assert {tuple(r.astype(float).round(6)) for r in rows[:, 0]} == wanted - {own}
    some, complete = found.rows(5, 0)
    assert not complete
    assert some.shape == (5, 1, 10)
    # Exchanging the classes gives the same test of both directions.
    mirrored = tuple(-v for v in own) in wanted
    assert found.smallest_p == pytest.approx((1 + mirrored) / len(wanted))


def test_signs_change_with_all_that_share_an_effect() -> None:
    table = _table({"family": [f"f{i // 2}" for i in range(14)], "site": ["1", "2"] * 7})
    design = make_design(table, "1")
    tree, _ = read_blocks(table, "family")
    found = Arrangements(design, tree)
    assert found.permitted == found.distinct == 2**7
    assert found.smallest_p == 2 / 2**7
    rows, _ = found.rows(1000, 0)
    signs = np.sign(rows[:, 0]).astype(int)
    wanted = {tuple(np.repeat(s, 2)) for s in product((-1, 1), repeat=7)} - {(1,) * 14}
    assert {tuple(s) for s in signs} == wanted
    # Sites alone do not tie scans to each other.
    free, _ = read_blocks(table, "site")
    assert Arrangements(design, free).permitted == 2**14


def test_what_stays_of_the_nuisance_is_not_moved() -> None:
    rng = np.random.default_rng(0)
    site = [str(i % 3) for i in range(30)]
    table = _labelled("ab" * 15, site=site).assign(age=rng.normal(size=30))
    design = make_design(table, "class + age + site")
    inside = Arrangements(design, read_blocks(table, "site")[0])
    assert inside.moved.shape == (30, 1)
    anywhere = Arrangements(design, read_blocks(table, "none")[0])
    assert anywhere.moved.shape == (30, 3)
    for found in (inside, anywhere):
        rows, _ = found.rows(7, 0)
        assert rows.shape == (7, 1 + found.moved.shape[1], 30)
        # What is left out adds nothing: all of it has no part in what is left of a map.
        maps = design.residuals(rng.normal(size=(30, 4)).astype(np.float32))
        for row, drawn in zip(rows, found._draw(7, np.random.default_rng(0)), strict=True):
            whole = ((design.nuisance[drawn].T @ maps) ** 2).sum(axis=0)
            assert ((row[1:] @ maps) ** 2).sum(axis=0) == pytest.approx(whole, abs=1e-4)


def test_columns_that_the_table_has_are_found() -> None:
    columns = {"family_id": ["a", "a", "b", "b"], "twin": [None, None, "t", "t"]}
    tree, words = read_blocks(_table(columns))
    assert tree.count() == 2 * 2
    assert words == (
        "2 families of 2 scans change places whole with others of equal shape; 1 pair of twins of "
        "2 scans changes places whole with others of equal shape, and scans change places inside"
    )
    scans = pd.DataFrame({"participant_id": ["1", "1", "2", "2", "3"]})
    tree, words = read_blocks(scans)
    assert tree.count() == 2 * 2 * 2
    assert words.startswith("2 participants of 2 scans change places whole")
    assert words.endswith("inside; 1 single scans change places with each other")
    tree, words = read_blocks(scans, "none")
    assert tree.count() == factorial(5)
    assert words == "all scans change places"
    assert read_blocks(_table({"site": ["1", "1", "2"]}), "site")[1] == (
        "all scans of one site change places"
    )


def test_blocks_that_cannot_be() -> None:
    table = _table({"family": ["a", "a", "b", "b"], "twin": ["x", None, "x", None]})
    with pytest.raises(InputError, match="Scans of twin x belong to several blocks of family"):
        read_blocks(table, "family, twin")
    with pytest.raises(InputError, match="Unknown column for blocks 'house'"):
        read_blocks(table, "house")
    with pytest.raises(InputError, match="both, whole or within; 'halves' was given"):
        read_blocks(table, "family:halves")
    few = _labelled("aabb", family=["f", "f", "g", "g"])
    design = make_design(few, "class")
    with pytest.raises(InputError, match=r"permit 2 different arrangements.*below 1;"):
        Arrangements(design, read_blocks(few, "family")[0])
    with pytest.raises(InputError, match=r"16 different changes of signs of mean.*more scans"):
        Arrangements(make_design(few, "1"), read_blocks(few, "none")[0])
    with pytest.raises(InputError, match="each scan must stand in the blocks once"):
        Arrangements(design, Block((Leaf(0), Leaf(0), Leaf(1), Leaf(2))))


def test_blocks_that_split_a_class() -> None:
    table = _labelled("a" * 10 + "b" * 10, site=["1"] * 10 + ["2"] * 10)
    with pytest.raises(InputError, match="permit 1 different arrangements of b - a"):
        Arrangements(make_design(table, "class"), read_blocks(table, "site")[0])
