"""Convolution, ReLU and max-pooling as one module that never holds the large map between them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from voxplain.explain.convolution import Geometry, Kernel, channels_last_weight, three
from voxplain.explain.rectifiers import active_rectifiers, passed_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxplain.explain.rectifiers import Rule

__all__ = ["ConvReluPool"]

_CHANNELS_LAST = torch.channels_last_3d
# Numbers in the part of a feature map that is worked on at a time. On a processor it should stay
# in the cache and be served again from memory that the process already holds.
_SLAB = {"cpu": 2 << 20}
_SLAB_ELSEWHERE = 256 << 20


class ConvReluPool(nn.Module):
    """A convolution, a ReLU and a max-pooling of windows that do not overlap.

    The ReLU is applied after the pooling, which gives the same, and the feature map between
    convolution and pooling exists only slab by slab. The gradient is the same too, also under the
    rules of `voxplain.explain.rectifiers`.

    Parameters
    ----------
    conv : torch.nn.Conv3d
    pool : torch.nn.MaxPool3d
        See `fits`.
    """

    def __init__(self, conv: nn.Conv3d, pool: nn.MaxPool3d) -> None:
        super().__init__()
        self.weight = nn.Parameter(channels_last_weight(conv.weight), requires_grad=False)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias, requires_grad=False)
        self.geometry = Geometry.of(conv)
        self.pool = three(pool.kernel_size)

    @staticmethod
    def fits(conv: nn.Conv3d, pool: nn.MaxPool3d) -> bool:
        """Tell whether the pair can be fused: zero padding by numbers, windows side by side."""
        return (
            conv.padding_mode == "zeros"
            and conv.padding != "same"
            and three(pool.stride) == three(pool.kernel_size)
            and three(pool.padding) == (0, 0, 0)
            and three(pool.dilation) == (1, 1, 1)
            and not pool.ceil_mode
            and not pool.return_indices
        )

    @cached_property
    def kernel(self) -> Kernel:
        """The convolution, prepared at the first pass, when device and dtype are settled."""
        return Kernel(self.weight, self.bias, self.geometry)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, X, Y, Z) to the pooled feature map (N, C', X', Y', Z')."""
        mode = active_rectifiers() if torch.is_grad_enabled() else None
        if mode is not None and mode.rule == "deconvolution":
            # Here the gradient of windows without a positive value counts as well, and its place
            # in the window is the pooling's own choice.
            geometry = self.geometry
            hidden = functional.conv3d(
                x.to(self.weight.dtype),
                self.weight,
                self.bias,
                geometry.stride,
                geometry.padding,
                geometry.dilation,
                geometry.groups,
            )
            return functional.max_pool3d(functional.relu(hidden), self.pool).to(x.dtype)
        if mode is not None:
            mode.reached()
        rule = None if mode is None else mode.rule
        out: torch.Tensor = _Fused.apply(x, self.kernel, self.pool, rule)  # type: ignore[no-untyped-call]
        return out


class _Slab(NamedTuple):
    """Some images, some rows of the pooled map, and the rows of the input that they need."""

    images: slice
    rows: slice
    inputs: slice
    before: int
    after: int


def _slabs(
    size: Sequence[int], kernel: Kernel, pool: tuple[int, int, int], most: int
) -> Iterator[_Slab]:
    """Cut images, and rows along x, so that no part of the feature map has more numbers."""
    geometry, weight = kernel.geometry, kernel.weight
    length, *across = geometry.shape(size[2:], weight.shape[2:])
    rows = length // pool[0]
    row = weight.shape[0] * pool[0] * across[0] * across[1]
    most = max(1, most // row)
    images = max(1, most // rows)
    parts = -(-rows // most)
    step = -(-rows // parts)
    if parts > 1:
        # An even number of windows of two is what `winograd` wastes nothing on.
        step += step % 2
    reach = geometry.dilation[0] * (weight.shape[2] - 1) + 1
    for first in range(0, size[0], images):
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            low = start * pool[0] * geometry.stride[0] - geometry.padding[0]
            high = (stop * pool[0] - 1) * geometry.stride[0] - geometry.padding[0] + reach
            yield _Slab(
                slice(first, first + images),
                slice(start, stop),
                slice(max(low, 0), min(high, size[2])),
                max(-low, 0),
                max(high - size[2], 0),
            )


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        kernel: Kernel,
        pool: tuple[int, int, int],
        rule: Rule | None,
    ) -> torch.Tensor:
        hidden_shape = kernel.geometry.shape(x.shape[2:], kernel.weight.shape[2:])
        out = torch.empty(
            (
                len(x),
                len(kernel.weight),
                *(n // k for n, k in zip(hidden_shape, pool, strict=True)),
            ),
            dtype=x.dtype,
            device=x.device,
            memory_format=_CHANNELS_LAST,
        )
        places, most = [], _SLAB.get(x.device.type, _SLAB_ELSEWHERE)
        slabs = list(_slabs(x.shape, kernel, pool, most))
        for slab in slabs:
            part = x[slab.images, :, slab.inputs].to(kernel.weight.dtype)
            if slab.before or slab.after:
                part = functional.pad(part, (0, 0, 0, 0, slab.before, slab.after))
            pooled, place = torch.ops.aten.max_pool3d_with_indices(kernel.convolve(part), pool)
            out[slab.images, :, slab.rows] = pooled.relu_()
            if ctx.needs_input_grad[0]:
                places.append(place.int())
        ctx.kernel, ctx.pool, ctx.rule = kernel, pool, rule
        ctx.slabs, ctx.shape, ctx.across = slabs, x.shape, hidden_shape[1:]
        ctx.save_for_backward(out, *places)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        out, *places = ctx.saved_tensors
        kernel: Kernel = ctx.kernel
        weight, pool, slope = kernel.weight, ctx.pool, grads[0]
        back = torch.zeros(ctx.shape, dtype=slope.dtype, device=slope.device)
        for slab, place in zip(ctx.slabs, places, strict=True):
            passed = slope[slab.images, :, slab.rows]
            is_open = out[slab.images, :, slab.rows] > 0
            passed = passed_on(ctx.rule, passed, is_open) if ctx.rule else passed * is_open
            passed = passed.to(weight.dtype).contiguous(memory_format=_CHANNELS_LAST)
            hidden = torch.empty(
                (len(passed), len(weight), passed.shape[2] * pool[0], *ctx.across),
                dtype=weight.dtype,
                device=slope.device,
                memory_format=_CHANNELS_LAST,
            )
            hidden = torch.ops.aten.max_pool3d_with_indices_backward(
                passed, hidden, pool, pool, (0, 0, 0), (1, 1, 1), False, place.long()
            )
            length = slab.inputs.stop - slab.inputs.start + slab.before + slab.after
            size = (len(hidden), ctx.shape[1], length, *ctx.shape[3:])
            part = kernel.input_gradient(hidden, size)
            stop = part.shape[2] - slab.after
            back[slab.images, :, slab.inputs] += part[:, :, slab.before : stop]
        return back, None, None, None
