"""Prepare all scans of a listing, several at a time, and put them in a store."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from voxplain.cohort.check.balance import matched_by_size
from voxplain.cohort.check.doubts import Doubt, doubts_of
from voxplain.cohort.find.listing import Exclusion, Listing, Scan
from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.prepare.preprocess import prepare
from voxplain.cohort.prepare.recipe import Recipe, recipe_of
from voxplain.cohort.prepare.skullstrip import find_brain
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.cohort.read.masks import read_mask
from voxplain.cohort.read.volumes import read_volume
from voxplain.cohort.store.origins import Origin
from voxplain.cohort.store.writer import Row, StoreWriter, write_row
from voxplain.errors import InputError, StudyError, remarks
from voxplain.progress import Progress, Silent
from voxplain.volume import Cohort

__all__ = ["Built", "build_store"]


@dataclass(frozen=True, eq=False)
class Built:
    """A store that is finished.

    Parameters
    ----------
    cohort : Cohort
    exclusions : tuple of Exclusion
        Of the listing, and scans that turned out unusable.
    notes : dict of str to tuple of str
        By scan, what was done or looks wrong.
    doubts : tuple of Doubt
        The same over all scans, the gravest first.
    """

    cohort: Cohort
    exclusions: tuple[Exclusion, ...]
    notes: dict[str, tuple[str, ...]]
    doubts: tuple[Doubt, ...] = ()


def build_store(
    found: Listing,
    recipe: Recipe | str,
    folder: str | PathLike[str],
    workers: int = 1,
    progress: Progress | None = None,
    match_size: bool = False,
) -> Built:
    """Bring every scan of a listing onto a recipe's grid, and write the store.

    What an earlier run with the same listing and recipe has done is kept. A scan that cannot be
    used is left out with its reason, and the others go on.

    Parameters
    ----------
    found : Listing
    recipe : Recipe or str
        A name stands for one of `voxplain.cohort.PRESETS`.
    folder : path
    workers : int, default=1
        Processes; each holds one scan at a time.
    progress : Progress, optional
        Told how far it is; nobody by default.
    match_size : bool, default=False
        Whether only pairs of both classes of one brain size are kept; see `matched_by_size`.

    Returns
    -------
    Built

    Raises
    ------
    InputError
        If too few scans can be used.
    StudyError
        If the store cannot be written, or a process is killed.
    """
    if workers < 1:
        raise InputError(f"At least one worker is needed; {workers} were given.")
    recipe, progress = recipe_of(recipe), progress or Silent()
    sources = [f"{scan.image}|{scan.mask or ''}" for scan in found.scans]
    writer = StoreWriter(Path(folder), recipe, sources)
    stamps = [_stamp(scan) for scan in found.scans]
    pending = writer.pending(stamps)
    if len(pending) < len(found):
        progress.say(f"{len(found) - len(pending)} scans are kept, they were done before.")
    if pending:
        with progress.step(f"Preparing {len(pending)} scans", len(pending)) as advance:
            # Worked out once: nilearn takes seconds to import in every worker.
            centre, images = mni152_centre(), writer.begin()
            tasks = [_Task(i, stamps[i], found.scans[i], recipe, centre, images) for i in pending]
            for number, row in enumerate(_run(tasks, workers), 1):
                writer.done(row)
                advance(number, note=found.scans[row.index].name)
    failed = tuple(
        Exclusion(found.scans[i].name, str(found.scans[i].image), row.failure.rstrip("."))
        for i, row in sorted(writer.rows.items())
        if row.failure
    )
    used = [row for _, row in sorted(writer.rows.items()) if not row.failure]
    if match_size:
        _require_one_scan_each(found)
        kept = matched_by_size(
            [found.participants["label"][row.index] for row in used],
            [row.brain_ml for row in used],
            found.class_names,
        )
        alone = [used[i] for i in range(len(used)) if i not in set(kept)]
        failed += tuple(
            Exclusion(
                found.scans[row.index].name,
                str(found.scans[row.index].image),
                "no partner of this brain size in the other class",
            )
            for row in alone
        )
        used = [used[i] for i in kept]
    cohort = writer.finish(found.participants, used)
    notes = {found.scans[row.index].name: row.notes for row in used if row.notes}
    flags = {found.scans[row.index].name: row.flags for row in used}
    doubts = tuple(doubts_of(cohort, flags, recipe))
    return Built(cohort, (*found.exclusions, *failed), notes, doubts)


def _require_one_scan_each(found: Listing) -> None:
    if found.participants["participant_id"].duplicated().any():
        raise InputError(
            "Matching by size takes one scan of each participant, and some have several here; "
            "leave out --all-scans, or --match."
        )


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
