"""Input times gradient and integrated gradients against slower derivations."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from explain_hand import relative
from explain_nets import EXACT, OBLIQUE, SHAPE, Linear, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import METHODS, Target, probe
from voxplain.attribution.methods.reference import gaussian_matrix
from voxplain.attribution.run import explain
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

WEIGHTS = np.random.default_rng(1).normal(size=SHAPE)


def margin_gradient(model: nn.Module, x: torch.Tensor, target: int) -> np.ndarray:
    """Slope of the log-odds, by one backward pass a class."""
    leaf = x.clone().requires_grad_()
    logits = model(leaf)[0]
    rows = [torch.autograd.grad(z, leaf, retain_graph=True)[0][0, 0].numpy() for z in logits]
    others = [i for i in range(len(rows)) if i != target]
    shares = np.exp([logits[i].item() for i in others])
    shares /= shares.sum()
    return rows[target] - sum(s * rows[i] for s, i in zip(shares, others, strict=True))


@pytest.mark.parametrize("score", ["margin", "logit"])
def test_input_x_gradient_is_exact_on_a_linear_network(score: str) -> None:
    items = volumes(3)
    made = explain(Linear(WEIGHTS), items, "input-x-gradient", 1, score=score, engine=EXACT)
    for item, one in zip(items, made, strict=True):
        assert relative(one.values, item.values * WEIGHTS.astype(np.float32)) < 1e-6
    assert made[0].provenance.target.startswith(f"logit{' margin' * (score == 'margin')} of")


def test_input_x_gradient_is_the_intensity_times_the_slope() -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    wanted = item.values * margin_gradient(model, batch([item]).double(), 2)
    made = explain(model, item, "input-x-gradient", 2, engine=EXACT).values
    assert relative(made, wanted) < 1e-6


@pytest.mark.parametrize("name", ["input-x-gradient", "integrated-gradients"])
def test_another_score_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="score must be 'margin' or 'logit'; 'softmax' was given"):
        explain(paper_like(), volumes(1)[0], name, score="softmax")


def gaussian_by_hand(values: np.ndarray, sigma: list[float]) -> np.ndarray:
    for axis, width in enumerate(sigma):
        place = np.arange(values.shape[axis])
        kernel = np.exp(-0.5 * ((place[:, None] - place) / max(width, 1e-9)) ** 2)
        kernel /= kernel.sum(1, keepdims=True)
        values = np.moveaxis(np.tensordot(kernel, values, (1, axis)), 0, axis)
    return values


def widths(mm: float) -> list[float]:
    return [mm / size for size in np.linalg.norm(OBLIQUE[:3, :3], axis=0)]


@pytest.mark.parametrize("path", ["straight", "blur"])
@pytest.mark.parametrize("steps", [1, 7])
def test_integrated_gradients_of_a_linear_network(path: str, steps: int) -> None:
    """Exact in every voxel: weight times the voxel's change from the reference."""
    items = volumes(3)
    options = {"path": path, "reference": "blur", "blur": 9.0, "steps": steps}
    made = explain(
        Linear(WEIGHTS, 0.5), items, "integrated-gradients", [1, 0, 1], engine=EXACT, **options
    )
    for item, one, sign in zip(items, made, (1, -1, 1), strict=True):
        change = item.values - gaussian_by_hand(item.values.astype(np.float64), widths(9.0))
        assert relative(one.values, sign * WEIGHTS * change) < 1e-5
        assert one.provenance.notes[1].endswith("gap 0.0 %")


@pytest.mark.parametrize("path", ["straight", "blur"])
@pytest.mark.parametrize("target", [0, 2])
def test_integrated_gradients_by_a_loop_in_float64(path: str, target: int) -> None:
    model, item = paper_like(3).double(), volumes(1)[0]
    x = item.values.astype(np.float64)
    steps, mm = 6, 9.0

    def along(share: float) -> np.ndarray:
        if path == "straight":
            return share * x
        return gaussian_by_hand(x, widths(mm * (1 - share)))

    wanted = np.zeros(SHAPE)
    for i in range(steps):
        middle = torch.as_tensor(along((i + 0.5) / steps))[None, None]
        piece = along((i + 1) / steps) - along(i / steps)
        wanted += margin_gradient(model, middle, target) * piece
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VoxplainWarning)
        made = explain(
            model, item, "integrated-gradients", target,
            path=path, blur=mm, steps=steps, engine=EXACT,
        )  # fmt: skip
    assert relative(made.values, wanted) < 1e-6


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
@pytest.mark.parametrize("options", [{}, {"path": "blur"}, {"reference": "mean"}])
def test_integrated_gradients_add_up(options: dict[str, str]) -> None:
    """The gap closes with the number of steps, and the notes tell it."""
    assert METHODS["integrated-gradients"].info.complete
    model, items = paper_like().double(), volumes(4)
    x = batch(items).double().numpy()
    start = {
        "path": np.stack([gaussian_by_hand(v[0], widths(10.0)) for v in x])[:, None],
        "reference": x.mean((2, 3, 4), keepdims=True) + 0 * x,
    }.get(next(iter(options), ""), 0 * x)
    with torch.no_grad():
        ends = [model(torch.as_tensor(z)).numpy() for z in (x, start)]
    gained, low = (z[:, 1] - z[:, 0] for z in (ends[0] - ends[1], ends[1]))
    gaps = []
    for steps in (8, 64, 512):
        made = explain(
            model, items, "integrated-gradients", 1, steps=steps, engine=EXACT, **options
        )
        sums = np.array([m.values.sum(dtype=np.float64) for m in made])
        gaps.append(np.abs(sums - gained).mean() / np.abs(gained).mean())
        for one, total, wanted, margin in zip(made, sums, gained, low, strict=True):
            assert one.provenance.notes[0] == f"p(reference) = {1 / (1 + np.exp(-margin)):.3g}"
            gap = 100 * abs(total - wanted) / abs(wanted)
            told = re.fullmatch(
                r"sum of the map (\S+), f\(x\) - f\(reference\) (\S+), gap (\S+) %(; .*)?",
                one.provenance.notes[1],
            )
            assert told
            assert float(told[1]) == pytest.approx(total, rel=1e-3)
            assert float(told[2]) == pytest.approx(wanted, rel=1e-3)
            assert float(told[3]) == pytest.approx(gap, abs=0.06)
            assert bool(told[4]) == (gap > 5)
    assert gaps[2] < 0.005
    assert gaps[0] > gaps[1] > gaps[2]


