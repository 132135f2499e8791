"""What is known of each scan of a store, written down the moment when it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxplain.files.atomic import cannot_write, remove

__all__ = ["Journal", "Row"]

_WHOLE = "journal.jsonl"


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


class Journal:
    """A line for each scan that is done; parts that are made elsewhere keep one each.

    Parameters
    ----------
    folder : path
        Of the store.
    part : str, default=""
        Name of the part that writes.
    """

    def __init__(self, folder: Path, part: str = "") -> None:
        self.folder = folder
        self.path = folder / (f"journal-{part}.jsonl" if part else _WHOLE)

    def read(self) -> dict[int, Row]:
        """Return the rows by index; where several know one, the whole store's own counts."""
        return {row.index: row for path in self._all() for row in _rows(path)}

    def add(self, *rows: Row) -> None:
        """Write down that rows are in the array, or that their scans cannot be used.

        Raises
        ------
        StudyError
            If they cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                for row in rows:
                    # The break comes first: a line that was cut short must not swallow this one.
                    file.write("\n" + json.dumps(asdict(row), ensure_ascii=False))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(error, self.path) from error

    def gather(self, rows: Iterable[Row]) -> None:
        """Write all rows down in one place, and delete what the parts wrote."""
        if parts := self._of_parts():
            self.add(*rows)
            for path in parts:
                remove(path)

    def clear(self) -> None:
        """Forget all rows.

        Raises
        ------
        StudyError
            If a file cannot be deleted.
        """
        for path in self._all():
            remove(path)

    def of_parts(self) -> set[int]:
        """Return the indices of rows that are known of parts alone."""
        whole = {row.index for row in _rows(self.folder / _WHOLE)}
        return {row.index for path in self._of_parts() for row in _rows(path)} - whole

    def _of_parts(self) -> list[Path]:
        return sorted(self.folder.glob("journal-*.jsonl"))

    def _all(self) -> list[Path]:
        return [*self._of_parts(), self.folder / _WHOLE]


def _rows(path: Path) -> list[Row]:
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
