"""Find masks of least cost, many volumes at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from voxplain.attribution.methods.masks.adam import Adam
from voxplain.attribution.methods.masks.objective import Objective
from voxplain.attribution.methods.reference import MaskGrid, shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxplain.attribution.methods.masks.schedule import Schedule
    from voxplain.attribution.network.probe import Probe

__all__ = ["Board", "Found", "MaskSearch", "Price", "roughness"]

# From masks (n, *cells) and the positions of their tasks (n,) to what each mask costs, (n,).
Price = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_GAIN = 0.01


@dataclass(eq=False)
class Board:
    """What a search plays on.

    Parameters
    ----------
    x, reference : tensor (N, 1, X, Y, Z)
    objective : Objective
    """

    x: torch.Tensor
    reference: torch.Tensor
    objective: Objective
    _laid: tuple[object, tuple[torch.Tensor, torch.Tensor]] | None = None

    def lay(self, rows: torch.Tensor, room: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take images and references of some volumes, and keep them until others are taken.

        Parameters
        ----------
        rows : tensor (n,), int64
        room : int, voxels
            Zeros to put before the first voxel of each axis.

        Returns
        -------
        tuple of 2 tensors (n, 1, room + X, room + Y, room + Z)
        """
        key = (room, rows.tolist())
        if self._laid is None or self._laid[0] != key:
            image, blank = (
                functional.pad(v[rows], (room, 0) * 3) for v in (self.x, self.reference)
            )
            self._laid = key, (image, blank)
        return self._laid[1]


@dataclass(frozen=True, eq=False)
class Found:
    """Best masks of a batch's tasks.

    Parameters
    ----------
    masks : tensor (T, *cells)
    scores : tensor (sides, T)
        Log-odds of the target, or the callable's value, of each of the objective's images.
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

    def run(self, board: Board, start: torch.Tensor, ceiling: torch.Tensor | None = None) -> Found:
        """Search the best mask of each task.

        Parameters
        ----------
        board : Board
            Of N volumes.
        start : tensor (T, *cells)
            First masks. The first iteration measures them.
        ceiling : tensor (T, *cells), optional
            Largest values that a mask may take; 1 by default.

        Returns
        -------
        Found
            Where there is nothing to play for, the mask is the first one, after no step.
        """
        plan, objective = self.schedule, board.objective
        count, each = len(start), len(start) // len(board.x)
        tasks = torch.arange(count, device=start.device)
        found = Found(
            start.clone(),
            objective.full[tasks // each].repeat(len(objective.sides), 1),
            objective.full.new_full((count,), torch.inf),
            torch.zeros_like(tasks),
        )
        tasks = tasks[objective.attainable[tasks // each]]
        mask = start[tasks].clone()
        adam = Adam(mask, plan.one_rate, plan.betas)
        stale = torch.zeros_like(tasks)
        iterations = len(plan.shifts)
        for step in range(iterations):
            if not len(tasks):
                break
            check = step % plan.check_every == 0 or step == iterations - 1
            shifts = plan.shifts[step].copy()
            if check and not plan.still:
                shifts[0] = 0
            gradient, scores = self.class_term(mask, board, tasks // each, shifts)
            price, price_gradient = self.priced(mask, tasks)
            found.steps[tasks] += 1
            keep = torch.ones_like(tasks, dtype=torch.bool)
            if check and step >= plan.best_after:
                cost = objective.cost(scores, tasks // each) + price
                gain = found.costs[tasks] - cost
                better = tasks[gain > 0]
                stale = torch.where(gain > _GAIN * cost.abs(), 0, stale + 1)
                found.masks[better] = mask[gain > 0]
                found.scores[:, better] = scores[:, gain > 0]
                found.costs[better] = cost[gain > 0]
                if plan.patience:
                    keep = stale < plan.patience
            total = gradient + plan.weight(step) * price_gradient
            mask = adam.step(mask, total, plan.rate(step)).clamp_(0, 1)
            if ceiling is not None:
                mask = torch.minimum(mask, ceiling[tasks])
            if not bool(keep.all()):
                tasks, mask, stale = tasks[keep], mask[keep], stale[keep]
                adam.keep(keep)
            self.probe.report((step + 1) / iterations)
        return found

    def class_term(
        self, mask: torch.Tensor, board: Board, rows: torch.Tensor, shifts: NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiate the class term, averaged over shifted passes.

        Parameters
        ----------
        mask : tensor (n, *cells)
        board : Board
        rows : tensor (n,), int64
            The volume of each mask.
        shifts : array (jitters, 3), int, voxels

        Returns
        -------
        gradient : tensor (n, *cells)
        scores : tensor (sides, n)
            Of the first pass.
        """
        objective = board.objective
        gradient = torch.zeros_like(mask)
        scores = gradient.new_empty((len(objective.sides), len(mask)))
        most = max(1, self.probe.batch_size // len(objective.sides))
        still = self.schedule.still
        room = int(self.schedule.shifts.max(initial=0)) if still else 0
        for part in torch.split(torch.arange(len(mask), device=mask.device), most):
            image, blank = board.lay(rows[part], room)
            for number, shift in enumerate(shifts):
                leaf = mask[part].detach().requires_grad_()
                keep = self.grid.to_voxels(leaf)[:, None]
                by = shift.tolist()
                start = [room - s if still else 0 for s in by]
                a, b, c = (slice(s, s + n) for s, n in zip(start, keep.shape[2:], strict=True))
                here, gone = image[:, :, a, b, c], blank[:, :, a, b, c]
                made = torch.cat(
                    [torch.lerp(gone, here, keep if s else 1 - keep) for s in objective.sides]
                )
                logits = self.probe.logits(made if still else shifted(made, by))
                score = torch.stack(
                    [objective.score(z, rows[part]) for z in logits.chunk(len(objective.sides))]
                )
                gradient[part] += self.probe.gradient(objective.cost(score, rows[part]), leaf)
                if not number:
                    scores[:, part] = score.detach()
        return gradient / len(shifts), scores

    def priced(self, mask: torch.Tensor, tasks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Price masks (n, *cells), and differentiate their prices: tensors (n,), (n, *cells)."""
        leaf = mask.detach().requires_grad_()
        price = self.price(leaf, tasks)
        return price.detach(), torch.autograd.grad(price.sum(), leaf)[0]