def test_a_large_gap_is_a_warning() -> None:
    model, item = paper_like(), volumes(1)[0]
    with pytest.warns(VoxplainWarning, match=r"Subject 00: .*gap [0-9.]+ %; take more steps"):
        explain(model, item, "integrated-gradients", 1, steps=1, engine=EXACT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(model, item, "integrated-gradients", 1, steps=256, engine=EXACT)


def test_midpoints_leave_a_smaller_gap_than_gauss_legendre() -> None:
    """Why: a ReLU network's slope jumps along the path, so a high order buys nothing."""
    x = batch(volumes(8)).double()
    nodes, shares = np.polynomial.legendre.leggauss(32)
    rules = {
        "midpoint": ((np.arange(32) + 0.5) / 32, np.full(32, 1 / 32)),
        "Gauss-Legendre": ((nodes + 1) / 2, shares / 2),
    }
    gaps = dict.fromkeys(rules, 0.0)
    for seed in range(3):
        with probe(paper_like(seed=seed).double()) as p:
            score = p.logits(x).diff()[:, 0] - p.logits(0 * x).diff()[:, 0]
            for rule, (places, weights) in rules.items():
                mean = sum(
                    w * p.input_gradient(at * x, Target((1,) * 8), "margin")[0]
                    for at, w in zip(places, weights, strict=True)
                )
                gap = ((mean * x).sum((1, 2, 3, 4)) - score).abs().mean() / score.abs().mean()
                gaps[rule] += float(gap) / 3
    assert gaps["midpoint"] < gaps["Gauss-Legendre"]


def test_the_straight_path_starts_at_any_reference() -> None:
    items = volumes(2)
    array = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    model = Linear(WEIGHTS)
    for reference in (array, {0: array, 1: -array}):
        made = explain(
            model, items, "integrated-gradients", [1, 0], reference=reference, engine=EXACT
        )
        for item, one, target in zip(items, made, (1, 0), strict=True):
            sign = 2 * target - 1
            start = array if reference is array else -sign * array
            assert relative(one.values, sign * WEIGHTS * (item.values - start)) < 1e-5
    with pytest.raises(InputError, match="have none for target class 1; there are some for: 0"):
        explain(model, items[0], "integrated-gradients", 1, reference={0: array}, engine=EXACT)


def test_the_blur_path_is_measured_in_mm() -> None:
    item = volumes(1)[0]
    fine = Volume(item.values, Grid(SHAPE, np.diag([2, 2, 2, 1.0])))
    coarse = Volume(item.values, Grid(SHAPE, np.diag([4, 4, 4, 1.0])))
    model = Linear(WEIGHTS)
    a = explain(model, fine, "integrated-gradients", 1, path="blur", blur=6, engine=EXACT)
    b = explain(model, coarse, "integrated-gradients", 1, path="blur", blur=12, engine=EXACT)
    assert relative(a.values, b.values) < 1e-5
    same = explain(model, coarse, "integrated-gradients", 1, path="blur", blur=6, engine=EXACT)
    assert relative(same.values, b.values) > 0.1
    matrix = gaussian_matrix(7, 3.0).numpy()
    assert np.allclose(gaussian_by_hand(np.eye(7)[:, :, None], [3.0]), matrix[:, :, None])


def test_a_callable_target_has_a_score_and_no_probability() -> None:
    made = explain(
        paper_like(), volumes(1)[0], "integrated-gradients", lambda z: 3 * z[:, 1],
        steps=256, engine=EXACT,
    )  # fmt: skip
    with torch.no_grad():
        low = 3 * paper_like()(torch.zeros(1, 1, *SHAPE))[0, 1].item()
    assert made.provenance.notes[0] == f"score(reference) = {low:.3g}"


def test_the_references_probability_does_not_hang_on_the_score() -> None:
    told = [
        explain(
            paper_like(3), volumes(1)[0], "integrated-gradients", 1,
            score=score, steps=256, engine=EXACT,
        ).provenance.notes[0]
        for score in ("margin", "logit")
    ]  # fmt: skip
    with torch.no_grad():
        low = paper_like(3)(torch.zeros(1, 1, *SHAPE)).softmax(1)[0, 1].item()
    assert told == [f"p(reference) = {low:.3g}"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "curved"}, "path must be 'straight' or 'blur'; 'curved' was given"),
        ({"path": "blur", "reference": "mean"}, "starts at the blurred image, so it takes no"),
        ({"path": "blur", "reference": np.zeros(SHAPE)}, "so it takes no reference"),
        ({"reference": "black"}, "reference must be 'blur', 'zero', 'mean'.*'black' was given"),
        ({"blur": 0}, "blur must be above 0 mm; 0 was given"),
        ({"steps": 0}, "steps must be 1 or more; 0 was given"),
    ],
)
def test_paths_that_do_not_serve(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], "integrated-gradients", engine=EXACT, **options)
