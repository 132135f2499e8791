"""Feature maps as layers hand them on: channels first, channels last, or as tokens of patches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from voxplain.errors import NetworkError

__all__ = ["Layout", "Surroundings", "layout_of"]

# A class token, a token of distillation, and registers.
_MOST_EXTRA = 5
_Size = tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """How a layer's output holds feature maps.

    Parameters
    ----------
    grid : tuple of 3 ints
        Cells along each axis, (X', Y', Z').
    kind : {"channels first", "channels last", "tokens", "tokens before samples"}
        (N, C, X', Y', Z'), (N, X', Y', Z', C), (N, T, C) or (T, N, C).
    extra : int, default=0
        Tokens before the first patch, such as a class token.
    """

    grid: _Size
    kind: str = "channels first"
    extra: int = 0

    @property
    def of_tokens(self) -> bool:
        """Whether the output is a sequence of tokens."""
        return self.kind.startswith("tokens")

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Bring a layer's output to feature maps.

        Parameters
        ----------
        output : tensor
            As the layer gives it.

        Returns
        -------
        tensor (N, C, X', Y', Z')
            A view where there can be one; without the extra tokens.
        """
        if self.kind == "channels last":
            return output.movedim(-1, 1)
        if not self.of_tokens:
            return output
        tokens = output if self.kind == "tokens" else output.transpose(0, 1)
        channels = tokens[:, self.extra :].transpose(1, 2)
        return channels.reshape(*channels.shape[:2], *self.grid)

    def output(self, maps: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """Bring feature maps to the form in which the network expects them.

        Parameters
        ----------
        maps : tensor (N, C, X', Y', Z')
        given : tensor
            The layer's own output, for its extra tokens.

        Returns
        -------
        tensor of the shape of `given`
            In memory of its own.
        """
        if self.kind == "channels last":
            return maps.movedim(1, -1).clone()
        if not self.of_tokens:
            return maps.clone()
        tokens = maps.flatten(2).transpose(1, 2)
        before = given if self.kind == "tokens" else given.transpose(0, 1)
        tokens = torch.cat([before[:, : self.extra], tokens], 1)
        return tokens if self.kind == "tokens" else tokens.transpose(0, 1).contiguous()


@dataclass(eq=False)
class Surroundings:
    """What tells how a layer's output is to be read.

    Parameters
    ----------
    model : torch.nn.Module
    batch : int
        Samples in the batch.
    size : tuple of 3 ints
        Of the input volumes, (X, Y, Z).
    grids : list of tuple of 3 ints
        Sizes of the feature maps that convolutions gave so far.
    """

    model: nn.Module
    batch: int
    size: _Size
    grids: list[_Size] = field(default_factory=list)

    def note(self, module: nn.Module, args: object, output: object) -> None:
        """Take in a convolution's output; a forward hook."""
        if isinstance(output, torch.Tensor) and output.ndim == 5:
            self.grids.append((output.shape[2], output.shape[3], output.shape[4]))


def layout_of(module: nn.Module, shape: Sequence[int], around: Surroundings) -> Layout | None:
    """Tell how a layer's output holds feature maps.

    An output of five axes has its channels last where the layer's weights say so. One of three axes
    is read as tokens where these are as many as the cells that a convolution gave before, or as
    the patches of the input, up to a class token and registers before them.

    Parameters
    ----------
    module : torch.nn.Module
    shape : sequence of int
        Of the output.
    around : Surroundings

    Returns
    -------
    Layout or None
        None where the output is no feature maps of the batch's volumes.

    Raises
    ------
    NetworkError
        If samples and tokens cannot be told apart.
    """
    widths = set(_widths(module))
    if len(shape) == 5 and shape[0] == around.batch:
        if shape[1] not in widths and shape[4] in widths:
            return Layout((shape[1], shape[2], shape[3]), "channels last")
        return Layout((shape[2], shape[3], shape[4]))
    if len(shape) != 3 or shape[2] not in widths:
        return None
    after = _patches(shape[1], around) if shape[0] == around.batch else None
    before = _patches(shape[0], around) if shape[1] == around.batch else None
    if after and before and any(_sequence_first(m) for m in around.model.modules()):
        raise NetworkError(
            f"{type(around.model).__name__} gives tokens of shape {tuple(shape)}, of which samples "
            f"and tokens cannot be told apart; use another batch size than {around.batch}."
        )
    if after:
        return Layout(after[0], "tokens", after[1])
    return Layout(before[0], "tokens before samples", before[1]) if before else None


def _sequence_first(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) and not module.batch_first


def _widths(module: nn.Module) -> Iterator[int]:
    """Numbers of channels that the layers inside a module give."""
    for one in module.modules():
        if isinstance(one, nn.Linear):
            yield one.out_features
        elif isinstance(one, nn.LayerNorm) and len(one.normalized_shape) == 1:
            yield one.normalized_shape[0]
        elif isinstance(one, nn.MultiheadAttention):
            yield one.embed_dim
        elif isinstance(one, nn.Conv3d | nn.ConvTranspose3d):
            yield one.out_channels
        elif isinstance(one, nn.BatchNorm3d | nn.InstanceNorm3d):
            yield one.num_features
        elif isinstance(one, nn.GroupNorm):
            yield one.num_channels


def _patches(count: int, around: Surroundings) -> tuple[_Size, int] | None:
    """Find the grid that so many tokens stand for, and how many stand before it."""
    grids = [*reversed(around.grids), *_patch_grids(around)]
    for extra in range(_MOST_EXTRA + 1):
        for grid in grids:
            if math.prod(grid) + extra == count and max(grid) > 1:
                return grid, extra
    return None


def _patch_grids(around: Surroundings) -> Iterator[_Size]:
    """Grids of patches that networks without a convolution may cut the volume into."""
    x, y, z = around.size
    for module in around.model.modules():
        told = getattr(module, "patch_size", None)
        sizes = (told,) * 3 if isinstance(told, int) else told
        if isinstance(sizes, tuple | list) and len(sizes) == 3 and min(sizes) > 0:
            yield x // sizes[0], y // sizes[1], z // sizes[2]
    for edge in range(2, min(around.size) + 1):
        if not (x % edge or y % edge or z % edge):
            yield x // edge, y // edge, z // edge
