"""Find deletion masks of least cost, many volumes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from voxplain.explain.perturb import MaskGrid, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxplain.explain.game import DeletionGame
    from voxplain.explain.probe import Probe

__all__ = ["Found", "MaskSearch", "Schedule", "roughness"]

_BETAS = (0.9, 0.99)
_EPSILON = 1e-8
_GAIN = 0.01


@dataclass(frozen=True, eq=False)
class Schedule:
    """How a mask is optimised; see the options of `MeaningfulPerturbation`.

    Parameters
    ----------
    shifts : array (iterations, jitters, 3), int, voxels
    l1, tv, tv_beta : float
    ramp : int
    lr, lr_factor : float
    lr_every, check_every, best_after, patience : int
    """

    shifts: NDArray[np.int64]
    l1: float
    tv: float
    tv_beta: float
    ramp: int
    lr: float
    lr_factor: float
    lr_every: int
    check_every: int
    best_after: int
    patience: int


@dataclass(frozen=True, eq=False)
class Found:
    """Best masks of a batch.

    Parameters
    ----------
    masks : tensor (N, *cells)
        1 keeps, 0 deletes.
    scores : tensor (N,)
        Log-odds of the target, or the callable's value, behind the mask.
    costs : tensor (N,)
        Whole cost of the mask.
    steps : tensor (N,), int64
        Iterations used.
    """

    masks: torch.Tensor
    scores: torch.Tensor
    costs: torch.Tensor
    steps: torch.Tensor


def roughness(mask: torch.Tensor, beta: float) -> torch.Tensor:
    """Total variation of masks with an exponent.

    Parameters
    ----------
    mask : tensor (N, X, Y, Z)
    beta : float

    Returns
    -------
    tensor (N,)
        Sum over the axes of ``|difference of neighbours| ** beta``, divided by the number of
        cells.
    """
    total = mask.new_zeros(len(mask))
    for axis in (1, 2, 3):
        total = total + mask.diff(dim=axis).abs().pow(beta).flatten(1).sum(1)
    return total / mask[0].numel()


@dataclass(frozen=True, eq=False)
class MaskSearch:
    """Projected Adam on the masks of a batch; each volume leaves when it gains no more.

    Parameters
    ----------
    probe : Probe
    grid : MaskGrid
    schedule : Schedule
    """

    probe: Probe
    grid: MaskGrid
    schedule: Schedule

    def run(self, x: torch.Tensor, reference: torch.Tensor, game: DeletionGame) -> Found:
        """Search the best mask of each volume.

        Parameters
        ----------
        x, reference : tensor (N, 1, X, Y, Z)
        game : DeletionGame

        Returns
        -------
        Found
            Where there is nothing to lose, the mask keeps all after no step.
        """
        plan, count = self.schedule, len(x)
        best = x.new_ones((count, *self.grid.shape))
        found = Found(
            best,
            game.full.clone(),
            game.full.new_full((count,), torch.inf),
            torch.zeros(count, dtype=torch.int64, device=x.device),
        )
        rows = torch.nonzero(game.playable)[:, 0]
        mask = best[rows].clone()
        adam = _Adam(mask)
        stale = torch.zeros_like(rows)
        iterations = len(plan.shifts)
        for step in range(iterations):
            if not len(rows):
                break
            check = step % plan.check_every == 0 or step == iterations - 1
            weight = min(1.0, step / plan.ramp) if plan.ramp else 1.0
            slope, score = self._class_term(mask, x[rows], reference[rows], game, rows, step, check)
            price, price_slope = self._price(mask)
            found.steps[rows] += 1
            keep = torch.ones_like(rows, dtype=torch.bool)
            if check and step >= plan.best_after:
                cost = game.cost(score, rows) + price
                gain = found.costs[rows] - cost
                better = rows[gain > 0]
                stale = torch.where(gain > _GAIN * cost.abs(), 0, stale + 1)
                found.masks[better] = mask[gain > 0]
                found.scores[better] = score[gain > 0]
                found.costs[better] = cost[gain > 0]
                if plan.patience:
                    keep = stale < plan.patience
            lr = plan.lr * plan.lr_factor ** (step // plan.lr_every)
            mask = adam.step(mask, slope + weight * price_slope, lr).clamp_(0, 1)
            if not bool(keep.all()):
                rows, mask, stale = rows[keep], mask[keep], stale[keep]
                adam.keep(keep)
            self.probe.report((step + 1) / iterations)
        return found

    def _class_term(
        self,
        mask: torch.Tensor,
        x: torch.Tensor,
        reference: torch.Tensor,
        game: DeletionGame,
        rows: torch.Tensor,
        step: int,
        check: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean slope of the class term over the jittered passes, and the first pass's score."""
        shifts = self.schedule.shifts[step].copy()
        if check:
            shifts[0] = 0
        slope = torch.zeros_like(mask)
        first = None
        for shift in shifts:
            leaf = mask.detach().requires_grad_()
            keep = self.grid.to_voxels(leaf)[:, None]
            composed = shifted(torch.lerp(reference, x, keep), [int(s) for s in shift])
            score = game.score(self.probe.logits(composed), rows)
            slope += self.probe.gradient(game.cost(score, rows), leaf) / len(shifts)
            first = score.detach() if first is None else first
        return slope, torch.zeros_like(slope[:, 0, 0, 0]) if first is None else first

    def _price(self, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = mask.detach().requires_grad_()
        price = self.schedule.l1 * (1 - leaf).flatten(1).mean(1)
        price = price + self.schedule.tv * roughness(leaf, self.schedule.tv_beta)
        return price.detach(), torch.autograd.grad(price.sum(), leaf)[0]


class _Adam:
    """Adam with the AMSGrad maximum, whose state can be cut down to some samples."""

    def __init__(self, like: torch.Tensor) -> None:
        self.steps = 0
        self.mean = torch.zeros_like(like)
        self.square = torch.zeros_like(like)
        self.largest = torch.zeros_like(like)

    def step(self, value: torch.Tensor, slope: torch.Tensor, lr: float) -> torch.Tensor:
        self.steps += 1
        self.mean = torch.lerp(slope, self.mean, _BETAS[0])
        self.square = torch.lerp(slope.square(), self.square, _BETAS[1])
        self.largest = torch.maximum(self.largest, self.square)
        mean = self.mean / (1 - _BETAS[0] ** self.steps)
        size = (self.largest / (1 - _BETAS[1] ** self.steps)).sqrt()
        return value - lr * mean / (size + _EPSILON)

    def keep(self, rows: torch.Tensor) -> None:
        self.mean, self.square = self.mean[rows], self.square[rows]
        self.largest = self.largest[rows]
