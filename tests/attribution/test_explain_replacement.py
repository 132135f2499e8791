"""Occlusion and RISE, each against a second derivation."""

from __future__ import annotations

import itertools
import re
import warnings

import numpy as np
import pytest
import torch
from explain_nets import EXACT, OBLIQUE, SHAPE, Counted, Linear, batch, paper_like, volumes

from voxplain.attribution import Engine
from voxplain.attribution.methods.replacement.occlusion import Occlusion
from voxplain.attribution.methods.replacement.rise import SmoothMasks
from voxplain.attribution.run import explain
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Volume

VOXEL = np.linalg.norm(OBLIQUE[:3, :3], axis=0)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    captum_attr = pytest.importorskip("captum.attr")


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


class PickedVoxel(torch.nn.Module):
    """A network that costs next to nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros(len(x)), x[:, 0, 20, 20, 20]], 1)


def margin(model: torch.nn.Module, values: np.ndarray, target: int) -> float:
    with torch.no_grad():
        logits = model(torch.as_tensor(values)[None, None])[0].numpy()
    return float(logits[target] - np.log(np.exp(np.delete(logits, target)).sum()))


def starts(voxels: int, size: int, step: int) -> list[int]:
    found = []
    at = 0
    while at + size < voxels:
        found.append(at)
        at += step
    return [*found, voxels - size]


def occlusion_by_loops(
    model: torch.nn.Module, values: np.ndarray, reference: np.ndarray, target: int, *lengths: float
) -> np.ndarray:
    size, step = ([max(1, round(mm / v)) for v in VOXEL] for mm in lengths)
    whole = margin(model, values, target)
    total, covers = np.zeros(values.shape), np.zeros(values.shape)
    places = [starts(*along) for along in zip(values.shape, size, step, strict=True)]
    for corner in itertools.product(*places):
        block = tuple(slice(a, a + s) for a, s in zip(corner, size, strict=True))
        hidden = values.copy()
        hidden[block] = reference[block]
        total[block] += whole - margin(model, hidden, target)
        covers[block] += 1
    return total / covers


@pytest.mark.parametrize("stride", [10.0, 17.0, 26.0])
def test_occlusion_by_loops(stride: float) -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    values = item.values.astype(np.float64)
    wanted = occlusion_by_loops(model, values, np.zeros(SHAPE), 2, 26.0, stride)
    made = explain(
        model, item, "occlusion", 2, block=26, stride=stride, reference="zero", engine=EXACT
    )
    assert relative(made.values, wanted) < 1e-6
    if stride == 26:
        plain = explain(model, item, "occlusion", 2, block=26, reference="zero", engine=EXACT)
        wanted = occlusion_by_loops(model, values, np.zeros(SHAPE), 2, 26.0, 19.5)
        assert relative(plain.values, wanted) < 1e-6


@pytest.mark.parametrize(("step", "target"), [(1, 0), (2, 1)])
def test_occlusion_equals_captum_where_the_blocks_fit(step: int, target: int) -> None:
    shape = (7, 9, 7)
    model = paper_like(shape=shape)
    grid = Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    items = [Volume(v.values, grid, v.subject) for v in volumes(3, shape)]
    wanted = captum_attr.Occlusion(model).attribute(
        batch(items), (1, 3, 3, 3), strides=(1, step, step, step), target=target
    )
    made = explain(
        model, items, "occlusion", target, score="logit",
        reference="zero", block=6, stride=2 * step, engine=EXACT,
    )  # fmt: skip
    assert relative(np.stack([m.values for m in made]), wanted[:, 0].numpy()) < 1e-5


def test_occlusion_reaches_the_far_border_with_whole_blocks() -> None:
    """Peers leave the last voxels out, or hide them with a cut block."""
    weights = np.zeros(SHAPE)
    weights[-1, -1, -1] = 5
    grid = Grid(SHAPE, np.eye(4))
    item = Volume(np.ones(SHAPE), grid)
    made = explain(
        Linear(weights), item, "occlusion", 1, reference="zero", block=4, stride=4, engine=EXACT
    ).values
    assert made[-1, -1, -1] == 5
    # The voxels 3 of 7, and 5 to 7 of 9, lie in the last block and in the one before.
    assert (made[4:, 4:, 8] == 5).all()
    assert (made[3, 4:, 8] == 2.5).all()
    assert (made[4:, 4:, 5:8] == 2.5).all()
    assert not made[:, :4].any()


def test_occlusion_skips_what_hides_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    values[0, 3:] = 0
    values[1, :, :5] = 0
    grid = Grid(SHAPE, OBLIQUE)
    items = [Volume(v, grid, str(i)) for i, v in enumerate(values)]
    inner = paper_like()
    model = Counted(inner)
    options = {"reference": "zero", "block": 26.0, "stride": 17.0}
    made = explain(model, items, "occlusion", 1, engine=EXACT, **options)
    told = [m.provenance.notes[0].split() for m in made]
    assert [int(words[0]) < int(words[2]) for words in told] == [True, True, False]
    assert sum(int(words[-3]) for words in told) == model.samples
    assert [int(words[-3]) - int(words[0]) for words in told] == [1, 1, 1]
    inner.double()
    for item, one in zip(items, made, strict=True):
        x = item.values.astype(np.float64)
        wanted = occlusion_by_loops(inner, x, np.zeros(SHAPE), 1, 26.0, 17.0)
        assert relative(one.values, wanted) < 1e-4
    assert not made[0].values[5:].any()


def test_the_cost_of_a_brain_is_as_told() -> None:
    """An ellipsoid of a brain's size on the grid of Kan et al."""
    shape, voxel = (58, 70, 58), np.array([182 / 58, 218 / 70, 182 / 58])
    place = (np.moveaxis(np.indices(shape), 0, -1) + 0.5) * voxel - voxel * shape / 2
    inside = np.linalg.norm(place / [66, 82, 58], axis=-1) < 1
    item = Volume(inside * place[..., 0], Grid(shape, np.diag([*voxel, 1.0])))
    made = explain(PickedVoxel(), item, "occlusion", 1, engine=EXACT)
    passes = int(made.provenance.notes[0].split()[-3])
    told = int(re.search(r"about (\d+) for a brain", Occlusion.info.passes)[1])
    assert passes == pytest.approx(told, rel=0.05)


