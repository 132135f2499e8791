"""Fill a store row by row, so that a run that is cut short loses one scan at most."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atomic import cannot_write, read_json, write_atomically
from voxplain.cohort.store.reader import IMAGES, PLAN, STORE, TABLE, open_store
from voxplain.errors import InputError, StudyError
from voxplain.tables.formulas import plain_table
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

    from voxplain.cohort.prepare.recipe import Recipe

__all__ = ["Row", "StoreWriter", "write_row", "write_store"]

_PARTIAL = "images.partial.npy"
_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Row:
    """What is known of one scan when it has been worked on.

    Parameters
    ----------
    index : int
        Its place in the listing and in the array.
    stamp : str
        Sizes and times of the files that it was made from.
    failure : str
        Why it cannot be used, or ``""``.
    brain_ml : float, mL
        Volume of the brain.
    checksum : int
        CRC-32 of its bytes in the array.
    notes : tuple of str
        What was done or looks wrong, one sentence each.
    flags : tuple of str
        Kinds of what looks wrong, see `voxplain.cohort.check.doubts`.
    origin : mapping, optional
        Where the scan comes from, see `voxplain.cohort.store.origins.Origin`.
    """

    index: int
    stamp: str
    failure: str = ""
    brain_ml: float = 0.0
    checksum: int = 0
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    origin: Mapping[str, Any] | None = None


class StoreWriter:
    """Fills the array of a cohort, row by row, and goes on where an earlier run stopped.

    Parameters
    ----------
    folder : path
        Made when it is missing.
    recipe : Recipe
    sources : sequence of str
        What each row is made of; a folder is kept for one recipe and one list.

    Raises
    ------
    StudyError
        If the folder holds a store of another recipe or list, or cannot be written to.
    """

    def __init__(self, folder: Path, recipe: Recipe, sources: Sequence[str]) -> None:
        self.folder, self.grid = folder, recipe.grid
        self.plan = {
            "recipe": recipe.name,
            "digest": recipe.digest(),
            "steps": recipe.steps(),
            "sources": list(sources),
        }
        found = read_json(folder / PLAN)
        if found is not None and found != json.loads(json.dumps(self.plan)):
            what = "another recipe" if found.get("digest") != recipe.digest() else "other scans"
            raise StudyError(
                f"{folder} holds a cohort made by {what}; give another folder, or the same options "
                "to go on."
            )
        _write_json(folder / PLAN, self.plan)
        self.rows = {row.index: row for row in _read_journal(folder / _JOURNAL)}
        if not (folder / IMAGES).exists():
            self._allocate(len(sources))

    def pending(self, stamps: Sequence[str]) -> list[int]:
        """List the rows that are still to be made, failed, or were made from other files.

        Parameters
        ----------
        stamps : sequence of str
            Of each row's files as they are now.
        """
        return [
            i
            for i, stamp in enumerate(stamps)
            if i not in self.rows or self.rows[i].failure or self.rows[i].stamp != stamp
        ]

    def begin(self) -> Path:
        """Name the file of the array to be filled; until `finish` the folder is no store."""
        try:
            (self.folder / STORE).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(error, self.folder / STORE) from error
        whole = self.folder / IMAGES
        return whole if whole.exists() else self.folder / _PARTIAL

    def _allocate(self, count: int) -> None:
        path = self.folder / _PARTIAL
        if path.exists() and self.rows:
            return
        self.rows = {}
        try:
            (self.folder / _JOURNAL).unlink(missing_ok=True)
            # Holes take no room on the disk until a row is written.
            np.lib.format.open_memmap(
                path, mode="w+", dtype=np.float32, shape=(count, *self.grid.shape)
            )
        except OSError as error:
            raise cannot_write(error, path) from error

    def done(self, row: Row) -> None:
        """Remember that a row is in the array, or that its scan cannot be used."""
        path = self.folder / _JOURNAL
        try:
            with path.open("a", encoding="utf-8") as file:
                # The break comes first: a line that was cut short must not swallow this one.
                file.write("\n" + json.dumps(asdict(row), ensure_ascii=False))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(error, path) from error
        self.rows[row.index] = row

    def finish(self, participants: pd.DataFrame, used: Sequence[Row]) -> Cohort:
        """Put the array and its table in their places; the folder is then a store.

        Parameters
        ----------
        participants : pandas.DataFrame
            One row per source.
        used : sequence of Row
            Those that make the cohort, in the order of the sources.

        Returns
        -------
        Cohort
            Of the classes that are left.

        Raises
        ------
        InputError
            If no scan can be used, or only those of one class.
        """
        table = participants.iloc[[row.index for row in used]].reset_index(drop=True)
        left = sorted(set(table["label"])) if used else []
        if len(left) < 2:
            failures = [row.failure for row in self.rows.values() if row.failure]
            first = f" The first failure: {failures[0]}" if failures else ""
            what = f"scans of {left[0]!r} alone" if left else "no scan"
            raise InputError(f"Of {len(self.rows)} scans there is {what} that can be used.{first}")
        table = table.assign(brain_ml=[round(row.brain_ml, 1) for row in used])
        if not (self.folder / IMAGES).exists():
            (self.folder / _PARTIAL).replace(self.folder / IMAGES)
        text = plain_table(table).to_csv(sep="\t", index=False, na_rep="n/a")
        write_atomically(self.folder / TABLE, text.encode("utf-8"))
        content = {
            **{key: value for key, value in self.plan.items() if key != "sources"},
            "grid": self.grid.to_dict(),
            "class_names": left,
            "rows": [row.index for row in used],
            "checksums": [row.checksum for row in used],
            "notes": {table["participant_id"][i]: row.notes for i, row in enumerate(used)},
            "origins": [row.origin for row in used],
        }
        _write_json(self.folder / STORE, content)
        return open_store(self.folder)


def write_store(folder: Path, cohort: Cohort, recipe: str) -> Cohort:
    """Write a cohort that is in memory, such as a phantom, as a store.

    Parameters
    ----------
    folder : path
    cohort : Cohort
    recipe : str
        Where its volumes come from, a sentence.

    Returns
    -------
    Cohort
        The store, opened.

    Raises
    ------
    StudyError
        If the folder holds a cohort of something else, or cannot be written to.
    """
    plan = {"recipe": recipe, "steps": [recipe]}
    found = read_json(folder / PLAN)
    if found is not None and found != plan:
        raise StudyError(f"{folder} holds another cohort; give another folder.")
    _write_json(folder / PLAN, plan)
    path = folder / _PARTIAL
    try:
        (folder / STORE).unlink(missing_ok=True)
        np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(len(cohort), *cohort.grid.shape)
        )
    except OSError as error:
        raise cannot_write(error, path) from error
    checksums = [write_row(path, i, cohort.load(i)) for i in range(len(cohort))]
    path.replace(folder / IMAGES)
    text = plain_table(cohort.participants).to_csv(sep="\t", index=False, na_rep="n/a")
    write_atomically(folder / TABLE, text.encode("utf-8"))
    content = {
        **plan,
        "grid": cohort.grid.to_dict(),
        "class_names": list(cohort.class_names),
        "rows": list(range(len(cohort))),
        "checksums": checksums,
        "notes": {},
    }
    _write_json(folder / STORE, content)
    return open_store(folder)


def write_row(path: Path, index: int, values: NDArray[np.float32]) -> int:
    """Write one volume into the array of a store, and return its checksum.

    Unlike a mapped array, this ends in an error and not in a crash where the disk is full.

    Raises
    ------
    StudyError
        If it cannot be written.
    """
    content = np.ascontiguousarray(values, dtype=np.float32).tobytes()
    try:
        with path.open("r+b") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            file.seek(file.tell() + index * len(content))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(error, path) from error
    return zlib.crc32(content)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode("utf-8"))


def _read_journal(path: Path) -> list[Row]:
    """Read the rows that are done; a last line that was cut short does not count."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            content = json.loads(line)
            told = {name: tuple(content.get(name, ())) for name in ("notes", "flags")}
            rows.append(Row(**{**content, **told}))
        except (ValueError, TypeError, KeyError):
            continue
    return rows
