"""Convolution, ReLU and max-pooling as one module that never holds the large map between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from voxplain.explain.rectifiers import active_rectifiers, passed_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.explain.rectifiers import Rule

__all__ = ["ConvReluPool", "channels_last_weight"]

_CHANNELS_LAST = torch.channels_last_3d
# Numbers in the part of a feature map that is worked on at a time. On a processor it should stay
# in the cache and be served again from memory that the process already holds.
_SLAB = {"cpu": 2 << 20}
_SLAB_ELSEWHERE = 256 << 20
_FEW_CHANNELS = 2


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
        padding = conv.padding
        self.window = _Window(
            stride=_three(conv.stride),
            padding=(0, 0, 0) if isinstance(padding, str) else _three(padding),
            dilation=_three(conv.dilation),
            groups=conv.groups,
            pool=_three(pool.kernel_size),
        )

    @staticmethod
    def fits(conv: nn.Conv3d, pool: nn.MaxPool3d) -> bool:
        """Tell whether the pair can be fused: zero padding by numbers, windows side by side."""
        return (
            conv.padding_mode == "zeros"
            and conv.padding != "same"
            and _three(pool.stride) == _three(pool.kernel_size)
            and _three(pool.padding) == (0, 0, 0)
            and _three(pool.dilation) == (1, 1, 1)
            and not pool.ceil_mode
            and not pool.return_indices
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, X, Y, Z) to the pooled feature map (N, C', X', Y', Z')."""
        mode = active_rectifiers() if torch.is_grad_enabled() else None
        if mode is not None and mode.rule == "deconvolution":
            # Here the gradient of windows without a positive value counts as well, and its place
            # in the window is the pooling's own choice.
            hidden = self.window.convolve(x.to(self.weight.dtype), self.weight, self.bias)
            return functional.max_pool3d(functional.relu(hidden), self.window.pool).to(x.dtype)
        if mode is not None:
            mode.reached()
        rule = None if mode is None else mode.rule
        out: torch.Tensor = _Fused.apply(x, self.weight, self.bias, self.window, rule)  # type: ignore[no-untyped-call]
        return out


class _Slab(NamedTuple):
    """Some images, some rows of the pooled map, and the rows of the input that they need."""

    images: slice
    rows: slice
    inputs: slice
    before: int
    after: int


