"""The images of a training, batch by batch, changed at random, loaded ahead."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.fit.training.augment import changer, mirror
from voxplain.fit.training.processes import Processes
from voxplain.fit.training.schedule import Schedule
from voxplain.volume import Cohort

__all__ = ["Batches", "Loaded"]

Loaded = tuple[int, NDArray[np.int64], NDArray[np.float32]]
"""Scans in the whole batch, and the positions and images of this process's share."""


class Batches:
    """Shuffles, loads, mirrors and changes the images of each epoch.

    Parameters
    ----------
    cohort : Cohort
    learners : array (n,)
        Positions of the scans that are learnt from.
    schedule : Schedule
    seed : int
    processes : Processes

    Attributes
    ----------
    count : int
        Batches in an epoch.
    rng : numpy.random.Generator
        Its state decides all that follows, up to what the epoch's number seeds.

    Raises
    ------
    InputError
        If there are too few scans in a batch for the processes.
    """

    def __init__(
        self,
        cohort: Cohort,
        learners: NDArray[np.int64],
        schedule: Schedule,
        seed: int,
        processes: Processes,
    ) -> None:
        self.cohort, self.learners, self.seed = cohort, learners, seed
        self.mirrored, self.processes = schedule.mirror, processes
        self.count = -(-len(learners) // schedule.batch_size)
        self.rng = np.random.default_rng(seed)
        self._change = changer(schedule.augment, cohort.grid)
        if processes.count > 1 and (
            len(learners) // self.count < processes.count or schedule.parts > 1
        ):
            raise InputError(
                f"{processes.count} processes need batches of {processes.count} scans or more, in "
                f"one part; batches of {schedule.batch_size} in {schedule.parts} were asked for."
            )

    def epoch(self, number: int) -> Iterator[Loaded]:
        """Load each batch while the one before is worked on.

        Parameters
        ----------
        number : int
            Of the epoch, from 1.

        Yields
        ------
        Loaded
        """
        chunks = np.array_split(self.rng.permutation(self.learners), self.count)
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(self._load, chunks[0], number)
            for after in [*chunks[1:], None]:
                loaded = waiting.result()
                if after is not None:
                    waiting = pool.submit(self._load, after, number)
                yield loaded

    def _load(self, chunk: NDArray[np.int64], epoch: int) -> Loaded:
        # Drawn for the whole batch, so that all processes draw alike.
        turned = self.rng.random(len(chunk)) < 0.5
        own = np.arange(len(chunk))[self.processes.rank :: self.processes.count]
        images = self.cohort.stack(chunk[own])
        if self.mirrored:
            mirror(images, self.cohort.grid, turned[own])
        for row, index in enumerate(chunk[own]):
            seed = hash((self.seed, epoch, int(index))) % 2**32
            images[row] = self._change(images[row], seed)
        return len(chunk), chunk[own], images
