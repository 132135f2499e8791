"""Ablation and Shapley values of regions, each against a second derivation."""

from __future__ import annotations

import itertools
import json
import math
import warnings

import numpy as np
import pytest
import torch
from explain_nets import EXACT, OBLIQUE, SHAPE, Counted, Linear, batch, paper_like, volumes

from voxplain.atlas import Atlas
from voxplain.attribution.methods.cubes import cubes
from voxplain.attribution.methods.replacement.shapley import ShapleyTable
from voxplain.attribution.run import explain
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Volume

BOTH = ["region-ablation", "region-shapley"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    captum_attr = pytest.importorskip("captum.attr")


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def quarters() -> np.ndarray:
    """Four regions with labels that have gaps, above 255, and background in one corner."""
    labels = np.full(SHAPE, 3, np.int32)
    labels[4:] = 300
    labels[:, 4:] = 17
    labels[4:, 4:] = 1
    labels[:2, :2, :3] = 0
    return labels


def score(model: torch.nn.Module, values: np.ndarray, target: int) -> float:
    with torch.no_grad():
        logits = model(torch.as_tensor(values)[None, None])[0].numpy()
    return float(logits[target] - np.log(np.exp(np.delete(logits, target)).sum()))


def test_cubes_are_even_and_cover_the_volume() -> None:
    labels = cubes((7, 8, 9), (3.4, 4.0, 100.0))
    assert set(np.unique(labels)) == {1, 2, 3, 4}
    assert (labels[:4, :4] == 1).all()
    assert (labels[:4, 4:] == 2).all()
    assert (labels[4:, :4] == 3).all()
    assert len(np.unique(cubes((3, 2, 4), (0.1, 0.1, 0.1)))) == 24


def test_ablation_by_loops() -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    x = item.values.astype(np.float64)
    labels = quarters()
    wanted = np.zeros(SHAPE)
    for label in (1, 3, 17, 300):
        without = np.where(labels == label, x.mean(), x)
        wanted[labels == label] = score(model, x, 2) - score(model, without, 2)
    made = explain(model, item, "region-ablation", 2, regions=labels, engine=EXACT)
    assert relative(made.values, wanted) < 1e-6
    assert not made.values[labels == 0].any()
    assert made.provenance.notes == ("4 of 4 regions hold something; 5 forward passes",)


@pytest.mark.parametrize("target", [0, 1])
def test_ablation_equals_captum(target: int) -> None:
    model, items = paper_like(), volumes(3)
    labels = np.searchsorted([0, 1, 3, 17, 300], quarters())
    wanted = captum_attr.FeatureAblation(model).attribute(
        batch(items), target=target, feature_mask=torch.as_tensor(labels)[None, None]
    )
    made = explain(
        model, items, "region-ablation", target,
        regions=quarters(), reference="zero", score="logit", engine=EXACT,
    )  # fmt: skip
    inside = labels > 0
    for one, theirs in zip(made, wanted[:, 0].numpy(), strict=True):
        assert relative(one.values[inside], theirs[inside]) < 1e-5


def shapley_by_permutations(
    model: torch.nn.Module, x: np.ndarray, labels: np.ndarray, target: int
) -> dict[int, float]:
    players = np.unique(labels).tolist()
    shares = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        image = np.full(SHAPE, x.mean())
        before = score(model, image, target)
        for player in order:
            image = np.where(labels == player, x, image)
            after = score(model, image, target)
            shares[player] += (after - before) / math.factorial(len(players))
            before = after
    return shares


def test_shapley_by_all_permutations() -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    x, labels = item.values.astype(np.float64), quarters()
    shares = shapley_by_permutations(model, x, labels, 2)
    made = explain(model, item, "region-shapley", 2, regions=labels, engine=EXACT)
    assert len(shares) == 5
    for label, share in shares.items():
        found = made.values[labels == label]
        assert np.ptp(found) == 0
        assert found.astype(np.float64).sum() == pytest.approx(share, abs=1e-5)
    assert made.provenance.notes == ("exact values, from all coalitions", "32 forward passes")
    # Ten orders of five players would ask for more coalitions than there are: four do not.
    sampled = explain(
        model, item, "region-shapley", 2, regions=labels, permutations=4, engine=EXACT
    )
    assert "over 2 pairs of orders" in sampled.provenance.notes[0]
    assert relative(sampled.values, made.values) > 1e-4


def test_shapley_equals_captum() -> None:
    model, items = paper_like(), volumes(2)
    labels = np.searchsorted([0, 1, 3, 17, 300], quarters())
    wanted = captum_attr.ShapleyValues(model).attribute(
        batch(items), target=1, feature_mask=torch.as_tensor(labels)[None, None]
    )
    sizes = np.bincount(labels.ravel())[labels]
    made = explain(
        model, items, "region-shapley", 1,
        regions=quarters(), reference="zero", score="logit", engine=EXACT,
    )  # fmt: skip
    for one, theirs in zip(made, wanted[:, 0].numpy(), strict=True):
        assert relative(one.values * sizes, theirs) < 1e-5


@pytest.mark.parametrize("options", [{}, {"cell": 12.0, "permutations": 2}, {"cell": 30.0}])
@pytest.mark.parametrize("reference", ["mean", "zero", "blur"])
def test_a_shapley_map_adds_up(reference: str, options: dict[str, object]) -> None:
    model, items = paper_like(3), volumes(3)
    made = explain(
        model, items, "region-shapley", 1, reference=reference, blur=30, engine=EXACT, **options
    )
    for item, one in zip(items, made, strict=True):
        x = item.values
        to = np.full(SHAPE, x.mean()) if reference == "mean" else np.zeros(SHAPE)
        if reference == "blur":
            to = x.astype(np.float64)
            for axis, size in enumerate(item.grid.voxel_size):
                place = np.arange(SHAPE[axis])
                kernel = np.exp(-0.5 * ((place[:, None] - place) * size / 30) ** 2)
                kernel /= kernel.sum(1, keepdims=True)
                to = np.moveaxis(np.tensordot(kernel, to, (1, axis)), 0, axis)
        change = score(model, x, 1) - score(model, to.astype(np.float32), 1)
        assert one.values.astype(np.float64).sum() == pytest.approx(change, abs=2e-5)


def test_orders_in_pairs_are_exact_where_regions_interact_two_by_two() -> None:
    """A region and its partner: one of an order and its reverse sees the partner present."""
    rng = np.random.default_rng(0)
    count = 12
    own, pairwise = rng.normal(size=count), np.triu(rng.normal(size=(count, count)), 1)

    def game(who: frozenset[int]) -> float:
        inside = np.isin(np.arange(count), list(who))
        return float(own @ inside + inside @ pairwise @ inside)

    table = ShapleyTable(range(count), 2, seed=0)
    assert len(table.coalitions) <= 2 * 2 * 11 + 2
    values, words = table.values({who: game(who) for who in table.coalitions})
    assert np.allclose(values, own + (pairwise + pairwise.T).sum(1) / 2, atol=1e-12)
    assert words.startswith("standard error of a region's value: ")
    assert float(words.split()[6]) < 1e-12


@pytest.mark.parametrize(
    ("players", "pairs", "exact"),
    [(1, 1, True), (2, 1, True), (3, 1, False), (3, 2, True), (4, 2, False), (4, 3, True)],
)
def test_all_coalitions_are_asked_for_where_orders_would_ask_for_as_many(
    players: int, pairs: int, exact: bool
) -> None:
    """A pair of orders passes 2 (n - 1) coalitions, and all pairs share nobody and everybody."""
    assert (2**players <= 2 + pairs * 2 * (players - 1)) == exact
    table = ShapleyTable(range(players), pairs, seed=0)
    values, words = table.values({who: float(len(who)) for who in table.coalitions})
    assert words.startswith("exact values") == exact
    np.testing.assert_allclose(values, 1)


def test_the_standard_error_is_that_of_the_sample() -> None:
    count, players = 8, range(9)
    weights = np.random.default_rng(0).normal(0, 0.3, 9)

    def game(who: frozenset[int]) -> float:
        return float(np.exp(weights[list(who)].sum()))

    values, told = [], []
    for seed in range(60):
        table = ShapleyTable(players, count, seed)
        found, words = table.values({who: game(who) for who in table.coalitions})
        values.append(found)
        told.append(float(words.split()[6]))
    true, exact_words = ShapleyTable(players, 99, 0), "exact values, from all coalitions"
    exact, words = true.values({who: game(who) for who in true.coalitions})
    assert words == exact_words
    spread = np.std(values, 0, ddof=1)
    assert np.mean(told) == pytest.approx(spread.mean(), rel=0.15)
    assert (np.abs(np.mean(values, 0) - exact) < 4 * spread / np.sqrt(60)).all()
    pair = ShapleyTable(players, 1, 0)
    assert pair.values({w: game(w) for w in pair.coalitions})[1].endswith("no standard error")


@pytest.mark.parametrize("name", BOTH)
def test_regions_of_a_linear_network_in_closed_form(name: str) -> None:
    weights = np.random.default_rng(1).normal(size=SHAPE)
    item = volumes(1)[0]
    labels = cubes(SHAPE, (2, 3, 3))
    share = weights * item.values
    worth = np.bincount(labels.ravel(), share.ravel())[labels]
    if name == "region-shapley":
        worth /= np.bincount(labels.ravel())[labels]
    made = explain(Linear(weights), item, name, 1, regions=labels, reference="zero", engine=EXACT)
    assert relative(made.values, worth) < 1e-5


@pytest.mark.parametrize("name", BOTH)
def test_regions_that_hold_nothing_cost_nothing(name: str) -> None:
    values = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    values[0, :4] = 0
    values[1] = 0
    items = [Volume(v, Grid(SHAPE, OBLIQUE), str(i)) for i, v in enumerate(values)]
    model = Counted(paper_like())
    options = {"regions": quarters(), "reference": "zero"}
    with pytest.warns(UserWarning, match="Subject 1: no replacement changes the score"):
        made = explain(model, items, name, 1, engine=EXACT, **options)
    told = [int(note.split()[-3]) for m in made for note in m.provenance.notes if "passes" in note]
    # Two of four regions; none; all four, and for Shapley values the background as a fifth.
    assert told == ([3, 1, 5] if name == "region-ablation" else [4, 1, 32])
    assert sum(told) == model.samples
    assert not made[0].values[:4].any()


def test_what_runs_is_told_for_many_regions() -> None:
    model = Counted(paper_like())
    (made,) = explain(model, volumes(1), "region-shapley", 1, cell=20, engine=EXACT)
    regions = len(np.unique(cubes(SHAPE, [20 / v for v in made.grid.voxel_size])))
    assert made.provenance.notes[1] == f"{model.samples} forward passes"
    assert model.samples <= 16 * (regions - 1) + 2


def atlas(shape: tuple[int, int, int] = SHAPE) -> Atlas:
    labels = np.ones(shape, np.int32)
    labels[2:] = 2
    return Atlas(labels, Grid(shape, OBLIQUE), {1: "one", 2: "two"}, "Two")


@pytest.mark.parametrize("name", BOTH)
def test_an_atlas_serves_and_is_told_by_name(name: str) -> None:
    model, item = paper_like(), volumes(1)[0]
    made = explain(model, item, name, 1, regions=atlas(), engine=EXACT)
    same = explain(model, item, name, 1, regions=atlas().labels, engine=EXACT)
    assert np.array_equal(made.values, same.values)
    record = json.loads(json.dumps(made.provenance.to_dict()))
    assert record["options"]["regions"].startswith("atlas Two, array (7, 8, 9), sha256 ")


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": np.ones((3, 3, 3), int)}, r"shape \(3, 3, 3\), the volume \(7, 8, 9\); res"),
        ({"regions": atlas((4, 4, 4))}, r"call atlas.on\(volume.grid\) first"),
        ({"regions": np.full(SHAPE, 0.5)}, "regions must hold whole numbers"),
        ({"regions": np.full(SHAPE, -1)}, "regions must hold whole numbers"),
        ({"regions": np.zeros(SHAPE, int)}, "at least one above 0"),
        ({"regions": np.ones((7, 8))}, "in three dimensions"),
        ({"regions": "AAL"}, "an array of labels on the volume's grid or an Atlas; 'AAL'"),
        ({"cell": 0}, "cell must be above 0 mm; 0 was given"),
        ({"score": "p"}, "score must be 'margin' or 'logit'"),
    ],
)
def test_regions_that_do_not_serve(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], name, engine=EXACT, **options)


@pytest.mark.parametrize("count", [0, 7])
def test_permutations_come_in_pairs(count: int) -> None:
    with pytest.raises(InputError, match=f"even number of 2 or more.*{count} was given"):
        explain(paper_like(), volumes(1)[0], "region-shapley", permutations=count)
