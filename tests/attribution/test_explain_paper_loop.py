"""The re-enacted loop of the paper, whose figures the benchmark reports."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import kan2020_loop as loop
from benchmarks.perturbation import coarse_mask
from voxplain.attribution import Engine
from voxplain.attribution.run import explain
from voxplain.grid import Grid
from voxplain.volume import Volume

SHAPE = (12, 13, 17)


class Texture(nn.Module):
    """Class 1 is what is rough."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        local = nn.functional.avg_pool3d(x, 3, stride=1, padding=1)
        one = 0.15 * (x - local).square().sum((1, 2, 3, 4)) - 4
        return torch.stack([torch.zeros_like(one), one], 1)


NETWORK = Texture()


def image(shape: tuple[int, int, int] = (16, 16, 20)) -> torch.Tensor:
    """Black, with a rough spot that a blur takes away."""
    x = np.zeros(shape)
    x[4:8, 4:8, 4:8] = np.random.default_rng(0).choice([-1, 1], size=(4, 4, 4))
    return torch.as_tensor(x)[None, None]


def blurred_by_loops(x: np.ndarray) -> np.ndarray:
    place = np.arange(5) - 2
    axis = np.exp(-0.5 * (place / 10) ** 2)
    axis /= axis.sum()
    out = np.zeros_like(x)
    for a, b, c in np.ndindex(*x.shape):
        for i, j, k in np.ndindex(5, 5, 5):
            p, q, r = a + i - 2, b + j - 2, c + k - 2
            if 0 <= p < x.shape[0] and 0 <= q < x.shape[1] and 0 <= r < x.shape[2]:
                out[a, b, c] += axis[i] * axis[j] * axis[k] * x[p, q, r]
    return out


def test_blur_by_loops() -> None:
    x = torch.rand(1, 1, 7, 6, 8, dtype=torch.float64)
    assert np.allclose(loop.blurred(x)[0, 0], blurred_by_loops(x[0, 0].numpy()))


def test_the_image_moves_and_zeros_come_in() -> None:
    x = image()
    made = loop.moved(x, np.array([1, 0, 3]))
    assert made.any()
    assert torch.equal(made[:, :, 1:, :, 3:], x[:, :, :-1, :, :-3])
    assert not made[:, :, 0].any()
    assert not made[..., :3].any()
    shifts = loop.draw_shifts(200, 3)
    assert shifts.min() == 0
    assert shifts.max() == 4
    assert not np.array_equal(loop.held_out_shifts(), loop.draw_shifts(25, 0))


def test_objective_term_by_term() -> None:
    x, network = image(SHAPE), NETWORK
    mask = torch.as_tensor(np.random.default_rng(1).uniform(size=(3, 3, 4)))
    shifts = np.array([[0, 2, 4], [1, 0, 0]])
    wide = nn.functional.interpolate(mask[None, None], SHAPE, mode="trilinear")
    keep = blurred_by_loops(wide[0, 0].numpy())
    terms = []
    for a, b, c in shifts:
        shifted = np.zeros(SHAPE)
        shifted[a:, b:, c:] = x[0, 0, : SHAPE[0] - a, : SHAPE[1] - b, : SHAPE[2] - c]
        made = keep * shifted + (1 - keep) * blurred_by_loops(shifted)
        logit = float(network(torch.as_tensor(made)[None, None])[0, 1])
        terms.append(max(1 / (1 + np.exp(-logit)) - 0.05, 0))
    rough = sum((np.abs(np.diff(mask.numpy(), axis=k)) ** 7).sum() for k in range(3)) / 36
    wanted = np.mean(terms) + 3 * (1 - mask.numpy()).mean() + rough
    assert loop.paper_objective(network, x, 1, mask, shifts) == pytest.approx(wanted)


@pytest.fixture(scope="module")
def found() -> loop.LoopResult:
    return loop.run_loop(NETWORK, image(), 1, iterations=65, jitters=1, seed=4)


def test_the_loop_lowers_its_objective(found: loop.LoopResult) -> None:
    x = image()
    assert found.mask.shape == (4, 4, 5)
    assert found.passes == 65
    assert found.seconds > 0
    before = loop.paper_objective(NETWORK, x, 1, torch.ones_like(found.mask))
    assert loop.paper_objective(NETWORK, x, 1, found.mask) < before - 0.05
    once, again = (loop.run_loop(NETWORK, x, 1, 3, 1, seed=4).mask for _ in range(2))
    assert torch.equal(once, again)


def test_areas_under_the_curves(found: loop.LoopResult) -> None:
    class Constant(nn.Module):
        def forward(self, v: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(v), 2).double()

    x = image()
    assert loop.curve_areas(Constant(), x, 1, found.mask, 3) == pytest.approx((0.5, 0.5))
    deletion, insertion = loop.curve_areas(NETWORK, x, 1, found.mask)
    worse = loop.curve_areas(NETWORK, x, 1, 1 - found.mask)
    assert deletion < worse[0]
    assert insertion > worse[1]


def test_a_map_of_the_preset_leads_back_to_its_cells() -> None:
    x, network = image().float(), NETWORK
    volume = Volume(x[0, 0].numpy(), Grid(x.shape[2:], np.diag([3, 3, 3, 1.0])))
    start = np.random.default_rng(2).uniform(size=(4, 4, 5)).astype(np.float32)
    options = {"preset": "paper-quick", "start": start, "sharing": {"refine": 1}}
    made = explain(network, volume, "meaningful-perturbation", 1, engine=Engine("cpu"), **options)
    assert made.values.any()
    assert np.allclose(coarse_mask(made), start, atol=1e-4)


def test_the_quick_preset_reaches_the_objective_of_the_loop(found: loop.LoopResult) -> None:
    x = image()
    volume = Volume(x[0, 0].numpy(), Grid(x.shape[2:], np.diag([3, 3, 3, 1.0])))
    made = explain(
        NETWORK, volume, "meaningful-perturbation", 1, engine=Engine("cpu"), preset="paper-quick"
    )
    assert "86 forward passes" in made.provenance.notes
    ours = loop.paper_objective(NETWORK, x, 1, coarse_mask(made).double())
    theirs = loop.paper_objective(NETWORK, x, 1, found.mask)
    assert ours < theirs + 0.02


def test_many_images_at_once_get_the_loops_own_masks() -> None:
    x = torch.cat([image(), 0.9 * image().flip(2)])
    together = loop.run_loops(NETWORK, x, [1, 1], iterations=53, jitters=2, seed=3)
    for one, mask in zip(x, together, strict=True):
        alone = loop.run_loop(NETWORK, one[None], 1, iterations=53, jitters=2, seed=3).mask
        assert alone.min() < 0.9
        assert torch.allclose(mask, alone, atol=1e-9)
