"""The simple fully convolutional network of brain-age and sex studies."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from voxplain.errors import NetworkError

__all__ = ["SFCN"]

_HALVINGS = 5


class SFCN(nn.Module):
    """Five blocks that halve the volume, one that mixes channels, and an average over what is left.

    Peng, Gong, Beckmann, Vedaldi & Smith 2021, "Accurate brain age prediction with lightweight
    deep neural networks", Medical Image Analysis 68:101871. Its head here gives logits or a number
    instead of a distribution over age bins.

    Parameters
    ----------
    shape : sequence of 3 ints
        Of the volumes; only checked, the network takes any size from 32 on.
    classes : int, default=2
        Number of outputs.
    channels : sequence of 6 ints, default=(32, 64, 128, 256, 256, 64)
    dropout : float, default=0.5

    Raises
    ------
    NetworkError
        If an axis is too short for five halvings.
    """

    def __init__(
        self,
        shape: Sequence[int] = (58, 70, 58),
        classes: int = 2,
        channels: Sequence[int] = (32, 64, 128, 256, 256, 64),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if min(shape) < 2**_HALVINGS:
            raise NetworkError(
                f"SFCN needs three axes of at least {2**_HALVINGS} voxels; the shape "
                f"{tuple(shape)} was given."
            )
        layers: list[nn.Module] = []
        before = 1
        for after in channels[:-1]:
            layers += [
                nn.Conv3d(before, after, kernel_size=3, padding=1),
                nn.BatchNorm3d(after),
                nn.MaxPool3d(2),
                nn.ReLU(),
            ]
            before = after
        layers += [nn.Conv3d(before, channels[-1], 1), nn.BatchNorm3d(channels[-1]), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map volumes (N, 1, X, Y, Z) to outputs (N, K)."""
        out: Tensor = self.classifier(self.dropout(self.features(x).mean(dim=(2, 3, 4))))
        return out
