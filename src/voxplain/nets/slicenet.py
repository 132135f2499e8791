"""The paper's 2D variant: a network for slices, whose answers make up that for the brain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from voxplain.errors import NetworkError

__all__ = ["SliceNet"]


class SliceNet(nn.Module):
    """A 2D network that sees coronal slabs, a few slices as its channels, one after the other.

    The two-dimensional variant of Kan et al. 2020 (arXiv 2006.15969): slabs of 3 or 5 slices along
    the second axis that do not overlap, a plain or a residual network of three blocks, and a label
    for the brain from those of its slabs.

    Parameters
    ----------
    shape : sequence of 3 ints
        Of the volumes.
    classes : int, default=2
        Number of outputs.
    width : int, default=3
        Slices in a slab; those that are left over at both ends are not seen.
    residual : bool, default=False
        Whether each block adds its input to its output.
    label : {"mean", "vote"}, default="mean"
        ``mean`` averages the slabs' outputs. ``vote`` counts in eval mode how many slabs are for
        each class, and gives the logarithm of the share of each, with one vote more for every
        class so that it is finite; it has no gradient. Training always takes the mean.
    channels : sequence of 3 ints, default=(32, 64, 128)
    dropout : float, default=0.5

    Raises
    ------
    NetworkError
        If an option is not allowed, or the volume is too small.
    """

    def __init__(
        self,
        shape: Sequence[int] = (58, 70, 58),
        classes: int = 2,
        width: int = 3,
        residual: bool = False,
        label: str = "mean",
        channels: Sequence[int] = (32, 64, 128),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if label not in ("mean", "vote") or (label == "vote" and classes < 2):
            raise NetworkError(
                f"label must be 'mean', or 'vote' between classes; {label!r} for {classes} "
                "output(s) was given."
            )
        if width < 1 or shape[1] < width or min(shape[0], shape[2]) < 2 ** len(channels):
            raise NetworkError(
                f"SliceNet needs {width} slices along the second axis and {2 ** len(channels)} "
                f"voxels along the others; the shape {tuple(shape)} was given."
            )
        self.width, self.label, self.slabs = width, label, shape[1] // width
        self.skipped = (shape[1] - self.slabs * width) // 2
        sizes = [width, *channels]
        self.features = nn.Sequential(*(_Block(a, b, residual) for a, b in pairwise(sizes)))
        self.dropout = nn.Dropout(dropout)
        scale = 2 ** len(channels)
        self.classifier = nn.Linear(
            channels[-1] * (shape[0] // scale) * (shape[2] // scale), classes
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map volumes (N, 1, X, Y, Z) to logits (N, K)."""
        count, _, nx, _, nz = x.shape
        seen = x[:, 0, :, self.skipped : self.skipped + self.slabs * self.width]
        slabs = seen.reshape(count, nx, self.slabs, self.width, nz).permute(0, 2, 3, 1, 4)
        features = self.features(slabs.reshape(-1, self.width, nx, nz)).flatten(start_dim=1)
        each: Tensor = self.classifier(self.dropout(features)).reshape(count, self.slabs, -1)
        if self.training or self.label == "mean":
            return each.mean(dim=1)
        votes = nn.functional.one_hot(each.argmax(dim=2), each.shape[2]).sum(dim=1)
        return torch.log((votes + 1) / (self.slabs + each.shape[2]))


class _Block(nn.Module):
    def __init__(self, before: int, after: int, residual: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.shortcut = nn.Conv2d(before, after, kernel_size=1) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        made = self.norm(self.conv(x))
        if self.shortcut is not None:
            made = made + self.shortcut(x)
        pooled: Tensor = self.pool(self.relu(made))
        return pooled
