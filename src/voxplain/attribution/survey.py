"""All volumes of a run, opened a batch at a time, for a method that must see many of them first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voxplain.attribution.network.placed import Placed, full_precision
from voxplain.errors import InputError

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target
    from voxplain.volume import Cohort, Volume

__all__ = ["Survey"]

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Survey:
    """What `Method.prepare` may look at.

    Parameters
    ----------
    volumes : sequence of Volume, or Cohort
        Loaded when asked for.
    placed : Placed
        The network where and how it runs.
    target : Target
        For all volumes together.
    """

    volumes: Sequence[Volume] | Cohort
    placed: Placed
    target: Target

    @property
    def total(self) -> int:
        """Number of volumes."""
        return len(self.volumes)

    def run(
        self,
        positions: Sequence[int],
        work: Callable[[Probe, torch.Tensor, Target, Sequence[int]], Result],
    ) -> Iterator[Result]:
        """Work on some volumes; memory holds one batch of them.

        Parameters
        ----------
        positions : sequence of int
        work : callable
            Takes a probe, a batch, tensor (n, 1, X, Y, Z), its target, and the positions of its
            volumes.

        Yields
        ------
        object
            What `work` gave for each batch, in order.

        Raises
        ------
        InputError
            If the volumes do not share a shape and a voxel size.
        """
        first = self.volumes[0].grid

        def one(part: Sequence[int], start: int) -> Result:
            loaded = [self.volumes[i] for i in part]
            for volume in loaded:
                if volume.grid.shape != first.shape or not np.allclose(
                    volume.grid.voxel_size, first.voxel_size, rtol=1e-6
                ):
                    raise InputError(
                        f"The cohort's volumes must share a shape and a voxel size; there are "
                        f"{first} and {volume.grid}."
                    )
            with (
                full_precision(self.placed.device),
                self.placed.open(voxel_size=first.voxel_size) as p,
            ):
                return work(p, self.placed.tensor(loaded), self.target.take(part), part)

        return self.placed.batcher.run(positions, one)
