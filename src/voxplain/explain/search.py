"""Find masks of least cost, many volumes at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from voxplain.explain.descent import Adam
from voxplain.explain.perturb import MaskGrid, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxplain.explain.game import Game
    from voxplain.explain.probe import Probe

__all__ = ["Found", "MaskSearch", "Price", "Schedule", "roughness"]

# From masks (n, *cells) and the positions of their tasks (n,) to what each mask costs, (n,).
Price = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_GAIN = 0.01


@dataclass(frozen=True, eq=False)
class Schedule:
    """How masks are optimised; see the options of `MeaningfulPerturbation`.

    Parameters
    ----------
    shifts : array (iterations, jitters, 3), int, voxels
    lr, lr_factor : float
    lr_every, ramp, check_every, best_after, patience : int
    """

    shifts: NDArray[np.int64]
    lr: float
    lr_factor: float
    lr_every: int
    ramp: int = 0
    check_every: int = 5
    best_after: int = 0
    patience: int = 0

    def rate(self, step: int) -> float:
        """Step size of one iteration."""
        return self.lr * self.lr_factor ** (step // self.lr_every)

    def weight(self, step: int) -> float:
        """Share of the full price that counts in one iteration."""
        return min(1.0, step / self.ramp) if self.ramp else 1.0


@dataclass(frozen=True, eq=False)
class Found:
    """Best masks of a batch's tasks.

    Parameters
    ----------
    masks : tensor (T, *cells)
    scores : tensor (sides, T)
        Log-odds of the target, or the callable's value, of each of the game's images.
    costs : tensor (T,)
        Whole cost of the mask; infinite where there was nothing to play for.
    steps : tensor (T,), int64
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
    """Projected Adam on the masks of a batch; each task leaves when it gains no more.

    A task is one mask of one volume. With T tasks for N volumes, task t belongs to volume
    ``t // (T / N)``.

    Parameters
    ----------
    probe : Probe
    grid : MaskGrid
    schedule : Schedule
    price : callable
        What a mask costs beside its class term; see `Price`.
    """

    probe: Probe
    grid: MaskGrid
    schedule: Schedule
    price: Price

    def run(
        self, x: torch.Tensor, reference: torch.Tensor, game: Game, start: torch.Tensor
    ) -> Found:
        """Search the best mask of each task.

        Parameters
        ----------
        x, reference : tensor (N, 1, X, Y, Z)
        game : Game
        start : tensor (T, *cells)
            First masks. The first iteration measures them.

        Returns
        -------
        Found
            Where there is nothing to play for, the mask is the first one, after no step.
        """
        plan, count, each = self.schedule, len(start), len(start) // len(x)
        tasks = torch.arange(count, device=x.device)
        found = Found(
            start.clone(),
            game.full[tasks // each].repeat(len(game.sides), 1),
            game.full.new_full((count,), torch.inf),
            torch.zeros(count, dtype=torch.int64, device=x.device),
        )
        tasks = tasks[game.playable[tasks // each]]
        mask = start[tasks].clone()
        adam = Adam(mask)
        stale = torch.zeros_like(tasks)
        iterations = len(plan.shifts)
        for step in range(iterations):
            if not len(tasks):
                break
            check = step % plan.check_every == 0 or step == iterations - 1
            shifts = plan.shifts[step].copy()
            if check:
                shifts[0] = 0
            slope, scores = self.class_term(mask, x, reference, game, tasks // each, shifts)
            price, price_slope = self.priced(mask, tasks)
            found.steps[tasks] += 1
            keep = torch.ones_like(tasks, dtype=torch.bool)
            if check and step >= plan.best_after:
                cost = game.cost(scores, tasks // each) + price
                gain = found.costs[tasks] - cost
                better = tasks[gain > 0]
                stale = torch.where(gain > _GAIN * cost.abs(), 0, stale + 1)
                found.masks[better] = mask[gain > 0]
                found.scores[:, better] = scores[:, gain > 0]
                found.costs[better] = cost[gain > 0]
                if plan.patience:
                    keep = stale < plan.patience
            total = slope + plan.weight(step) * price_slope
            mask = adam.step(mask, total, plan.rate(step)).clamp_(0, 1)
            if not bool(keep.all()):
                tasks, mask, stale = tasks[keep], mask[keep], stale[keep]
                adam.keep(keep)
            self.probe.report((step + 1) / iterations)
        return found

    def class_term(
        self,
        mask: torch.Tensor,
        x: torch.Tensor,
        reference: torch.Tensor,
        game: Game,
        rows: torch.Tensor,
        shifts: NDArray[np.int64],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiate the class term, averaged over shifted passes.

        Parameters
        ----------
        mask : tensor (n, *cells)
        x, reference : tensor (N, 1, X, Y, Z)
        game : Game
        rows : tensor (n,), int64
            The volume of each mask.
        shifts : array (jitters, 3), int, voxels

        Returns
        -------
        slope : tensor (n, *cells)
        scores : tensor (sides, n)
            Of the first pass.
        """
        slope = torch.zeros_like(mask)
        scores = slope.new_empty((len(game.sides), len(mask)))
        most = max(1, self.probe.batch_size // len(game.sides))
        for part in torch.split(torch.arange(len(mask), device=mask.device), most):
            for number, shift in enumerate(shifts):
                leaf = mask[part].detach().requires_grad_()
                keep = self.grid.to_voxels(leaf)[:, None]
                image, blank = x[rows[part]], reference[rows[part]]
                composed = [torch.lerp(blank, image, keep if s else 1 - keep) for s in game.sides]
                logits = self.probe.logits(shifted(torch.cat(composed), shift.tolist()))
                score = torch.stack(
                    [game.score(z, rows[part]) for z in logits.chunk(len(composed))]
                )
                slope[part] += self.probe.gradient(game.cost(score, rows[part]), leaf)
                if not number:
                    scores[:, part] = score.detach()
        return slope / len(shifts), scores

    def priced(self, mask: torch.Tensor, tasks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Price masks (n, *cells), and differentiate their prices: tensors (n,), (n, *cells)."""
        leaf = mask.detach().requires_grad_()
        price = self.price(leaf, tasks)
        return price.detach(), torch.autograd.grad(price.sum(), leaf)[0]
