"""Find masks of least cost, many volumes at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from voxplain.explain.descent import Adam
from voxplain.explain.game import Game
from voxplain.explain.perturb import MaskGrid, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxplain.explain.probe import Probe

__all__ = ["Board", "Found", "MaskSearch", "Price", "Schedule", "drawn_shifts", "roughness"]

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
    one_rate, betas
        See `Adam`.
    still : bool
        Whether the mask stays while the image moves, and zeros come in; else both move, and the
        border is repeated.
    gone : int
        Iterations of the whole schedule that lie before the first one.
    """

    shifts: NDArray[np.int64]
    lr: float
    lr_factor: float
    lr_every: int
    ramp: int = 0
    check_every: int = 5
    best_after: int = 0
    patience: int = 0
    one_rate: bool = False
    betas: tuple[float, float] = (0.9, 0.99)
    still: bool = False
    gone: int = 0

    def rate(self, step: int) -> float:
        """Step size of one iteration."""
        return self.lr * self.lr_factor ** ((self.gone + step) // self.lr_every)

    def weight(self, step: int) -> float:
        """Share of the full price that counts in one iteration."""
        return min(1.0, (self.gone + step) / self.ramp) if self.ramp else 1.0

    def last(self, count: int) -> Schedule:
        """Keep the last so many iterations, as they are."""
        gone = max(0, len(self.shifts) - count)
        return replace(
            self,
            shifts=self.shifts[gone:],
            best_after=max(0, self.best_after - gone),
            gone=self.gone + gone,
        )


def drawn_shifts(
    shape: tuple[int, int, int], jitter: int, even: bool, seed: int
) -> NDArray[np.int64]:
    """Draw the shifts of all passes.

    Parameters
    ----------
    shape : tuple of 3 ints
        Iterations, passes in each, and 3 axes.
    jitter : int, voxels
    even : bool
        Whether the last passes, and each row of ``2 * jitter + 1`` before them, take every shift
        along each axis once.
    seed : int

    Returns
    -------
    array (iterations, passes, 3), int, voxels
        From -jitter to jitter.
    """
    rng = np.random.default_rng(seed)
    if not even:
        return rng.integers(-jitter, jitter, shape, endpoint=True)
    count, axes = shape[0] * shape[1], shape[2]
    values = np.arange(-jitter, jitter + 1)
    rows = -(-count // len(values))
    drawn = rng.permuted(np.tile(values, (rows, axes, 1)), axis=2)
    return drawn.transpose(0, 2, 1).reshape(-1, axes)[-count:].reshape(shape)


@dataclass(frozen=True, eq=False)
class Board:
    """What a search plays on.

    Parameters
    ----------
    x, reference : tensor (N, 1, X, Y, Z)
    game : Game
    """

    x: torch.Tensor
    reference: torch.Tensor
    game: Game


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
        plan, game = self.schedule, board.game
        count, each = len(start), len(start) // len(board.x)
        tasks = torch.arange(count, device=start.device)
        found = Found(
            start.clone(),
            game.full[tasks // each].repeat(len(game.sides), 1),
            game.full.new_full((count,), torch.inf),
            torch.zeros_like(tasks),
        )
        tasks = tasks[game.playable[tasks // each]]
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
            slope, scores = self.class_term(mask, board, tasks // each, shifts)
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
        slope : tensor (n, *cells)
        scores : tensor (sides, n)
            Of the first pass.
        """
        game = board.game
        slope = torch.zeros_like(mask)
        scores = slope.new_empty((len(game.sides), len(mask)))
        most = max(1, self.probe.batch_size // len(game.sides))
        for part in torch.split(torch.arange(len(mask), device=mask.device), most):
            for number, shift in enumerate(shifts):
                leaf = mask[part].detach().requires_grad_()
                keep = self.grid.to_voxels(leaf)[:, None]
                image, blank = board.x[rows[part]], board.reference[rows[part]]
                by = shift.tolist()
                if self.schedule.still:
                    image, blank = (shifted(v, by, "constant") for v in (image, blank))
                made = torch.cat(
                    [torch.lerp(blank, image, keep if s else 1 - keep) for s in game.sides]
                )
                logits = self.probe.logits(made if self.schedule.still else shifted(made, by))
                score = torch.stack(
                    [game.score(z, rows[part]) for z in logits.chunk(len(game.sides))]
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
