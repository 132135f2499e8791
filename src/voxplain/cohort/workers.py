"""Scans of a listing prepared in several processes, each a row of the store."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from voxplain.cohort.find.listing import Listing, Scan
from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.prepare.preprocess import prepare
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.prepare.skullstrip import find_brain
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.cohort.read.masks import read_mask
from voxplain.cohort.read.volumes import read_volume
from voxplain.cohort.store.journal import Row
from voxplain.cohort.store.origins import Origin
from voxplain.cohort.store.writer import StoreWriter, write_row
from voxplain.errors import InputError, StudyError, remarks
from voxplain.progress import Progress

__all__ = ["Work"]


@dataclass(frozen=True)
class Work:
    """How scans of a listing are prepared.

    Parameters
    ----------
    found : Listing
    recipe : Recipe
    workers : int
        Processes; each holds one scan at a time.
    progress : Progress
    stop : callable, optional
        Called after each scan; what it raises ends the work.
    """

    found: Listing
    recipe: Recipe
    workers: int
    progress: Progress
    stop: Callable[[], None] | None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"At least one worker is needed; {self.workers} were given.")

    def do(self, writer: StoreWriter, indices: Sequence[int]) -> None:
        """Prepare scans, but for those that are in the store already.

        Parameters
        ----------
        writer : StoreWriter
        indices : sequence of int
            Places of the scans in the listing.

        Raises
        ------
        StudyError
            If the store cannot be written, or a process is killed.
        """
        scans = self.found.scans
        stamps = {index: _stamp(scans[index]) for index in indices}
        pending = writer.pending(stamps)
        if len(pending) < len(indices):
            self.progress.say(
                f"{len(indices) - len(pending)} scans are kept, they were done before."
            )
        if not pending:
            return
        count = len(pending)
        with self.progress.step(f"Preparing {count} scan{'s' * (count > 1)}", count) as advance:
            # Worked out once: nilearn takes seconds to import in every worker.
            centre, images = mni152_centre(), writer.begin()
            tasks = [_Task(i, stamps[i], scans[i], self.recipe, centre, images) for i in pending]
            for number, row in enumerate(_run(tasks, self.workers), 1):
                writer.done(row)
                advance(number, note=scans[row.index].name)
                if self.stop:
                    self.stop()


@dataclass(frozen=True)
class _Task:
    index: int
    stamp: str
    scan: Scan
    recipe: Recipe
    centre: tuple[float, float, float]
    images: Path


def _stamp(scan: Scan) -> str:
    """Write down size and time of change of a scan's files; a file that is gone has none."""
    parts = []
    for file in (scan.image, scan.mask):
        try:
            stat = file.path.stat() if file is not None else None
        except OSError:
            stat = None
        parts.append("-" if stat is None else f"{stat.st_size}@{stat.st_mtime_ns}")
    return " ".join(parts)


def _run(tasks: Sequence[_Task], workers: int) -> Iterator[Row]:
    if workers == 1 or len(tasks) == 1:
        yield from map(_prepare, tasks)
        return
    # Threads of the parent's libraries do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, initializer=_one_thread)
    try:
        waiting: list[Future[Row]] = [pool.submit(_prepare, task) for task in tasks]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool as error:
        raise StudyError(
            "A worker was killed, most likely for want of memory; run the same command again with "
            "fewer --workers, finished scans are kept."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _prepare(task: _Task) -> Row:
    scan = task.scan
    try:
        with remarks() as said:
            trusted = task.recipe.orientation
            volume = read_volume(scan.image, scan.name, trusted)
            mask = None if scan.mask is None else read_mask(scan.mask, volume, trusted)
            if mask is None and task.recipe.skull_strip:
                mask = find_brain(volume)
        with remarks():
            prepared = prepare(volume, task.recipe, mask, task.centre)
    except InputError as error:
        return Row(task.index, task.stamp, failure=str(error))
    checksum = write_row(task.images, task.index, prepared.volume.values)
    return Row(
        task.index,
        task.stamp,
        "",
        prepared.brain_ml,
        checksum,
        (*said, *prepared.notes),
        _flags(prepared, mask is None, said),
        _origin(scan, prepared).to_dict(),
    )


def _origin(scan: Scan, prepared: Prepared) -> Origin:
    image = replace(scan.image, path=scan.image.path.absolute())
    return Origin(image, prepared.source, prepared.shift)


def _flags(prepared: Prepared, unmasked: bool, said: Sequence[str]) -> tuple[str, ...]:
    more = (("no mask", unmasked), ("read", bool(said)))
    return (*prepared.flags, *(flag for flag, raised in more if raised))
