"""A convolution with half the multiplications along x: Winograd's minimal filtering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ROWS", "convolve_rows", "transformed"]

# Rows of output that six products give; taken singly they would need twelve.
ROWS = 4
# From the kernel's three planes to the six that are multiplied: the values of a polynomial with
# these planes as coefficients at 0, 1, -1, 2, -2 and infinity, each with its scale.
_TO_PRODUCTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


def transformed(weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Turn a convolution's weight into those of six convolutions of planes.

    Parameters
    ----------
    weight : tensor (C', C, 3, Y, Z)

    Returns
    -------
    tuple of 6 tensors (C', C, Y, Z)
        Channels last, rounded once from float64.
    """
    matrix = torch.tensor(_TO_PRODUCTS, dtype=torch.float64)
    planes = torch.einsum("ki,ocibd->kocbd", matrix, weight.detach().cpu().double())
    return tuple(p.to(weight).contiguous(memory_format=torch.channels_last) for p in planes)


def convolve_rows(
    x: torch.Tensor,
    planes: Sequence[torch.Tensor],
    bias: torch.Tensor | None,
    padding: tuple[int, int],
) -> torch.Tensor:
    """Convolve at stride 1, without padding along x.

    Four rows of the output are sums and differences of six products instead of twelve. The result
    is that of the direct convolution up to rounding, whose error is a few times larger. Where six
    rows of the input are equal, five of the six products are of exact zeros, and the four rows of
    the output are equal bit by bit: a max-pooling that follows finds the ties that it would find
    after the direct convolution.

    Parameters
    ----------
    x : tensor (N, C, X, Y, Z), float32
        On the processor. X of `ROWS` times a whole number, plus 2, wastes nothing.
    planes : sequence of 6 tensors
        From `transformed`.
    bias : tensor (C',) or None
    padding : tuple of 2 ints
        Zeros along y and z.

    Returns
    -------
    tensor (N, C', X - 2, Y', Z')
        Channels last.

    References
    ----------
    Lavin and Gray 2016, Fast algorithms for convolutional neural networks (arXiv 1509.09308),
    F(4, 3); here along one axis only, which keeps the rounding small.
    """
    rows = x.shape[2] - 2
    tiles = -(-rows // ROWS)
    if missing := tiles * ROWS - rows:
        # The last row once more, not zeros, which would end a constant background.
        x = torch.cat([x, x[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
    flat = x.permute(0, 2, 3, 4, 1)
    x0, x1, x2, x3, x4, x5 = (flat[:, i : i + ROWS * (tiles - 1) + 1 : ROWS] for i in range(6))

    def product(
        plane: torch.Tensor, number: int, shift: torch.Tensor | None = None
    ) -> torch.Tensor:
        images = plane.flatten(end_dim=1).permute(0, 3, 1, 2)
        given = (images, planes[number], shift, padding, (1, 1), (1, 1), 1)
        made = torch.mkldnn_convolution(*given).permute(0, 2, 3, 1)
        return made.view(len(x), tiles, *made.shape[1:])

    even, odd = torch.add(x4, x2, alpha=-4), torch.add(x3, x1, alpha=-4)
    # This product has the factor 1 in each of the four rows, and so carries the bias into them.
    one, minus_one = product(even + odd, 1, bias), product(even - odd, 2)
    torch.sub(x4, x2, out=even)
    torch.sub(x3, x1, out=odd)
    two = product(torch.add(even, odd, alpha=2), 3)
    minus_two = product(torch.sub(even, odd, alpha=2), 4)
    step = torch.sub(x2, x0)
    zero = product(even.sub_(step, alpha=4), 0)
    torch.sub(x5, x3, out=odd)
    infinity = product(odd.sub_(torch.sub(x3, x1, out=step), alpha=4), 5)

    # The result is no view, so that a ReLU may work on it in place.
    made = torch.empty(
        (len(x), zero.shape[-1], rows, *zero.shape[2:4]),
        dtype=x.dtype,
        memory_format=torch.channels_last_3d,
    )
    out = made.permute(0, 2, 3, 4, 1)
    ones, ones_odd = one + minus_one, one.sub_(minus_one)
    twos, twos_odd = torch.add(two, minus_two, out=minus_one), two.sub_(minus_two)
    _sum_into(out, 0, zero.add_(ones), twos, 1)
    _sum_into(out, 1, ones_odd, twos_odd, 2)
    _sum_into(out, 2, ones, twos, 4)
    _sum_into(out, 3, infinity.add_(ones_odd), twos_odd, 8)
    return made


def _sum_into(out: torch.Tensor, first: int, a: torch.Tensor, b: torch.Tensor, factor: int) -> None:
    rows = out[:, first::ROWS]
    tiles = rows.shape[1]
    torch.add(a[:, :tiles], b[:, :tiles], alpha=factor, out=rows)
