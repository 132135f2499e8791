"""Prepare all scans of a listing, several at a time, and put them in a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from voxplain.cohort.check.balance import matched_by_size
from voxplain.cohort.check.doubts import Doubt, doubts_of
from voxplain.cohort.find.listing import Exclusion, Listing
from voxplain.cohort.prepare.recipe import Recipe, recipe_of
from voxplain.cohort.store.writer import StoreWriter
from voxplain.cohort.workers import Work
from voxplain.errors import InputError
from voxplain.progress import Progress, Silent
from voxplain.volume import Cohort

__all__ = ["Built", "begin_store", "build_part", "build_store"]


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
    stop: Callable[[], None] | None = None,
) -> Built:
    """Bring every scan of a listing onto a recipe's grid, and write the store.

    What an earlier run with the same listing and recipe has done is kept, and what parts of it did
    (`build_part`). A scan that cannot be used is left out with its reason, and the others go on.

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
    stop : callable, optional
        Called after each scan; what it raises ends the work, and the same call goes on.

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
    recipe, progress = recipe_of(recipe), progress or Silent()
    work = Work(found, recipe, workers, progress, stop)
    writer = begin_store(found, recipe, folder)
    writer.distrust()
    work.do(writer, range(len(found)))
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


def begin_store(
    found: Listing, recipe: Recipe, folder: str | PathLike[str], part: str = ""
) -> StoreWriter:
    """Fix of what a store is made, and make room for it; nothing is prepared.

    Parameters
    ----------
    found : Listing
    recipe : Recipe
    folder : path
    part : str, default=""
        Name of the part that is to be made.

    Raises
    ------
    StudyError
        If the folder holds a store of something else, or cannot be written to.
    """
    sources = [f"{scan.image}|{scan.mask or ''}" for scan in found.scans]
    return StoreWriter(Path(folder), recipe, sources, part)


def build_part(
    found: Listing,
    recipe: Recipe,
    folder: str | PathLike[str],
    part: tuple[str, Sequence[int]],
    workers: int = 1,
    progress: Progress | None = None,
    stop: Callable[[], None] | None = None,
) -> None:
    """Prepare some scans of a listing, for `build_store` to find.

    Parameters
    ----------
    found, recipe, folder, workers, progress, stop
        As for `build_store`.
    part : tuple of str and sequence of int
        Its name, which no other part at work has, and the places of its scans in the listing.

    Raises
    ------
    StudyError
        As for `build_store`.
    """
    work, (name, indices) = Work(found, recipe, workers, progress or Silent(), stop), part
    work.do(begin_store(found, recipe, folder, name), indices)


def _require_one_scan_each(found: Listing) -> None:
    if found.participants["participant_id"].duplicated().any():
        raise InputError(
            "Matching by size takes one scan of each participant, and some have several here; "
            "leave out --all-scans, or --match."
        )
