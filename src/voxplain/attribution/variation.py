"""How the voxels of many scans vary together, and what of it a network's gradient picks up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from voxplain.errors import GridError, InputError

if TYPE_CHECKING:
    from voxplain.volume import Cohort, Volume

__all__ = ["FEWEST_SCANS", "Variation", "variation_of"]

FEWEST_SCANS = 20
"""Scans below which the way that voxels vary together is not estimated."""

_MOST_SCANS = 200
_CONSTANT = 1e-3


@dataclass(frozen=True, eq=False)
class Variation:
    """Scans as standard scores, voxel by voxel.

    Parameters
    ----------
    shape : tuple of 3 ints
        Of the scans.
    used : tensor (X, Y, Z), bool
        Voxels that vary.
    deviation : tensor (V,), intensity
        Standard deviation of each of the V voxels used.
    scores : tensor (n, V)
        Of the n scans: intensity less the mean, over the deviation.
    components : tensor (n, k)
        Weights of the scans in the first principal components of `scores`.
    """

    shape: tuple[int, int, int]
    used: torch.Tensor
    deviation: torch.Tensor
    scores: torch.Tensor
    components: torch.Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def describe(self) -> str:
        """Say how many scans there are, and which, for the provenance of a map."""
        digest = hashlib.sha256(self.deviation.numpy().tobytes())
        digest.update(self.components.numpy().tobytes())
        return f"{len(self)} scans, sha256 {digest.hexdigest()}"

    def pattern(self, gradient: torch.Tensor) -> torch.Tensor:
        """Correlate each voxel with what a gradient reads from the scans.

        The gradient of one scan is a linear model: it gives each of the n scans a number, its
        inner product with them. The pattern is the covariance of each voxel's standard score with
        that number, itself of unit variance, once the principal components are taken out of both.
        For a linear network this is the pattern of Haufe et al. (2014, *NeuroImage* 87:96): what
        the network's output goes up with, not what it is made of.

        Parameters
        ----------
        gradient : tensor (N, X, Y, Z), logit per unit of intensity

        Returns
        -------
        tensor (N, X, Y, Z)
            0 where voxels do not vary.

        Raises
        ------
        GridError
            If the gradient has another shape than the scans.
        """
        if tuple(gradient.shape[1:]) != self.shape:
            raise GridError(
                f"The scans that show how voxels vary have shape {self.shape}, the scan to explain "
                f"{tuple(gradient.shape[1:])}; bring them to one grid."
            )
        used, deviation, scores, components = (
            part.to(gradient.device)
            for part in (self.used, self.deviation, self.scores, self.components)
        )
        read = (gradient[:, used] * deviation) @ scores.T
        read = read - read.mean(1, keepdim=True)
        spread = read.square().mean(1, keepdim=True).sqrt()
        read = torch.where(spread > 0, read / spread, torch.zeros_like(read))
        read = read - (read @ components) @ components.T
        out = torch.zeros_like(gradient)
        out[:, used] = read @ scores / len(scores)
        return out


def variation_of(volumes: Sequence[Volume] | Cohort, components: int) -> Variation:
    """Learn how voxels vary together; labels are not looked at.

    Of more than 200 scans, 200 are taken at equal steps.

    Parameters
    ----------
    volumes : sequence of Volume, or Cohort
        On one grid; loaded one by one.
    components : int
        Principal components to take out: what all voxels share, such as size and scanner.

    Returns
    -------
    Variation

    Raises
    ------
    InputError
        If there are fewer than 20 scans, or none of their voxels varies.
    GridError
        If they do not share a shape.
    """
    count = len(volumes)
    if count < FEWEST_SCANS:
        raise InputError(
            f"{count} scan{'s' * (count != 1)} cannot show how voxels vary together; give "
            f"{FEWEST_SCANS} or more."
        )
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_SCANS)).round().astype(int))
    shape = volumes[0].grid.shape
    total, square = np.zeros(shape), np.zeros(shape)
    for number, i in enumerate(chosen, start=1):
        volume = volumes[int(i)]
        if volume.grid.shape != shape:
            raise GridError(
                f"The scans must share a shape to show how voxels vary; there are {shape} and "
                f"{volume.grid.shape}."
            )
        step = volume.values - total
        total += step / number
        square += step * (volume.values - total)
    deviation = np.sqrt(square / len(chosen))
    used = deviation > _CONSTANT * deviation.max()
    if not used.any():
        raise InputError("No voxel varies over the scans: they are all the same image.")
    scores = np.empty((len(chosen), int(used.sum())), np.float32)
    for row, i in enumerate(chosen):
        scores[row] = (volumes[int(i)].values[used] - total[used]) / deviation[used]
    made = torch.from_numpy(scores)
    # Of the scans' inner products, as there are far fewer scans than voxels.
    vectors = torch.linalg.eigh((made @ made.T).double()).eigenvectors.float()
    kept = min(components, len(chosen) - 2)
    return Variation(
        shape,
        torch.from_numpy(used),
        torch.from_numpy(deviation[used].astype(np.float32)),
        made,
        vectors[:, vectors.shape[1] - kept :].contiguous(),
    )