def test_occlusion_of_a_linear_network_in_closed_form() -> None:
    weights = np.random.default_rng(1).normal(size=SHAPE)
    item = volumes(1)[0]
    made = explain(
        Linear(weights), item, "occlusion", 1, reference="mean", block=1, engine=EXACT
    ).values
    difference = item.values - item.values.mean()
    assert relative(made, weights * difference) < 1e-5
    whole = explain(
        Linear(weights), item, "occlusion", 0, reference="mean", block=999, engine=EXACT
    ).values
    assert np.allclose(whole, -(weights * difference).sum(), atol=1e-5)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("occlusion", {"block": 0}, "block must be above 0 mm; 0 was given"),
        ("occlusion", {"stride": -1.0}, "stride must be above 0 mm"),
        ("occlusion", {"block": 9, "stride": 10}, "not be longer than the block of 9 mm"),
        ("occlusion", {"score": "p"}, "score must be 'margin' or 'logit'; 'p' was given"),
        ("occlusion", {"blur": -1}, "blur must not be negative; -1 was given"),
        ("occlusion", {"reference": "grey"}, "reference must be .*'grey' was given"),
        ("rise", {"masks": 1}, "masks must be 2 or more; 1 was given"),
        ("rise", {"cell": 0}, "cell must be above 0 mm; 0 was given"),
        ("rise", {"keep": 1}, "keep must lie between 0 and 1; 1 was given"),
        ("rise", {"score": "p"}, "score must be 'margin' or 'logit'"),
    ],
)
def test_options_out_of_range(method: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], method, engine=EXACT, **options)


def spline(distance: np.ndarray) -> np.ndarray:
    """Correlation of a shifted triangular kernel with itself, over its value at 0."""
    d = np.abs(distance)
    near = 2 / 3 - d**2 + d**3 / 2
    return np.where(d < 1, near, np.clip(2 - d, 0, None) ** 3 / 6) / (2 / 3)