@dataclass(frozen=True)
class _Window:
    """Geometry of the convolution and of the pooling after it."""

    stride: tuple[int, int, int]
    padding: tuple[int, int, int]
    dilation: tuple[int, int, int]
    groups: int
    pool: tuple[int, int, int]

    def convolve(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        padded: bool = False,
    ) -> torch.Tensor:
        """Convolve; `padded` says that x has its padding along the first axis already."""
        padding = (0, *self.padding[1:]) if padded else self.padding
        if x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.enabled:
            # By itself torch leaves small batches on one thread to a far slower kernel.
            given = (x, weight, bias, padding, self.stride, self.dilation, self.groups)
            return torch.mkldnn_convolution(*given)
        return functional.conv3d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def shape(self, x: torch.Tensor, weight: torch.Tensor) -> tuple[int, int, int]:
        """Shape of the convolution's output along x, y and z."""
        a, b, c = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                x.shape[2:],
                self.padding,
                self.dilation,
                weight.shape[2:],
                self.stride,
                strict=True,
            )
        )
        return a, b, c

    def slabs(self, x: torch.Tensor, weight: torch.Tensor) -> Iterator[_Slab]:
        """Cut images, and rows along x, so that each part of the feature map is small."""
        length, *across = self.shape(x, weight)
        rows = length // self.pool[0]
        row = weight.shape[0] * self.pool[0] * across[0] * across[1]
        most = max(1, _SLAB.get(x.device.type, _SLAB_ELSEWHERE) // row)
        images = max(1, most // rows)
        parts = -(-rows // most)
        step = -(-rows // parts)
        reach = self.dilation[0] * (weight.shape[2] - 1) + 1
        for first in range(0, len(x), images):
            for start in range(0, rows, step):
                stop = min(start + step, rows)
                low = start * self.pool[0] * self.stride[0] - self.padding[0]
                high = (stop * self.pool[0] - 1) * self.stride[0] - self.padding[0] + reach
                inside = slice(max(low, 0), min(high, x.shape[2]))
                yield _Slab(
                    slice(first, first + images),
                    slice(start, stop),
                    inside,
                    max(-low, 0),
                    max(high - x.shape[2], 0),
                )


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        window: _Window,
        rule: Rule | None,
    ) -> torch.Tensor:
        shape = [n // k for n, k in zip(window.shape(x, weight), window.pool, strict=True)]
        out = torch.empty(
            (len(x), len(weight), *shape),
            dtype=x.dtype,
            device=x.device,
            memory_format=_CHANNELS_LAST,
        )
        places = []
        for slab in window.slabs(x, weight):
            part = x[slab.images, :, slab.inputs].to(weight.dtype)
            if slab.before or slab.after:
                part = functional.pad(part, (0, 0, 0, 0, slab.before, slab.after))
            hidden = window.convolve(part, weight, bias, padded=True)
            pooled, place = torch.ops.aten.max_pool3d_with_indices(hidden, list(window.pool))
            out[slab.images, :, slab.rows] = pooled.relu_()
            if ctx.needs_input_grad[0]:
                places.append(place.int())
        ctx.window, ctx.rule, ctx.shape = window, rule, x.shape
        ctx.save_for_backward(weight, out, *places)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, out, *places = ctx.saved_tensors
        window: _Window = ctx.window
        slope = grads[0]
        back = torch.zeros(ctx.shape, dtype=slope.dtype, device=slope.device)
        like = back.expand(ctx.shape)
        across = window.shape(like, weight)[1:]
        for slab, place in zip(window.slabs(like, weight), places, strict=True):
            passed = slope[slab.images, :, slab.rows]
            is_open = out[slab.images, :, slab.rows] > 0
            passed = passed_on(ctx.rule, passed, is_open) if ctx.rule else passed * is_open
            passed = passed.to(weight.dtype).contiguous(memory_format=_CHANNELS_LAST)
            rows = passed.shape[2] * window.pool[0]
            hidden = torch.empty(
                (len(passed), len(weight), rows, *across),
                dtype=weight.dtype,
                device=slope.device,
                memory_format=_CHANNELS_LAST,
            )
            hidden = torch.ops.aten.max_pool3d_with_indices_backward(
                passed, hidden, window.pool, window.pool, (0, 0, 0), (1, 1, 1), False, place.long()
            )
            length = slab.inputs.stop - slab.inputs.start + slab.before + slab.after
            part = _input_gradient(hidden, weight, window, length, ctx.shape)
            stop = part.shape[2] - slab.after
            back[slab.images, :, slab.inputs] += part[:, :, slab.before : stop]
        return back, None, None, None, None


def _input_gradient(
    hidden: torch.Tensor, weight: torch.Tensor, window: _Window, length: int, shape: torch.Size
) -> torch.Tensor:
    """Carry a slab's gradient from the convolution's output to its input."""
    size = (len(hidden), shape[1], length, *shape[3:])
    simple = window.stride == window.dilation == (1, 1, 1) and window.groups == 1
    if simple and shape[1] <= _FEW_CHANNELS and hidden.device.type == "cpu":
        return _by_taps(hidden, weight, window, size)
    empty = torch.empty(
        size, dtype=weight.dtype, device=hidden.device, memory_format=_CHANNELS_LAST
    )
    gradient: torch.Tensor = torch.ops.aten.convolution_backward(
        hidden,
        empty,
        weight,
        None,
        window.stride,
        (0, *window.padding[1:]),
        window.dilation,
        False,
        (0, 0, 0),
        window.groups,
        (True, False, False),
    )[0]
    return gradient


def _by_taps(
    hidden: torch.Tensor, weight: torch.Tensor, window: _Window, size: tuple[int, ...]
) -> torch.Tensor:
    """Multiply once for all taps of the kernel, then add up shifted planes.

    The library's own kernels lay out channels in blocks of eight or more, and so waste most of
    their work where the input has a single channel.
    """
    out, channels, a, b, c = weight.shape
    images, x, y, z = len(hidden), *hidden.shape[2:]
    rows = hidden.permute(0, 2, 3, 4, 1).reshape(images * x, y * z, out)
    taps = weight.permute(2, 1, 3, 4, 0).reshape(1, -1, out)
    product = torch.bmm(taps.expand(len(rows), -1, -1), rows.transpose(1, 2))
    product = product.view(images, x, a * channels, b, c, y, z)
    _, pad_y, pad_z = window.padding
    plane = (size[3] + 2 * pad_y, size[4] + 2 * pad_z)
    planes = hidden.new_zeros(images, x, a * channels, *plane)
    for j in range(b):
        for k in range(c):
            planes[..., j : j + y, k : k + z] += product[:, :, :, j, k]
    wide = hidden.new_zeros(images, size[2], channels, *plane)
    for i, part in enumerate(torch.split(planes, channels, dim=2)):
        wide[:, i : i + x] += part
    wide = wide[..., pad_y : pad_y + size[3], pad_z : pad_z + size[4]]
    return wide.transpose(1, 2)


def channels_last_weight(weight: torch.Tensor) -> torch.Tensor:
    """Store a convolution's weight so that its output is channels last, also of one channel.

    Parameters
    ----------
    weight : tensor (C', C, X, Y, Z)

    Returns
    -------
    tensor (C', C, X, Y, Z)
        With the strides of channels last. For C = 1 torch takes either order for the other, and
        its kernels then choose channels first.
    """
    flat = weight.detach().permute(0, 2, 3, 4, 1).contiguous()
    _, x, y, z, c = flat.shape
    return flat.as_strided(tuple(weight.shape), (x * y * z * c, 1, y * z * c, z * c, c))


def _three(value: int | tuple[int, ...]) -> tuple[int, int, int]:
    a, b, c = (value,) * 3 if isinstance(value, int) else value
    return a, b, c
