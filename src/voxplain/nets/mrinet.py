"""The paper's 3D network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from voxplain.errors import NetworkError

__all__ = ["MRINet"]


class MRINet(nn.Module):
    """Three blocks of convolution, batch norm, ReLU and pooling, and one linear layer.

    The network of Kan et al. 2020 (arXiv 2006.15969), whose architecture follows Xin et al. 2019.
    Its head gives logits; the published perturbation network's log-softmax differs from them by a
    constant per sample and so gives the same probabilities.

    Parameters
    ----------
    shape : sequence of 3 ints, default=(58, 70, 58)
        Shape of the input volumes; the size of the linear layer follows from it.
    classes : int, default=2
        Number of logits.
    channels : sequence of 3 ints, default=(32, 64, 128)
    dropout : float, default=0.5

    Raises
    ------
    NetworkError
        If an axis is too short for three blocks.
    """

    def __init__(
        self,
        shape: Sequence[int] = (58, 70, 58),
        classes: int = 2,
        channels: Sequence[int] = (32, 64, 128),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        left = [_after_blocks(int(n), len(channels)) for n in shape]
        if len(left) != 3 or min(left) < 1:
            raise NetworkError(
                f"MRINet needs three axes of at least 22 voxels; the shape {tuple(shape)} was "
                "given."
            )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = 1
        for number, after in enumerate(channels, start=1):
            layers[f"conv{number}"] = nn.Conv3d(before, after, kernel_size=3)
            layers[f"norm{number}"] = nn.BatchNorm3d(after)
            layers[f"relu{number}"] = nn.ReLU()
            layers[f"pool{number}"] = nn.MaxPool3d(2)
            before = after
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(before * left[0] * left[1] * left[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map volumes (N, 1, X, Y, Z) to logits (N, K)."""
        features = self.features(x).flatten(start_dim=1)
        return cast(torch.Tensor, self.classifier(self.dropout(features)))


def _after_blocks(length: int, blocks: int) -> int:
    for _ in range(blocks):
        length = (length - 2) // 2
    return length