def correlations(shape: tuple[int, ...], cell: tuple[float, ...]) -> np.ndarray:
    """Of a smooth mask at each two voxels, array (voxels, voxels)."""
    places = np.stack([i.ravel() for i in np.indices(shape)], 1)
    apart = (places[:, None] - places[None, :]) / np.array(cell)
    return spline(apart).prod(-1)


@pytest.mark.parametrize("keep", [0.5, 0.3])
def test_masks_have_the_mean_variance_and_correlation_of_theory(keep: float) -> None:
    shape, cell, count = (4, 3, 5), (1.5, 2.3, 3.0), 4000
    masks = SmoothMasks(shape, cell, keep, count, 0)
    like = torch.zeros((), dtype=torch.float64)
    drawn = torch.stack([masks.of(i, like) for i in range(count)]).flatten(1).numpy()
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert np.abs(drawn.mean(0) - keep).max() < 0.02
    covariance = np.cov(drawn.T) / masks.variance
    assert np.abs(covariance - correlations(shape, cell)).max() < 0.1


def test_rise_by_loops() -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    x = item.values.astype(np.float64)
    options = {"masks": 23, "cell": 20.0, "keep": 0.6, "reference": "zero"}
    made = explain(model, item, "rise", 2, seed=4, engine=EXACT, **options)
    masks = SmoothMasks(SHAPE, tuple(20 / VOXEL), 0.6, 23, 4)
    like = torch.zeros((), dtype=torch.float64)
    drawn = np.stack([masks.of(i, like).numpy() for i in range(23)])
    scores = np.array([margin(model, mask * x, 2) for mask in drawn])
    wanted = np.zeros(SHAPE)
    products = np.zeros((23, *SHAPE))
    for i, (mask, score) in enumerate(zip(drawn, scores, strict=True)):
        products[i] = (score - scores.mean()) * (mask - 0.6) / (0.6 * 0.4 * 8 / 27)
        wanted += products[i] / 22
    assert relative(made.values, wanted) < 1e-5
    error = np.sqrt(((products**2).mean(0) - wanted**2).clip(0) / 23).mean()
    told = float(made.provenance.notes[0].split()[6])
    assert told == pytest.approx(error, rel=0.06)


def test_rise_on_a_linear_network_has_the_closed_form_and_less_variance_than_the_paper() -> None:
    """The paper's mean of score times mask carries the mean score's noise."""
    shape, cell, count, seeds = (4, 3, 5), (2.0, 2.0, 2.0), 40, 40
    rng = np.random.default_rng(0)
    weights, values = rng.normal(size=shape), rng.normal(size=shape).astype(np.float32)
    model = Linear(weights.astype(np.float32), bias=4.0)
    item = Volume(values, Grid(shape, np.eye(4)))
    ours, papers = [], []
    like = torch.zeros((), dtype=torch.float64)
    for seed in range(seeds):
        options = {"masks": count, "cell": 2.0, "reference": "zero"}
        made = explain(
            model, item, "rise", 1, seed=seed, engine=Engine("cpu", "exact", 64), **options
        )
        ours.append(made.values.ravel())
        masks = SmoothMasks(shape, cell, 0.5, count, seed)
        drawn = np.stack([masks.of(i, like).numpy().ravel() for i in range(count)])
        scores = drawn @ (weights * values).ravel() + 4
        plain = (scores[:, None] * drawn).mean(0) / 0.5
        # In the same unit: E[score * mask] / keep is the mean score plus covariance / keep.
        papers.append((plain - ((weights * values).sum() * 0.5 + 4)) * 0.5 / masks.variance)
    wanted = correlations(shape, cell) @ (weights * values).ravel()
    mean, error = np.mean(ours, 0), np.std(ours, 0, ddof=1) / np.sqrt(seeds)
    assert np.abs((mean - wanted) / error).max() < 4.5
    assert np.abs(mean - wanted).max() < 0.3 * np.abs(wanted).max()
    assert np.var(ours, 0).sum() < 0.5 * np.var(papers, 0).sum()


def test_rise_runs_as_many_passes_as_it_says() -> None:
    model = Counted(paper_like())
    explain(model, volumes(2), "rise", 1, engine=EXACT)
    assert model.samples == 2 * 501
