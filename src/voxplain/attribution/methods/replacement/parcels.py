"""Methods that replace a volume parcel by parcel: the regions of an atlas, or cubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.attribution.methods.cubes import cubes
from voxplain.attribution.methods.replacement.base import ReplacementMethod
from voxplain.errors import InputError

__all__ = ["ParcelMethod", "RegionsLike"]

RegionsLike = Atlas | NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class ParcelMethod(ReplacementMethod):
    """A method that replaces a volume parcel by parcel.

    Parameters
    ----------
    regions : array (X, Y, Z) of whole numbers, or Atlas, optional
        Label of each voxel on the volume's grid, 0 for background; cubes by default.
    cell : float, mm, default=24.0
        Edge length of the cubes.

    Raises
    ------
    InputError
        If the labels are not whole numbers of 0 or more, or there is none above 0; or the edge
        length is not above 0.
    """

    regions: RegionsLike | None = None
    cell: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.cell > 0:
            raise InputError(f"cell must be above 0 mm; {self.cell} was given.")
        if self.regions is None:
            return
        if not isinstance(self.regions, Atlas | np.ndarray):
            raise InputError(
                "regions must be an array of labels on the volume's grid or an Atlas; "
                f"{self.regions!r} was given."
            )
        labels = _array(self.regions)
        whole = np.issubdtype(labels.dtype, np.number) and np.array_equal(labels, np.rint(labels))
        if labels.ndim != 3 or not whole or labels.min() < 0 or not labels.any():
            raise InputError(
                "regions must hold whole numbers, 0 for background and at least one above 0, in "
                f"three dimensions; an array {labels.shape} of {labels.dtype} was given."
            )

    def labels(self, shape: Sequence[int], voxel_size: Sequence[float]) -> torch.Tensor:
        """Give each parcel of a volume a number.

        Parameters
        ----------
        shape : sequence of 3 ints
        voxel_size : sequence of 3 floats, mm

        Returns
        -------
        tensor (X, Y, Z), int64
            0 for background, then 1, 2, ... without a gap.

        Raises
        ------
        InputError
            If the regions have another shape than the volume.
        """
        if self.regions is None:
            made = cubes(shape, [self.cell / size for size in voxel_size])
            return torch.from_numpy(made)
        given = _array(self.regions)
        if given.shape != tuple(shape):
            what = "resample them to its grid"
            if isinstance(self.regions, Atlas):
                what = "call atlas.on(volume.grid) first"
            raise InputError(
                f"The regions have shape {given.shape}, the volume {tuple(shape)}; {what}."
            )
        present = np.unique(given)
        return torch.from_numpy(np.searchsorted(present[present > 0], given, side="right"))


def _array(regions: RegionsLike) -> NDArray[np.generic]:
    return regions.labels if isinstance(regions, Atlas) else regions
