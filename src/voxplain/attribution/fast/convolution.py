"""A convolution whose padding along x is there already, and its gradient, by the fastest way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["Geometry", "Kernel", "onednn_takes", "three"]

_FEW_CHANNELS = 2


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


@dataclass(frozen=True)
class Kernel:
    """Weight and bias of a convolution, and how it moves.

    Parameters
    ----------
    weight : tensor (C', C, X, Y, Z)
    bias : tensor (C',) or None
    geometry : Geometry
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    geometry: Geometry

    def convolve(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, X, Y, Z), with its padding along x, to (N, C', X', Y', Z')."""
        geometry, (_, *across) = self.geometry, self.geometry.padding
        given = (self.weight, self.bias)
        if onednn_takes(x):
            # By itself torch leaves a single scan with small maps to a far slower kernel.
            return torch.mkldnn_convolution(
                x, *given, (0, *across), geometry.stride, geometry.dilation, geometry.groups
            )
        return functional.conv3d(
            x, *given, geometry.stride, (0, *across), geometry.dilation, geometry.groups
        )

    def input_gradient(self, gradient: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        """Carry the gradient (N, C', X', Y', Z') from the output to the input of a given size."""
        geometry = self.geometry
        if geometry.dense and size[1] <= _FEW_CHANNELS and _by_taps_pays(gradient):
            return _by_taps(gradient, self.weight, geometry.padding, size)
        empty = torch.empty(
            size,
            dtype=self.weight.dtype,
            device=gradient.device,
            memory_format=torch.channels_last_3d,
        )
        found: torch.Tensor = torch.ops.aten.convolution_backward(
            gradient,
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
        return found


def onednn_takes(tensor: torch.Tensor) -> bool:
    """Tell whether oneDNN, the processor's library, takes a tensor as it is.

    Parameters
    ----------
    tensor : tensor
        Input of a convolution.

    Returns
    -------
    bool
    """
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and bool(torch.backends.mkldnn.enabled)
    )


def _by_taps_pays(tensor: torch.Tensor) -> bool:
    """Tell whether `_by_taps` beats the library, whose bfloat16 kernels waste less."""
    return tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16


def _by_taps(
    gradient: torch.Tensor, weight: torch.Tensor, padding: Sequence[int], size: tuple[int, ...]
) -> torch.Tensor:
    """Multiply once for all taps of the kernel, then add up shifted planes.

    The library's own kernels lay out channels in blocks of eight or more, and so waste most of
    their work where the input has a single channel.
    """
    out, channels, a, b, c = weight.shape
    images, x, y, z = len(gradient), *gradient.shape[2:]
    rows = gradient.permute(0, 2, 3, 4, 1).reshape(images * x, y * z, out)
    taps = weight.permute(2, 1, 3, 4, 0).reshape(1, -1, out)
    product = torch.bmm(taps.expand(len(rows), -1, -1), rows.transpose(1, 2))
    product = product.view(images, x, a * channels, b, c, y, z)
    _, pad_y, pad_z = padding
    plane = (size[3] + 2 * pad_y, size[4] + 2 * pad_z)
    planes = gradient.new_zeros(images, x, a * channels, *plane)
    for j in range(b):
        for k in range(c):
            planes[..., j : j + y, k : k + z] += product[:, :, :, j, k]
    wide = gradient.new_zeros(images, size[2], channels, *plane)
    for i, part in enumerate(torch.split(planes, channels, dim=2)):
        wide[:, i : i + x] += part
    wide = wide[..., pad_y : pad_y + size[3], pad_z : pad_z + size[4]]
    return wide.transpose(1, 2)


def three(value: int | tuple[int, ...]) -> tuple[int, int, int]:
    """One number for each axis."""
    a, b, c = (value,) * 3 if isinstance(value, int) else value
    return a, b, c
