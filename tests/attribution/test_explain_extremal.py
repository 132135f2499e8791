"""Extremal perturbation and its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, Linear, batch, paper_like, volumes

from voxplain.attribution import Chosen, Engine
from voxplain.attribution.methods.masks.adam import Adam
from voxplain.attribution.methods.masks.area import area_cells, area_loss, support_cells
from voxplain.attribution.methods.masks.extremal_perturbation import ExtremalPerturbation
from voxplain.attribution.methods.masks.objective import AreaObjective
from voxplain.attribution.methods.reference import MaskGrid, make_reference
from voxplain.attribution.network.probe import probe
from voxplain.attribution.network.target import Target
from voxplain.attribution.run import explain
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

NAME = "extremal-perturbation"
OBJECTIVES = ("preservation", "deletion", "dual")
# One cell a voxel, nothing blurred.
PLAIN = {"cell": 1e-3, "mask_blur": 0.0, "engine": EXACT}


def second(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 1]


def test_area_loss_by_sorting_in_loops() -> None:
    rng = np.random.default_rng(0)
    support = torch.ones(3, 2, 3, 4, dtype=torch.float64)
    support[1, 0] = 0
    masks = torch.as_tensor(rng.uniform(size=(3, 2, 3, 4))) * support
    masks[2] = masks[2].round()
    cells = torch.tensor([5, 3, 7])
    for found, mask, inside, count in zip(
        area_loss(masks, cells, support), masks, support, cells, strict=True
    ):
        values = sorted((float(v) for v in mask[inside > 0]), reverse=True)
        total = 0.0
        for place, value in enumerate(values):
            total += (value - (1.0 if place < count else 0.0)) ** 2
        assert float(found) == pytest.approx(total / len(values), abs=1e-12)


def test_the_slope_of_the_area_loss() -> None:
    mask = torch.tensor([0.9, 0.3, 0.6, 0.3, 0.3]).double().reshape(1, 1, 1, 5).requires_grad_()
    loss = area_loss(mask, torch.tensor([3]), torch.ones_like(mask))
    (slope,) = torch.autograd.grad(loss.sum(), mask)
    # Three cells tie for the last of three ones, so each is drawn to a third.
    template = np.array([1, 1 / 3, 1, 1 / 3, 1 / 3])
    wanted = 2 * (np.array([0.9, 0.3, 0.6, 0.3, 0.3]) - template) / 5
    assert np.allclose(slope.flatten(), wanted)


def test_areas_count_cells_of_the_support() -> None:
    support = torch.ones(2, 2, 5, 5)
    support[1, 0] = 0
    assert area_cells(support, (0.001, 0.1, 0.5)).tolist() == [1, 5, 25, 1, 2, 12]


def test_the_support_is_where_image_and_reference_differ() -> None:
    difference = torch.zeros(3, *SHAPE)
    difference[0, 2:6, 2:6, 3:9] = -2
    difference[0, 0, 0, 0] = 0.05
    difference[1] = 1
    grid = MaskGrid.make(SHAPE, (1, 1, 1), (0, 0, 0))
    inside = support_cells(grid, difference)
    assert torch.equal(inside[0], (difference[0] == -2).float())
    assert inside[1].all()
    # Where nothing differs, there is no area to speak of.
    assert inside[2].all()
    coarse = MaskGrid.make(SHAPE, (2, 2, 3), (0, 0, 0))
    cells = coarse.to_cells(difference)
    x, y, z = (m.numpy() for m in coarse.matrices)
    weight = np.einsum("ai,bj,ck->abcijk", x, y, z)
    wanted = np.einsum("nabc,abcijk->nijk", difference.numpy(), weight) / weight.sum((0, 1, 2))
    assert np.allclose(cells, wanted, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_on_a_linear_network_the_best_cells_are_taken(objective: str) -> None:
    weights = np.random.default_rng(2).uniform(0, 1, SHAPE) ** 4
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.diag([2, 3, 4, 1.0])))
    made = explain(
        Linear(weights),
        item,
        NAME,
        second,
        reference="zero",
        objective=objective,
        areas=[0.1],
        **PLAIN,
    )
    worth = np.sort(weights.ravel())[::-1]
    count = round(0.1 * weights.size)
    assert np.array_equal(made.values > 0.5, weights >= worth[count - 1])
    inside = worth[:count].sum()
    notes = made.provenance.notes
    told = notes[2].partition(": ")[2].split(", ")
    scores = {
        "score(kept)": inside if objective != "deletion" else None,
        "score(deleted)": worth.sum() - inside if objective != "preservation" else None,
    }
    scores = {name: score for name, score in scores.items() if score is not None}
    assert [text.split(" = ")[0] for text in told] == list(scores)
    for text, score in zip(told, scores.values(), strict=True):
        assert float(text.split(" = ")[1]) == pytest.approx(score, rel=0.02)


def test_the_map_is_the_mean_of_the_areas() -> None:
    weights = np.random.default_rng(3).uniform(0, 1, SHAPE) ** 4
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.eye(4)))
    options = {"reference": "zero", "objective": "deletion", **PLAIN}
    alone = [
        explain(Linear(weights), item, NAME, second, areas=[a], **options) for a in (0.3, 0.05)
    ]
    both = explain(Linear(weights), item, NAME, second, areas=[0.3, 0.05], **options)
    assert np.allclose(both.values, np.mean([one.values for one in alone], axis=0), atol=1e-5)
    areas = [note for note in both.provenance.notes if note.startswith("area")]
    assert [note.split()[1] for note in areas] == ["0.05", "0.3"]


@pytest.mark.parametrize(("enough", "least"), [(0.3, "0.05 is"), (0.7, "0.3 is"), (0.99, "no")])
def test_the_smallest_area_that_is_enough(enough: float, least: str) -> None:
    weights = np.random.default_rng(3).uniform(0, 1, SHAPE) ** 9
    top = np.sort(weights.ravel())[::-1].cumsum() / weights.sum()
    assert 0.3 < top[25] < 0.7 < top[151] < 0.995
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.eye(4)))
    options = {"reference": "zero", "objective": "preservation", "areas": (0.3, 0.05), **PLAIN}
    if enough == 0.99:
        options["areas"] = (0.05, 0.02)
    made = explain(Linear(weights), item, NAME, second, enough=enough, **options)
    (told,) = [note for note in made.provenance.notes if "target's score" in note]
    assert told.startswith(least)
    assert told.endswith(f"keeps {100 * enough:.0f} % of the target's score")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_told_are_those_of_the_masks(objective: str) -> None:
    model, x = paper_like(), batch(volumes(3))
    method = ExtremalPerturbation(objective, areas=(0.2,), blur=20, cell=16, mask_blur=8)
    with probe(model, voxel_size=(8, 11, 6.5)) as p:
        made = method.attribute(p, x, Target((1, 1, 1)), 0)
        widths = [20 / size for size in p.voxel_size]
        reference = make_reference(x, "blur", widths, None, made.chosen)
        mask = made.values[:, None]
        kept = p.logits(mask * x + (1 - mask) * reference).softmax(1)[:, 1]
        lost = p.logits((1 - mask) * x + mask * reference).softmax(1)[:, 1]
    told = {"p(kept)": kept, "p(deleted)": lost}
    seen = 0
    for sample, notes in enumerate(made.notes):
        for text in (t for note in notes if "reached" in note.text for t in note.text.split(": ")):
            for name, value in (pair.split(" = ") for pair in text.split(", ") if " = " in pair):
                assert float(value) == pytest.approx(float(told[name][sample]), rel=5e-3)
                seen += 1
    assert seen >= 1


def test_the_objective_is_the_share_outside_minus_the_share_inside() -> None:
    of_image = torch.tensor([[0.0, 3.0], [0.0, 1.0]]).double()
    of_reference = torch.tensor([[0.0, -1.0], [0.0, -3.0]]).double()
    rows = torch.tensor([1, 0])
    inside, outside = torch.tensor([0.0, 2.0]).double(), torch.tensor([-2.0, 0.0]).double()
    chosen = Chosen(torch.tensor([1, 1]))
    share_in = np.array([(0 + 3) / 4, (2 + 1) / 4])
    share_out = np.array([(-2 + 3) / 4, (0 + 1) / 4])
    for kind, scores, wanted in (
        ("preservation", inside[None], -share_in),
        ("deletion", outside[None], share_out),
        ("dual", torch.stack([inside, outside]), share_out - share_in),
    ):
        objective = AreaObjective(chosen, of_image, of_reference, kind)
        assert np.allclose(objective.cost(scores, rows), wanted)


def test_one_rate_keeps_the_proportions_of_a_slope() -> None:
    slope = torch.tensor([[1.0, -2.0, 4.0], [10.0, 0.0, -5.0]]).double()
    steps = -Adam(slope, one_rate=True).step(torch.zeros_like(slope), slope, 0.1)
    assert np.allclose(steps, 0.1 * slope / slope.abs().amax(1, keepdim=True), atol=1e-6)
    signs = -Adam(slope).step(torch.zeros_like(slope), slope, 0.1)
    assert np.allclose(signs, 0.1 * slope.sign(), atol=1e-6)


def test_passes_are_told() -> None:
    item = volumes(4)[3]
    seen: list[int] = []
    model = paper_like()
    model.register_forward_hook(lambda m, args, out: seen.append(len(args[0])))
    options = {"areas": (0.1, 0.3), "iterations": 5, "engine": EXACT}
    made = explain(model, item, NAME, 1, **options)
    assert "22 forward passes" in made.provenance.notes
    # Before that it was traced, and run on the scan alone and beside another.
    assert seen[:3] == [1, 1, 2]
    assert sum(seen[3:]) == 22
    # Images that are kept and images that are deleted count towards the engine's batch.
    assert max(seen) == 4
    seen.clear()
    explain(model, item, NAME, 1, **{**options, "engine": Engine("cpu", "exact", 2)})
    assert max(seen) == 2


def test_a_weak_reference_is_told() -> None:
    weights = np.zeros(SHAPE)
    weights[3, 4, 5] = 10
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.eye(4)), "7")
    with pytest.warns(VoxplainWarning, match="Subject 7: .* ill-posed"):
        explain(Linear(weights), item, NAME, reference=np.full(SHAPE, 0.9, np.float32), **PLAIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "hybrid"}, "objective must be 'preservation', 'deletion' or 'dual'"),
        ({"areas": ()}, "areas must be one or more shares between 0 and 1"),
        ({"areas": (0.1, 1.0)}, "areas must be one or more shares between 0 and 1"),
        ({"enough": 0}, "enough must be above 0"),
        ({"iterations": 0}, "iterations must be above 0"),
        ({"mask_blur": -1}, "mask_blur must not be negative"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], NAME, **options)
