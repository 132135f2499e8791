"""Adam on many small tensors at once, each of which may leave on its own."""

from __future__ import annotations

import torch

__all__ = ["Adam"]

_EPSILON = 1e-8


class Adam:
    """Adam with the AMSGrad maximum, whose state can be cut down to some samples.

    Parameters
    ----------
    like : tensor (N, ...)
        Gives shape, type and device of the values that are optimised.
    one_rate : bool, default=False
        Whether all elements of a sample share the largest one's step size. Their steps then keep
        the proportions of their gradients, where Adam's first step has one size for all.
    betas : tuple of 2 floats, default=(0.9, 0.99)
        How much of the mean gradient, and of its mean square, stays after a step.
    """

    def __init__(
        self,
        like: torch.Tensor,
        one_rate: bool = False,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        self.steps = 0
        self.betas = betas
        self.one_rate = one_rate
        self.mean = torch.zeros_like(like)
        self.square = torch.zeros_like(like)
        self.largest = torch.zeros_like(like)

    def step(self, value: torch.Tensor, gradient: torch.Tensor, lr: float) -> torch.Tensor:
        """Move values against their gradients.

        Parameters
        ----------
        value, gradient : tensor (N, ...)
        lr : float
            About the largest change of an element.

        Returns
        -------
        tensor (N, ...)
        """
        self.steps += 1
        self.mean = torch.lerp(gradient, self.mean, self.betas[0])
        self.square = torch.lerp(gradient.square(), self.square, self.betas[1])
        self.largest = torch.maximum(self.largest, self.square)
        mean = self.mean / (1 - self.betas[0] ** self.steps)
        size = (self.largest / (1 - self.betas[1] ** self.steps)).sqrt()
        if self.one_rate:
            size = size.flatten(1).amax(1).view(-1, *[1] * (size.ndim - 1))
        return value - lr * mean / (size + _EPSILON)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some samples alone, by position or by truth value."""
        self.mean, self.square = self.mean[rows], self.square[rows]
        self.largest = self.largest[rows]
