"""A convolution cut into parts that stay in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from voxplain.attribution.fast.convolution import Kernel

__all__ = ["Slab", "slabs"]

# Numbers in the part of a feature map that is worked on at a time. On a processor it should stay
# in the cache and be served again from memory that the process already holds.
_SLAB = {"cpu": 2 << 20}
_SLAB_ELSEWHERE = 256 << 20


class Slab(NamedTuple):
    """Some images, some rows of the (pooled) output, and the rows of the input that they need.

    Parameters
    ----------
    images, rows, inputs : slice
    before, after : int
        Rows of zeros that come before and after the input's.
    """

    images: slice
    rows: slice
    inputs: slice
    before: int
    after: int

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        """Take the slab's rows of an input (N, C, X, Y, Z), with their padding along x."""
        part = x[self.images, :, self.inputs]
        if self.before or self.after:
            part = functional.pad(part, (0, 0, 0, 0, self.before, self.after))
        return part

    def add_input_gradient(
        self, whole: torch.Tensor, gradient: torch.Tensor, kernel: Kernel
    ) -> None:
        """Add what the slab's output gradient gives to the gradient of the whole input."""
        length = self.inputs.stop - self.inputs.start + self.before + self.after
        size = (len(gradient), whole.shape[1], length, *whole.shape[3:])
        part = kernel.input_gradient(gradient, size)
        whole[self.images, :, self.inputs] += part[:, :, self.before : length - self.after]


def slabs(x: torch.Tensor, kernel: Kernel, pool: tuple[int, int, int]) -> Iterator[Slab]:
    """Cut images, and rows along x, so that no part of the feature map is too large.

    Parameters
    ----------
    x : tensor (N, C, X, Y, Z)
        Input of the convolution.
    kernel : Kernel
    pool : tuple of 3 ints
        Size of the windows, side by side, whose rows stay together.

    Yields
    ------
    Slab
    """
    geometry, weight = kernel.geometry, kernel.weight
    length, *across = geometry.shape(x.shape[2:], weight.shape[2:])
    rows = length // pool[0]
    row = weight.shape[0] * pool[0] * across[0] * across[1]
    most = max(1, _SLAB.get(x.device.type, _SLAB_ELSEWHERE) // row)
    images = max(1, most // rows)
    parts = -(-rows // most)
    step = -(-rows // parts)
    reach = geometry.dilation[0] * (weight.shape[2] - 1) + 1
    for first in range(0, len(x), images):
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            low = start * pool[0] * geometry.stride[0] - geometry.padding[0]
            high = (stop * pool[0] - 1) * geometry.stride[0] - geometry.padding[0] + reach
            yield Slab(
                slice(first, first + images),
                slice(start, stop),
                slice(max(low, 0), min(high, x.shape[2])),
                max(-low, 0),
                max(high - x.shape[2], 0),
            )
