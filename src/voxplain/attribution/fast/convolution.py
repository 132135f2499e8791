"""A convolution whose padding along x is there already, and its gradient, by the fastest way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from voxplain.attribution.fast.winograd import convolve_rows, transformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["Geometry", "Kernel", "channels_last_weight"]

_FEW_CHANNELS = 2
# Sums and differences of rows cost as much for few channels as they save.
_MANY_CHANNELS = 16


@dataclass(frozen=True)
class Geometry:
    """How a kernel moves.

    Parameters
    ----------
    stride, padding, dilation : tuple of 3 ints
    groups : int
    """

    stride: tuple[int, int, int]
    padding: tuple[int, int, int]
    dilation: tuple[int, int, int]
    groups: int

    @classmethod
    def of(cls, conv: nn.Conv3d) -> Geometry:
        """Read the geometry of a convolution whose padding is given by numbers or 'valid'."""
        padding = conv.padding
        return cls(
            stride=three(conv.stride),
            padding=(0, 0, 0) if isinstance(padding, str) else three(padding),
            dilation=three(conv.dilation),
            groups=conv.groups,
        )

    @property
    def dense(self) -> bool:
        """Whether every position and every pair of channels is multiplied."""
        return self.stride == self.dilation == (1, 1, 1) and self.groups == 1

    def shape(self, size: Sequence[int], kernel: Sequence[int]) -> tuple[int, int, int]:
        """Shape of the output along x, y and z."""
        a, b, c = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                size, self.padding, self.dilation, kernel, self.stride, strict=True
            )
        )
        return a, b, c


class Kernel:
    """Weight and bias of a convolution, with what is worked out once for all calls.

    Parameters
    ----------
    weight : tensor (C', C, X, Y, Z)
    bias : tensor (C',) or None
    geometry : Geometry

    Attributes
    ----------
    halves : bool
        Whether `voxplain.attribution.fast.winograd` saves half of the multiplications.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry) -> None:
        self.weight, self.bias, self.geometry = weight, bias, geometry
        _, *across = geometry.padding
        # Zeros that the gradient's convolution needs, which runs the other way.
        self.outer = tuple(k - 1 - p for k, p in zip(weight.shape[3:], across, strict=True))
        self.halves = self.can_halve(weight, geometry)
        if self.halves:
            self.planes = transformed(weight)
            self.planes_back = transformed(weight.transpose(0, 1).flip((2, 3, 4)))

    @staticmethod
    def can_halve(weight: torch.Tensor, geometry: Geometry) -> bool:
        """Tell whether `voxplain.attribution.fast.winograd` can be used and pays."""
        return (
            _is_plain(weight)
            and geometry.dense
            and weight.shape[2] == 3
            and min(weight.shape[:2]) >= _MANY_CHANNELS
            and all(k > p for k, p in zip(weight.shape[3:], geometry.padding[1:], strict=True))
        )

    def convolve(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, X, Y, Z), with its padding along x, to (N, C', X', Y', Z')."""
        geometry, (_, *across) = self.geometry, self.geometry.padding
        if self.halves:
            return convolve_rows(x, self.planes, self.bias, (across[0], across[1]))
        given = (self.weight, self.bias)
        if _is_plain(x):
            # By itself torch leaves small batches on one thread to a far slower kernel.
            return torch.mkldnn_convolution(
                x, *given, (0, *across), geometry.stride, geometry.dilation, geometry.groups
            )
        return functional.conv3d(
            x, *given, geometry.stride, (0, *across), geometry.dilation, geometry.groups
        )

    def input_gradient(self, slope: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        """Carry the gradient (N, C', X', Y', Z') from the output to the input of a given size."""
        geometry = self.geometry
        if self.halves:
            wide = functional.pad(slope, (0, 0, 0, 0, 2, 2))
            return convolve_rows(wide, self.planes_back, None, (self.outer[0], self.outer[1]))
        if geometry.dense and size[1] <= _FEW_CHANNELS and _by_taps_pays(slope):
            return _by_taps(slope, self.weight, geometry.padding, size)
        empty = torch.empty(
            size,
            dtype=self.weight.dtype,
            device=slope.device,
            memory_format=torch.channels_last_3d,
        )
        gradient: torch.Tensor = torch.ops.aten.convolution_backward(
            slope,
            empty,
            self.weight,
            None,
            geometry.stride,
            (0, *geometry.padding[1:]),
            geometry.dilation,
            False,
            (0, 0, 0),
            geometry.groups,
            (True, False, False),
        )[0]
        return gradient


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether the processor's own library takes a tensor as it is."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and bool(torch.backends.mkldnn.enabled)
    )


def _by_taps_pays(tensor: torch.Tensor) -> bool:
    """Tell whether `_by_taps` beats the library, whose bfloat16 kernels waste less."""
    return tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16


def _by_taps(
    slope: torch.Tensor, weight: torch.Tensor, padding: Sequence[int], size: tuple[int, ...]
) -> torch.Tensor:
    """Multiply once for all taps of the kernel, then add up shifted planes.

    The library's own kernels lay out channels in blocks of eight or more, and so waste most of
    their work where the input has a single channel.
    """
    out, channels, a, b, c = weight.shape
    images, x, y, z = len(slope), *slope.shape[2:]
    rows = slope.permute(0, 2, 3, 4, 1).reshape(images * x, y * z, out)
    taps = weight.permute(2, 1, 3, 4, 0).reshape(1, -1, out)
    product = torch.bmm(taps.expand(len(rows), -1, -1), rows.transpose(1, 2))
    product = product.view(images, x, a * channels, b, c, y, z)
    _, pad_y, pad_z = padding
    plane = (size[3] + 2 * pad_y, size[4] + 2 * pad_z)
    planes = slope.new_zeros(images, x, a * channels, *plane)
    for j in range(b):
        for k in range(c):
            planes[..., j : j + y, k : k + z] += product[:, :, :, j, k]
    wide = slope.new_zeros(images, size[2], channels, *plane)
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


def three(value: int | tuple[int, ...]) -> tuple[int, int, int]:
    """One number for each axis."""
    a, b, c = (value,) * 3 if isinstance(value, int) else value
    return a, b, c
