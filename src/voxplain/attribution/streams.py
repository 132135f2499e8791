"""Streams of volumes, cut into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from voxplain.attribution.arguments import require_volume
from voxplain.volume import Cohort, Volume

__all__ = ["alike", "batches", "indexable"]


def batches(
    volumes: Iterable[Volume], size: int, only: Sequence[int] | None = None
) -> Iterator[tuple[int, list[Volume], Volume]]:
    """Cut a stream into batches, or give those in which some of its volumes are.

    Where some are wanted, their batches are those of all volumes, each whole, and so is the volume
    that networks are placed by: what is found does not depend on which volumes are wanted.

    Parameters
    ----------
    volumes : iterable of Volume
    size : int
        Most volumes in a batch.
    only : sequence of int, optional
        Positions of the volumes that are wanted.

    Yields
    ------
    start : int
        Position of the first of a batch.
    batch : list of Volume
    first : Volume
        By which a network is placed.
    """
    if only is None:
        start = 0
        for batch in alike(volumes, size):
            yield start, batch, batch[0]
            start += len(batch)
        return
    every = indexable(volumes)
    for begin in sorted({position // size * size for position in only}):
        start, stop = begin, min(begin + size, len(every))
        for batch in alike((every[i] for i in range(begin, stop)), size):
            yield start, batch, every[0]
            start += len(batch)


def indexable(volumes: Iterable[Volume]) -> Sequence[Volume] | Cohort:
    """Give volumes a position, without loading those of a cohort."""
    return volumes if isinstance(volumes, Sequence | Cohort) else list(volumes)


def alike(volumes: Iterable[Volume], size: int) -> Iterator[list[Volume]]:
    """Cut a stream into batches of volumes with one shape and one voxel size.

    Parameters
    ----------
    volumes : iterable of Volume
    size : int
        Most volumes in a batch.

    Yields
    ------
    list of Volume

    Raises
    ------
    InputError
        If an item is not a Volume.
    """
    batch: list[Volume] = []
    for volume in volumes:
        require_volume(volume)
        if batch and (
            len(batch) == size
            or volume.grid.shape != batch[0].grid.shape
            or not np.allclose(volume.grid.voxel_size, batch[0].grid.voxel_size, rtol=1e-6)
        ):
            yield batch
            batch = []
        batch.append(volume)
    if batch:
        yield batch
