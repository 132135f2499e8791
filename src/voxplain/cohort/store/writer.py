"""Fill a store row by row, so that a run that is cut short loses one scan at most."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.store.journal import Journal, Row
from voxplain.cohort.store.reader import IMAGES, PLAN, STORE, TABLE, open_store
from voxplain.errors import InputError, StudyError
from voxplain.files.atomic import cannot_write, read_json, remove, replacing, write_atomically
from voxplain.tables.formulas import plain_table
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

    from voxplain.cohort.prepare.recipe import Recipe

__all__ = ["StoreWriter", "write_row", "write_store"]

_PARTIAL = "images.partial.npy"


class StoreWriter:
    """Fills the array of a cohort, row by row, and goes on where an earlier run stopped.

    Parameters
    ----------
    folder : path
        Made when it is missing.
    recipe : Recipe
    sources : sequence of str
        What each row is made of; a folder is kept for one recipe and one list.
    part : str, default=""
        Name of the part that is made, where others make other rows of the same store.

    Raises
    ------
    StudyError
        If the folder holds a store of another recipe or list, or cannot be written to.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, sources: Sequence[str], part: str = ""
    ) -> None:
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
        if found is None:
            _write_once(folder / PLAN, self.plan)
        self._journal = Journal(folder, part)
        if not (folder / IMAGES).exists():
            self._allocate(len(sources))
        self.rows = self._journal.read()

    def pending(self, stamps: Mapping[int, str]) -> list[int]:
        """List the rows that are still to be made, failed, or were made from other files.

        Parameters
        ----------
        stamps : mapping of int to str
            Of the rows that are asked for, and their files as they are now.
        """
        return [
            i
            for i, stamp in stamps.items()
            if i not in self.rows or self.rows[i].failure or self.rows[i].stamp != stamp
        ]

    def distrust(self) -> None:
        """Forget the rows of parts whose bytes are not in the array, as after a lost disk."""
        for index in self._journal.of_parts():
            values = np.load(self._images(), mmap_mode="r")[index]
            if zlib.crc32(values.tobytes()) != self.rows[index].checksum:
                del self.rows[index]

    def begin(self) -> Path:
        """Name the file of the array to be filled; until `finish` the folder is no store."""
        remove(self.folder / STORE)
        return self._images()

    def _images(self) -> Path:
        whole = self.folder / IMAGES
        return whole if whole.exists() else self.folder / _PARTIAL

    def _allocate(self, count: int) -> None:
        """Make room for all rows, unless it is there; who comes first of several does it."""
        path, shape = self.folder / _PARTIAL, (count, *self.grid.shape)
        head = _head(shape)
        size = len(head) + 4 * math.prod(shape)
        if path.exists():
            if path.stat().st_size == size:
                return
            remove(path)
        self._journal.clear()
        with replacing(path, once=True) as file:
            file.write(head)
            # Holes take no room on the disk until a row is written.
            file.truncate(size)

    def done(self, row: Row) -> None:
        """Remember that a row is in the array, or that its scan cannot be used."""
        self._journal.add(row)
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
        self._journal.gather(self.rows.values())
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


def _head(shape: tuple[int, ...]) -> bytes:
    """Return how an array of float32 begins as a file of NumPy."""
    head = BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()


def _write_once(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path, once=True) as file:
        file.write(_json(content))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, _json(content))


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
