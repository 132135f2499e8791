"""A convolution cut into parts that stay in the cache."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from voxplain.attribution.fast.convolution import Geometry, Kernel
from voxplain.attribution.fast.winograd import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RowsConvolution", "Slab", "slabs"]

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

    def add_input_gradient(self, whole: torch.Tensor, slope: torch.Tensor, kernel: Kernel) -> None:
        """Add what the slab's output gradient gives to the gradient of the whole input."""
        length = self.inputs.stop - self.inputs.start + self.before + self.after
        size = (len(slope), whole.shape[1], length, *whole.shape[3:])
        part = kernel.input_gradient(slope, size)
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
    if parts > 1:
        # Whole tiles, on which `winograd` wastes nothing.
        tile = max(1, ROWS // pool[0])
        step = -(-step // tile) * tile
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


class RowsConvolution(nn.Conv3d):
    """A convolution that takes half the multiplications where `winograd` can be used.

    An `nn.Conv3d` becomes one by its ``__class__``.
    """

    @staticmethod
    def fits(conv: nn.Conv3d) -> bool:
        """Tell whether a convolution gains by it."""
        return (
            conv.padding_mode == "zeros"
            and conv.padding != "same"
            and Kernel.can_halve(conv.weight, Geometry.of(conv))
        )

    @cached_property
    def kernel(self) -> Kernel:
        """The convolution, prepared at the first pass, when device and dtype are settled."""
        return Kernel(self.weight, self.bias, Geometry.of(self))

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Map (N, C, X, Y, Z) to (N, C', X', Y', Z')."""
        if not (self.kernel.halves and input.dtype == self.weight.dtype == torch.float32):
            return super().forward(input)
        out: torch.Tensor = _Rows.apply(input, self.kernel)  # type: ignore[no-untyped-call]
        return out


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kernel: Kernel) -> torch.Tensor:
        shape = kernel.geometry.shape(x.shape[2:], kernel.weight.shape[2:])
        parts = list(slabs(x, kernel, (1, 1, 1)))
        ctx.kernel, ctx.parts, ctx.shape = kernel, parts, x.shape
        if len(parts) == 1:
            return kernel.convolve(parts[0].padded(x))
        out = torch.empty(
            (len(x), len(kernel.weight), *shape),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last_3d,
        )
        for slab in parts:
            out[slab.images, :, slab.rows] = kernel.convolve(slab.padded(x))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        back = torch.empty(
            ctx.shape,
            dtype=grads[0].dtype,
            device=grads[0].device,
            memory_format=torch.channels_last_3d,
        ).zero_()
        for slab in ctx.parts:
            slope = grads[0][slab.images, :, slab.rows]
            slope = slope.contiguous(memory_format=torch.channels_last_3d)
            slab.add_input_gradient(back, slope, ctx.kernel)
        return back, None
