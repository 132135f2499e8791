"""The steps of a search for masks: how large, how many, and how the images are shifted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Schedule", "drawn_shifts"]


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
