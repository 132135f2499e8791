"""Convolution, ReLU and max-pooling as one module that never holds the large map between them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from voxplain.attribution.fast.convolution import Geometry, Kernel, three
from voxplain.attribution.fast.slabs import slabs
from voxplain.attribution.network.rectifiers import active_rectifiers, passed_on

if TYPE_CHECKING:
    from voxplain.attribution.network.rectifiers import Rule

__all__ = ["ConvReluPool"]

_CHANNELS_LAST = torch.channels_last_3d


class ConvReluPool(nn.Conv3d):
    """A convolution, a ReLU and a max-pooling of windows that do not overlap.

    For the network's own code it is still the convolution. The ReLU is applied after the pooling,
    which gives the same, and the feature map between convolution and pooling exists only slab by
    slab. The gradient is the same too, also under the rules of `rectifiers`.

    Parameters
    ----------
    conv : torch.nn.Conv3d
    pool : torch.nn.MaxPool3d
        See `fits`.
    """

    def __init__(self, conv: nn.Conv3d, pool: nn.MaxPool3d) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(conv))
        self._parameters = dict(conv._parameters)
        weight = conv.weight.detach().to(memory_format=_CHANNELS_LAST)
        self.weight = nn.Parameter(weight, requires_grad=False)
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias, requires_grad=False)
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

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Map (N, C, X, Y, Z) to the pooled feature map (N, C', X', Y', Z')."""
        mode = active_rectifiers() if torch.is_grad_enabled() else None
        if mode is not None and mode.rule == "deconvolution":
            # Here the gradient of windows without a positive value counts as well, and its place
            # in the window is the pooling's own choice.
            geometry = self.geometry
            hidden = functional.conv3d(
                input.to(self.weight.dtype),
                self.weight,
                self.bias,
                geometry.stride,
                geometry.padding,
                geometry.dilation,
                geometry.groups,
            )
            return functional.max_pool3d(functional.relu(hidden), self.pool).to(input.dtype)
        if mode is not None:
            mode.reached()
        rule = None if mode is None else mode.rule
        out: torch.Tensor = _Fused.apply(input, self.kernel, self.pool, rule)  # type: ignore[no-untyped-call]
        return out


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
        places = []
        parts = list(slabs(x, kernel, pool))
        for slab in parts:
            part = slab.padded(x).to(kernel.weight.dtype)
            pooled, place = torch.ops.aten.max_pool3d_with_indices(kernel.convolve(part), pool)
            out[slab.images, :, slab.rows] = pooled.relu_()
            if ctx.needs_input_grad[0]:
                places.append(place)
        ctx.kernel, ctx.pool, ctx.rule = kernel, pool, rule
        ctx.slabs, ctx.shape, ctx.across = parts, x.shape, hidden_shape[1:]
        ctx.save_for_backward(out, *places)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        out, *places = ctx.saved_tensors
        kernel: Kernel = ctx.kernel
        weight, pool, gradient = kernel.weight, ctx.pool, grads[0]
        back = torch.empty(
            ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=_CHANNELS_LAST
        ).zero_()
        for slab, place in zip(ctx.slabs, places, strict=True):
            there = (slab.images, slice(None), slab.rows)
            passed = passed_on(ctx.rule, gradient[there], out[there])
            passed = passed.to(weight.dtype).contiguous(memory_format=_CHANNELS_LAST)
            hidden = torch.empty(
                (len(passed), len(weight), passed.shape[2] * pool[0], *ctx.across),
                dtype=weight.dtype,
                device=gradient.device,
                memory_format=_CHANNELS_LAST,
            )
            hidden = torch.ops.aten.max_pool3d_with_indices_backward(
                passed, hidden, pool, pool, (0, 0, 0), (1, 1, 1), False, place
            )
            slab.add_input_gradient(back, hidden, kernel)
        return back, None, None, None
