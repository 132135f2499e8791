"""The published perturbation loop of Kan et al. 2020, re-enacted, and its own measures.

Written from a description of the settings; the published code has no licence and is not here.
Readings of what the description leaves open:

- The blur is a Gaussian of sigma 10 voxels, centred in a window of 5, as one `conv3d` with zero
  padding. The padding darkens the outer two voxels of an image, and of a mask as well, so that
  even a mask of ones deletes a little at the box's border.
- In each pass the image is shifted first, by 0 to 4 voxels along each axis with zeros coming in,
  and then blurred; the mask stays where it is.
- The mask on the voxels is the coarse mask, interpolated trilinearly (``align_corners=False``),
  then blurred. TV_7 is taken on the coarse mask: the sum over the axes of
  ``|difference| ** 7``, divided by the number of cells.
- One Adam step is made on the mean of the ten passes; then the mask is clipped to 0 to 1.
- The best mask is the one of least loss, prices as ramped, from iteration 50 on.

`benchmarks.perturbation` runs it beside voxplain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

SIGMA, WINDOW, CELL, LARGEST_SHIFT = 10.0, 5, 4, 4
TAU, L1, TV, BETA = 0.05, 3.0, 1.0, 7.0
RATE, DECAY, DECAY_EVERY, RAMP, BEST_AFTER = 0.3, 0.1, 30, 60, 50
HELD_OUT_SEED = 20_200_615


@dataclass(frozen=True, eq=False)
class LoopResult:
    """What the loop found.

    Parameters
    ----------
    mask : tensor (x, y, z)
        Coarse keep-mask of least loss.
    seconds : float
        Per iteration.
    passes : int
        Forward passes; each had a backward pass.
    """

    mask: torch.Tensor
    seconds: float
    passes: int


def draw_shifts(count: int, seed: int) -> NDArray[np.int64]:
    """Draw shifts of 0 to 4 voxels along each axis, array (count, 3)."""
    return np.random.default_rng(seed).integers(0, LARGEST_SHIFT, (count, 3), endpoint=True)


def held_out_shifts(count: int = 25) -> NDArray[np.int64]:
    """Draw the shifts that judge masks; no optimisation is to see them."""
    return draw_shifts(count, HELD_OUT_SEED)


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Blur as the loop does, tensor (N, 1, X, Y, Z)."""
    place = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    axis = torch.exp(-0.5 * (place / SIGMA) ** 2)
    kernel = torch.einsum("i,j,k->ijk", axis, axis, axis)
    return functional.conv3d(x, (kernel / kernel.sum())[None, None], padding=WINDOW // 2)


def moved(x: torch.Tensor, shift: NDArray[np.int64]) -> torch.Tensor:
    """Shift an image towards higher indices; zeros come in."""
    a, b, c = (int(s) for s in shift)
    nx, ny, nz = x.shape[2:]
    return functional.pad(x, (c, 0, b, 0, a, 0))[:, :, :nx, :ny, :nz]


def on_voxels(mask: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Bring a coarse mask to the voxels as the loss sees it, tensor (1, 1, X, Y, Z)."""
    wide = functional.interpolate(
        mask[None, None], x.shape[2:], mode="trilinear", align_corners=False
    )
    return blurred(wide)


def probability(
    network: nn.Module, x: torch.Tensor, target: int, keep: torch.Tensor, shift: NDArray[np.int64]
) -> torch.Tensor:
    """Probability of the target behind a mask on the voxels, in one shifted pass; a scalar."""
    image = moved(x, shift)
    return network(keep * image + (1 - keep) * blurred(image)).softmax(1)[0, target]


def price(mask: torch.Tensor) -> torch.Tensor:
    """What a coarse mask costs beside its class term; a scalar."""
    rough = sum(mask.diff(dim=axis).abs().pow(BETA).sum() for axis in range(3)) / mask.numel()
    return L1 * (1 - mask).abs().mean() + TV * rough


def run_loop(
    network: nn.Module,
    x: torch.Tensor,
    target: int,
    iterations: int = 300,
    jitters: int = 10,
    seed: int = 0,
) -> LoopResult:
    """Run the published loop on one image.

    Parameters
    ----------
    network : torch.nn.Module
        In eval mode, from (1, 1, X, Y, Z) to logits (1, K).
    x : tensor (1, 1, X, Y, Z)
    target : int
    iterations, jitters : int
        300 and 10 as published.
    seed : int
        Of the shifts.

    Returns
    -------
    LoopResult
    """
    shifts = draw_shifts(iterations * jitters, seed).reshape(iterations, jitters, 3)
    mask = x.new_ones([n // CELL for n in x.shape[2:]]).requires_grad_()
    adam = torch.optim.Adam([mask], lr=RATE, betas=(0.9, 0.99), amsgrad=True)
    decay = torch.optim.lr_scheduler.StepLR(adam, DECAY_EVERY, DECAY)
    best, least = mask.detach().clone(), np.inf
    began = time.perf_counter()
    for step in range(iterations):
        adam.zero_grad()
        ramped = min(1.0, step / RAMP) * price(mask)
        ramped.backward()
        loss = float(ramped.detach())
        for shift in shifts[step]:
            p = probability(network, x, target, on_voxels(mask, x), shift)
            term = functional.relu(p - TAU) / jitters
            term.backward()
            loss += float(term.detach())
        if (step >= min(BEST_AFTER, iterations - 1)) and loss < least:
            best, least = mask.detach().clone(), loss
        adam.step()
        decay.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    return LoopResult(best, (time.perf_counter() - began) / iterations, iterations * jitters)


def run_loops(
    network: nn.Module,
    x: torch.Tensor,
    targets: Sequence[int],
    iterations: int = 300,
    jitters: int = 10,
    seed: int = 0,
    on_iteration: Callable[[int], None] = lambda done: None,
) -> torch.Tensor:
    """Find the masks of `run_loop` for several images, with the same arithmetic for each.

    All images go through the network together, and the blur is one matrix product per axis. For
    time, `run_loop` is the published loop; this is for its masks.

    Parameters
    ----------
    network : torch.nn.Module
    x : tensor (N, 1, X, Y, Z)
    targets : sequence of N ints
    iterations, jitters, seed : int
        See `run_loop`.
    on_iteration : callable
        Takes the number of iterations done.

    Returns
    -------
    tensor (N, x, y, z)
    """
    shifts = draw_shifts(iterations * jitters, seed).reshape(iterations, jitters, 3)
    cells = [n // CELL for n in x.shape[2:]]
    blur = [_blur_matrix(n).to(x) for n in x.shape[2:]]
    wide = [
        b @ _linear_matrix(c, n).to(x) for b, c, n in zip(blur, cells, x.shape[2:], strict=True)
    ]
    # Adam works cell by cell, so that many masks in one tensor do not mix.
    mask = x.new_ones((len(x), *cells)).requires_grad_()
    adam = torch.optim.Adam([mask], lr=RATE, betas=(0.9, 0.99), amsgrad=True)
    decay = torch.optim.lr_scheduler.StepLR(adam, DECAY_EVERY, DECAY)
    best, least = mask.detach().clone(), x.new_full((len(x),), torch.inf)
    rows = torch.arange(len(x))
    for step in range(iterations):
        adam.zero_grad()
        loss = min(1.0, step / RAMP) * torch.stack([price(one) for one in mask])
        loss.sum().backward()
        loss = loss.detach()
        for shift in shifts[step]:
            image = moved(x, shift)
            keep = torch.einsum("nijk,ai,bj,ck->nabc", mask, *wide)[:, None]
            blank = torch.einsum("nmijk,ai,bj,ck->nmabc", image, *blur)
            p = network(keep * image + (1 - keep) * blank).softmax(1)[rows, list(targets)]
            terms = functional.relu(p - TAU) / jitters
            terms.sum().backward()
            loss = loss + terms.detach()
        if step >= min(BEST_AFTER, iterations - 1):
            better = loss < least
            best[better], least[better] = mask.detach()[better], loss[better]
        adam.step()
        decay.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
        on_iteration(step + 1)
    return best


def _blur_matrix(size: int) -> torch.Tensor:
    place = torch.arange(size, dtype=torch.float64)
    distance = (place[:, None] - place[None, :]).abs()
    axis = torch.exp(
        -0.5 * ((torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2) / SIGMA) ** 2
    )
    kernel = torch.exp(-0.5 * (distance / SIGMA) ** 2) * (distance <= WINDOW // 2)
    return kernel / axis.sum()


def _linear_matrix(cells: int, size: int) -> torch.Tensor:
    eye = torch.eye(cells, dtype=torch.float64)[None]
    return functional.interpolate(eye, size, mode="linear", align_corners=False)[0].T


def paper_objective(
    network: nn.Module,
    x: torch.Tensor,
    target: int,
    mask: torch.Tensor,
    shifts: NDArray[np.int64] | None = None,
) -> float:
    """Score a coarse keep-mask by the published loss, at its full prices.

    Parameters
    ----------
    network : torch.nn.Module
    x : tensor (1, 1, X, Y, Z)
    target : int
    mask : tensor (x, y, z)
        As many cells as the loop has.
    shifts : array (count, 3), voxels, optional
        By default 25 that no optimisation has seen.

    Returns
    -------
    float
    """
    shifts = held_out_shifts() if shifts is None else shifts
    with torch.no_grad():
        keep = on_voxels(mask, x)
        terms = [
            float(functional.relu(probability(network, x, target, keep, shift) - TAU))
            for shift in shifts
        ]
        return float(np.mean(terms)) + float(price(mask))


def curve_areas(
    network: nn.Module, x: torch.Tensor, target: int, mask: torch.Tensor, steps: int = 20
) -> tuple[float, float]:
    """Measure areas under the deletion and insertion curves of a coarse keep-mask.

    Voxels are ranked by ``1 - mask`` on the voxels, ties by their place in memory, and replaced by
    the blurred image (deletion), or put back into it (insertion), in equal steps.

    Returns
    -------
    deletion, insertion : float
        Trapezoidal areas of the probability over the share of voxels, 0 to 1.
    """
    with torch.no_grad():
        order = on_voxels(mask, x).flatten().argsort(stable=True)
        blank = blurred(x)
        areas = []
        for before, after in ((x, blank), (blank, x)):
            curve = []
            for step in range(steps + 1):
                made = before.clone().flatten()
                part = order[: round(step * len(order) / steps)]
                made[part] = after.flatten()[part]
                curve.append(float(network(made.view_as(x)).softmax(1)[0, target]))
            areas.append(float(np.trapezoid(curve, dx=1 / steps)))
    return areas[0], areas[1]
