"""Meaningful perturbation and its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, Counted, Linear, batch, paper_like, volumes
from scipy import ndimage

from voxplain.attribution import Chosen
from voxplain.attribution.methods.masks.adam import Adam
from voxplain.attribution.methods.masks.meaningful_perturbation import MeaningfulPerturbation
from voxplain.attribution.methods.masks.objective import DeletionObjective
from voxplain.attribution.methods.masks.options import JitterOptions, ObjectiveOptions
from voxplain.attribution.methods.masks.schedule import Schedule, drawn_shifts
from voxplain.attribution.methods.masks.search import roughness
from voxplain.attribution.methods.reference import (
    MaskGrid,
    gaussian_matrix,
    make_reference,
    shifted,
)
from voxplain.attribution.network.probe import probe
from voxplain.attribution.network.target import Target
from voxplain.attribution.run import explain
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

NAME = "meaningful-perturbation"
# One cell a voxel, nothing blurred, nothing shifted.
PLAIN = {"cell": 1.0, "mask_blur": 0.0, "units": "voxel", "objective.tv": 0.0}
PROBABILITY = {"objective.loss": "probability"}


def chosen(count: int, index: int = 1) -> Chosen:
    return Chosen(torch.full((count,), index))


def test_gaussian_equals_scipy_inside() -> None:
    values = np.zeros(61)
    values[25:33] = np.arange(8)
    ours = gaussian_matrix(61, 2.5).numpy() @ values
    assert np.allclose(ours, ndimage.gaussian_filter(values, 2.5, truncate=9), atol=1e-9)
    assert np.allclose(gaussian_matrix(7, 3.0).sum(1), 1)
    cut = gaussian_matrix(30, 10, window=5).numpy()
    assert np.allclose(np.diff(np.nonzero(cut[15])[0]), 1)
    assert np.count_nonzero(cut[15]) == 5
    spread = np.sqrt((cut[15] * (np.arange(30) - 15) ** 2).sum())
    assert spread == pytest.approx(1.41, abs=0.01)


def test_mask_reaches_the_voxels_by_interpolation_then_blur() -> None:
    grid = MaskGrid.make(SHAPE, (2, 2, 4), (0, 0, 0))
    assert grid.shape == (3, 4, 2)
    mask = torch.rand(2, 3, 4, 2, dtype=torch.float64)
    wanted = torch.nn.functional.interpolate(mask[:, None], SHAPE, mode="trilinear")[:, 0]
    assert torch.allclose(grid.to_voxels(mask), wanted, atol=1e-12)
    blurred = MaskGrid.make(SHAPE, (2, 2, 4), (1, 2, 0.5))
    matrices = [gaussian_matrix(n, s).numpy() for n, s in zip(SHAPE, (1, 2, 0.5), strict=True)]
    wanted = np.einsum("nijk,ai,bj,ck->nabc", wanted.numpy(), *matrices)
    assert np.allclose(blurred.to_voxels(mask), wanted, atol=1e-12)
    assert torch.allclose(blurred.to_voxels(torch.ones(1, 3, 4, 2)), torch.ones(1, *SHAPE))


def test_cells_of_the_papers_grid() -> None:
    voxel = [182 / 58, 218 / 70, 182 / 58]
    by_mm = MaskGrid.make((58, 70, 58), [12.5 / v for v in voxel], (0, 0, 0))
    by_voxel = MaskGrid.make((58, 70, 58), (4, 4, 4), (0, 0, 0))
    assert by_mm.shape == by_voxel.shape == (14, 17, 14)
    assert MaskGrid.make((3, 4, 5), (9, 9, 9), (0, 0, 0)).shape == (1, 1, 1)


def test_references() -> None:
    x = batch(volumes(2)).double()
    x[:, :, :2] = 0
    assert not make_reference(x, "zero", (1, 1, 1), None, chosen(2)).any()
    mean = make_reference(x, "mean", (1, 1, 1), None, chosen(2))
    assert not mean[:, :, :2].any()
    assert torch.allclose(mean[1, 0, 2:], x[1, 0, 2:].mean().expand(5, 8, 9))
    blur = make_reference(x, "blur", (2, 1, 0.5), None, chosen(2))
    matrices = [gaussian_matrix(n, s).numpy() for n, s in zip(SHAPE, (2, 1, 0.5), strict=True)]
    assert np.allclose(blur[:, 0], np.einsum("nijk,ai,bj,ck->nabc", x[:, 0], *matrices))
    one, two = np.ones(SHAPE, np.float32), np.full(SHAPE, 2, np.float32)
    assert (make_reference(x, two, (1, 1, 1), None, chosen(2)) == 2).all()
    both = make_reference(x, {0: one, 1: two}, (1, 1, 1), None, Chosen(torch.tensor([1, 0])))
    assert both[:, 0, 0, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("noise", "reference must be 'blur', 'zero', 'mean', an array"),
        (np.zeros((3, 3, 3)), r"shape \(3, 3, 3\), the volume \(7, 8, 9\)"),
        (np.full(SHAPE, np.nan), "NaN or infinite"),
        ({0: np.zeros(SHAPE)}, "none for target class 1"),
    ],
)
def test_references_that_do_not_fit(reference: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], NAME, 1, reference=reference)


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 0, -2), (-3, 2, 1), (7, -8, 9)])
def test_shift_repeats_the_border(shift: tuple[int, int, int]) -> None:
    x = batch(volumes(2))
    wanted = np.stack([ndimage.shift(v[0], shift, order=0, mode="nearest") for v in x.numpy()])
    assert np.array_equal(shifted(x, shift)[:, 0], wanted)


def test_roughness_by_loops() -> None:
    mask = torch.rand(2, 3, 4, 2, dtype=torch.float64)
    total = np.zeros(2)
    for n, i, j, k in np.ndindex(2, 3, 4, 2):
        for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            other = (n, i + step[0], j + step[1], k + step[2])
            if all(o < s for o, s in zip(other, mask.shape, strict=True)):
                total[n] += abs(float(mask[n, i, j, k] - mask[other])) ** 3
    assert np.allclose(roughness(mask, 3), total / 24)


@pytest.mark.parametrize("l1", [2.0, 4.0])
def test_on_a_linear_network_a_cell_goes_if_it_is_worth_its_price(l1: float) -> None:
    """The floor is out of reach at these prices, so each cell is decided by itself."""
    weights = np.random.default_rng(2).uniform(0, 1, SHAPE) ** 4
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.diag([2, 3, 4, 1.0])))
    made = explain(
        Linear(weights),
        item,
        NAME,
        lambda z: z[:, 1],
        reference=np.full(SHAPE, 0.5, np.float32),
        **{"objective.l1": l1, "optimiser.iterations": 60},
        engine=EXACT,
        **PLAIN,
    )
    # Of the class term, 1 for the whole image, a cell is worth its part of the weights.
    worth = weights / weights.sum()
    price = l1 / weights.size
    deleted = worth > price
    sure = np.abs(worth / price - 1) > 0.05
    assert 10 < deleted.sum() < weights.size // 2
    assert np.array_equal(made.values[sure] > 0.5, deleted[sure])


def test_the_cost_falls_and_the_kept_mask_is_the_best_by_the_whole_cost() -> None:
    model, items = paper_like(), volumes(6)
    objective = ObjectiveOptions(l1=0.3, tv=0.5)
    method = MeaningfulPerturbation(objective=objective, cell=2, units="voxel", blur=3, mask_blur=1)
    x = batch(items)
    with probe(model) as p:
        made = method.attribute(p, x, Target((1,) * 6), 0)
        with torch.no_grad():
            logits = p.logits(x)
            reference = make_reference(x, "blur", (3, 3, 3), None, made.chosen)
            objective = DeletionObjective(made.chosen, logits, p.logits(reference), "margin", 0.05)
            keep = 1 - made.values[:, None]
            perturbed = made.chosen.score(p.logits(keep * x + (1 - keep) * reference), "margin")
        rows = torch.arange(6)
        fallen = objective.cost(perturbed[None], rows)
    assert bool(objective.attainable.any())
    for sample in torch.nonzero(objective.attainable)[:, 0].tolist():
        notes = [note.text for note in made.notes[sample]]
        assert notes[2] == f"p(perturbed) = {float(torch.sigmoid(perturbed[sample])):.3g}"
        # The mask that keeps all costs 1, and the price of the found one comes on top.
        assert float(fallen[sample]) < 0.9


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_passes_are_few_and_told() -> None:
    model = Counted(paper_like())
    made = explain(model, volumes(5), NAME, engine=EXACT, objective={"l1": 0.5})
    told = [int(note.split()[0]) for m in made for note in m.provenance.notes if "passes" in note]
    assert len(told) == 5
    assert sum(told) == model.samples
    assert max(told) <= 42 <= 100
    assert min(told) < 42


def test_the_papers_preset() -> None:
    paper = MeaningfulPerturbation.paper()
    made = MeaningfulPerturbation.with_options(
        {"preset": "paper", "optimiser": {"iterations": 3, "best_after": 1}}
    )
    assert isinstance(made, MeaningfulPerturbation)
    assert isinstance(paper, MeaningfulPerturbation)
    steps = paper.optimiser
    assert (steps.iterations, steps.lr, paper.jitter.passes) == (300, 0.3, 10)
    assert (paper.objective.tau, paper.objective.loss) == (0.05, "probability")
    assert (made.optimiser.iterations, made.optimiser.lr, made.jitter.passes) == (3, 0.3, 10)
    assert made.objective == paper.objective
    model = Counted(paper_like())
    item = volumes(4)[3]
    few = {"iterations": 3, "best_after": 1}
    options = {"preset": "paper", "optimiser": few, "objective.ramp": 1}
    result = explain(model, item, NAME, 1, engine=EXACT, **options)
    assert model.samples == 2 + 3 * 10
    assert result.provenance.options["objective"]["tv_beta"] == 7
    with pytest.raises(InputError, match="preset must be 'paper' or 'paper-quick'; 'kan'"):
        explain(model, item, NAME, 1, preset="kan")


def test_a_reference_that_deletes_nothing_is_told() -> None:
    weights = np.zeros(SHAPE)
    weights[3, 4, 5] = 10
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.eye(4)), "7")
    weak = np.full(SHAPE, 0.9, np.float32)
    with pytest.warns(VoxplainWarning, match="Subject 7: .* ill-posed"):
        made = explain(Linear(weights), item, NAME, reference=weak, engine=EXACT, **PLAIN)
    assert made.provenance.notes[:2] == ("p(image) = 1", "p(reference) = 1")
    assert made.provenance.options["reference"].startswith("array (7, 8, 9), sha256 ")
    strong = np.full(SHAPE, -1, np.float32)
    made = explain(Linear(weights), item, NAME, reference=strong, engine=EXACT, **PLAIN)
    assert made.values[3, 4, 5] > 0.5
    assert np.count_nonzero(made.values) == 1


def test_an_unseen_target_has_nothing_to_delete() -> None:
    item = Volume(np.ones(SHAPE), Grid(SHAPE, np.eye(4)), "7")
    with pytest.warns(VoxplainWarning, match="nothing to delete"):
        made = explain(
            Linear(np.ones(SHAPE)), item, NAME, 0, engine=EXACT, objective={"loss": "probability"}
        )
    assert not made.values.any()
    assert made.provenance.notes[4] == "2 forward passes"


def test_lengths_are_in_mm() -> None:
    """The same array on voxels twice as large is blurred half as far, in voxels."""
    model, item = paper_like(), volumes(4)[3]
    small = Volume(item.values, Grid(SHAPE, np.diag([4, 5, 6, 1.0])), "a")
    large = Volume(item.values, Grid(SHAPE, np.diag([8, 10, 12, 1.0])), "b")
    options = {"objective": {"l1": 0.1, "tv": 0.0}}
    a = explain(model, small, NAME, 1, engine=EXACT, blur=5, cell=8, mask_blur=3, **options)
    b = explain(model, large, NAME, 1, engine=EXACT, blur=10, cell=16, mask_blur=6, **options)
    c = explain(model, large, NAME, 1, engine=EXACT, blur=5, cell=8, mask_blur=3, **options)
    assert a.values.any()
    assert np.allclose(a.values, b.values, atol=1e-5)
    assert not np.allclose(a.values, c.values, atol=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective.loss": "hinge"}, "loss must be"),
        ({"units": "cm"}, "units must be"),
        ({"jitter.moves": "mask"}, "moves must be 'both' or 'image'"),
        ({"optimiser.betas": (0.9, 1.0)}, "betas must be two numbers from 0 to below 1"),
        ({"sharing.refine": 0}, "refine must be above 0"),
        ({"objective.tau": 1.0}, "tau must lie between 0 and 1"),
        ({"optimiser.iterations": 0}, "iterations must be above 0"),
        ({"blur": -1}, "blur must not be negative"),
        ({"optimiser.best_after": 40}, "best_after must be below the 40 iterations"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], NAME, **options)


def test_a_callable_has_no_probability() -> None:
    with pytest.raises(InputError, match="callable target has no probability"):
        explain(
            paper_like(),
            volumes(1)[0],
            NAME,
            lambda z: z[:, 0],
            **{"objective.loss": "probability"},
        )


def test_adam_by_loops() -> None:
    rng = np.random.default_rng(4)
    slopes = rng.normal(size=(6, 2, 3))
    value = torch.zeros(2, 3, dtype=torch.float64)
    adam = Adam(value, betas=(0.7, 0.9))
    for slope in slopes:
        value = adam.step(value, torch.as_tensor(slope), 0.1)
    for place in np.ndindex(2, 3):
        x = mean = square = largest = 0.0
        for number, slope in enumerate(slopes[(slice(None), *place)], start=1):
            mean = 0.7 * mean + 0.3 * slope
            square = 0.9 * square + 0.1 * slope**2
            largest = max(largest, square)
            x -= 0.1 * (mean / (1 - 0.7**number)) / (largest / (1 - 0.9**number)) ** 0.5
        assert float(value[place]) == pytest.approx(x, abs=1e-6)


def test_the_last_part_of_a_schedule_is_as_it_was() -> None:
    shifts = np.arange(60).reshape(10, 2, 3)
    whole = Schedule(shifts, lr=0.3, lr_factor=0.5, lr_every=3, ramp=8, best_after=9)
    part = whole.last(4)
    assert np.array_equal(part.shifts, shifts[6:])
    assert part.best_after == 3
    assert [part.rate(i) for i in range(4)] == [whole.rate(i) for i in range(6, 10)]
    assert [part.weight(i) for i in range(4)] == [whole.weight(i) for i in range(6, 10)]
    assert np.array_equal(whole.last(99).shifts, shifts)


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_what_moves_when_the_image_alone_does() -> None:
    """One iteration at the start: the slope is that of the shifted image behind the still mask."""
    model, x = paper_like(), batch(volumes(4)[3:])
    jitter = JitterOptions(moves="image", voxels=1)
    method = MeaningfulPerturbation(jitter=jitter, cell=2, units="voxel", mask_blur=0)
    with probe(model) as p:
        search, board = method._open(p, x, Target((1,)), 0)
        assert search.schedule.shifts.min() == 0
        assert search.schedule.shifts.max() == 2
        mask = torch.rand(1, *search.grid.shape)
        rows, shift = torch.tensor([0]), np.array([[1, 0, 2]])
        slope, scores = search.class_term(mask, board, rows, shift)
        leaf = mask.clone().requires_grad_()
        image, blank = torch.zeros_like(x), torch.zeros_like(x)
        image[:, :, 1:, :, 2:] = x[:, :, :-1, :, :-2]
        blank[:, :, 1:, :, 2:] = board.reference[:, :, :-1, :, :-2]
        keep = search.grid.to_voxels(leaf)[:, None]
        score = p.logits(keep * image + (1 - keep) * blank).diff(dim=1)[:, 0]
        cost = board.objective.cost(score[None], rows)
        (wanted,) = torch.autograd.grad(cost.sum(), leaf)
    assert torch.allclose(scores[0], score.detach(), atol=1e-5)
    assert wanted.any()
    assert torch.allclose(slope, wanted, atol=1e-5 * float(wanted.abs().max()) + 1e-9)


@pytest.mark.parametrize(("iterations", "jitters"), [(48, 1), (6, 10), (7, 3)])
def test_even_shifts_take_every_value_once_in_a_row(iterations: int, jitters: int) -> None:
    shape = (iterations, jitters, 3)
    shifts = drawn_shifts(shape, 2, True, seed=3)
    assert shifts.shape == shape
    passes = shifts.reshape(-1, 3)
    for stop in range(len(passes), 4, -5):
        for axis in range(3):
            assert sorted(passes[stop - 5 : stop, axis]) == [-2, -1, 0, 1, 2]
    assert np.array_equal(shifts, drawn_shifts(shape, 2, True, seed=3))
    assert not np.array_equal(shifts, drawn_shifts(shape, 2, True, seed=4))
    assert (
        np.abs(np.corrcoef(drawn_shifts((500, 1, 3), 2, True, 0)[:, 0].T) - np.eye(3)).max() < 0.1
    )
    assert not drawn_shifts(shape, 0, True, seed=0).any()
    loose = drawn_shifts((4000, 1, 3), 2, False, seed=0)
    assert np.bincount(loose.ravel() + 2).min() > 2200
