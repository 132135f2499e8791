"""Maps of many scans in few files: which store holds which, and batches put together."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from voxplain.files.atomic import remove
from voxplain.study.archives import Held, read_contents, write_archive
from voxplain.study.batches import Batch

__all__ = ["Stores"]

_ENDING = "_statmap.zip"
_BATCH = re.compile(r"(?P<block>.+)_batch-\d+" + re.escape(_ENDING))
_FRESH_NS = 2_000_000_000
"""A folder that was changed within that time may change again without its time telling."""


class Stores:
    """The stores of a study's maps, each a zip archive that is written whole or not at all.

    A batch of maps is written as one file. When all batches of a block are there, they are put
    together. Files have in a store the names that they would have in the folder of maps. Of several
    files of one name, that counts which replaced more others, then that in a batch.

    Parameters
    ----------
    folder : path
        In which they lie; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._looked = -1
        self._forget()

    def __reduce__(self) -> tuple[type[Stores], tuple[Path]]:
        """Travel to another process as the folder alone."""
        return Stores, (self.folder,)

    def list_names(self, folder: str | None = None) -> list[str]:
        """Name the files of all stores, or those in one folder, such as ``sub-01``, in order."""
        with self._lock:
            self._look()
            return sorted(self._held if folder is None else self._of.get(folder, ()))

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None where it is in no store or damaged."""
        for _ in range(2):
            with self._lock:
                self._look()
                held = self._held.get(name)
            if held is None:
                return None
            content = held.read(self.folder, name)
            if content is not None:
                return content
            # Another process may have put its batch into a block meanwhile.
            with self._lock:
                self._forget()
        return None

    def edition(self, name: str) -> int | None:
        """Tell how many others of its name a file replaced, None where there is none."""
        with self._lock:
            self._look()
            held = self._held.get(name)
        return None if held is None else held.edition

    def unreadable(self) -> list[Path]:
        """List the stores that are empty, cut short or damaged."""
        with self._lock:
            self._forget()
            self._look()
            return [self.folder / name for name in sorted(self._unread)]

    def write(self, batch: Batch, files: Mapping[str, bytes], editions: Mapping[str, int]) -> None:
        """Write the files of a batch, and put its block together if that is whole now.

        Parameters
        ----------
        batch : Batch
        files : mapping of str to bytes
        editions : mapping of str to int
            How many others each replaces; none where it is not named.

        Raises
        ------
        StudyError
            If it cannot be written, as on a full disk.
        """
        name = f"{batch.block}_batch-{batch.number:03d}{_ENDING}"
        told = ((one, files[one], editions.get(one, 0)) for one in sorted(files))
        write_archive(self.folder / name, told)
        with self._lock:
            self._drop([name])
            self._look()
            there = self._batches().get(batch.block, [])
            if len(there) == batch.of and f"{batch.block}{_ENDING}" not in self._contents:
                self._join(batch.block, there)

    def tidy(self) -> None:
        """Put all batches into their blocks, whole or not, and drop stores that nothing is read of.

        Nobody else may write meanwhile.

        Raises
        ------
        StudyError
            If it cannot be written.
        """
        with self._lock:
            self._forget()
            self._look()
            for block, there in self._batches().items():
                self._join(block, there)
            self._look()
            used = {held.store for held in self._held.values()}
            self._remove([name for name in self._contents if name not in used])

    def _batches(self) -> dict[str, list[str]]:
        """List the readable batches that are in no block yet, by block."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._contents):
            if match := _BATCH.fullmatch(name):
                found.setdefault(match["block"], []).append(name)
        return found

    def _join(self, block: str, batches: Sequence[str]) -> None:
        """Put batches into their block, unless another process did."""
        whole = f"{block}{_ENDING}"
        best: dict[str, Held] = {}
        for store in (whole, *batches):
            for name, held in self._contents.get(store, {}).items():
                if name not in best or _rank(held) >= _rank(best[name]):
                    best[name] = held

        def files() -> Iterator[tuple[str, bytes, int]]:
            for name, held in sorted(best.items()):
                content = held.read(self.folder, name)
                if content is not None:
                    yield name, content, held.edition
                elif held.store != whole:
                    raise _GoneError

        try:
            write_archive(self.folder / whole, files())
        except _GoneError:
            self._forget()
            return
        self._drop([whole])
        self._remove(batches)

    def _look(self) -> None:
        """Take notice of stores that came or went since the last look."""
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._looked and time.time_ns() - changed > _FRESH_NS:
            return
        self._looked = changed
        there = set(_stores_in(self.folder)) if changed else set()
        self._drop([name for name in self._contents if name not in there])
        for name in sorted(there - self._contents.keys()):
            content = read_contents(self.folder / name)
            if content is None:
                self._unread.add(name)
            else:
                self._unread.discard(name)
                self._add(name, content)
        self._unread &= there

    def _add(self, store: str, content: dict[str, Held]) -> None:
        self._contents[store] = content
        for name, held in content.items():
            known = self._held.get(name)
            if known is None:
                self._of.setdefault(name.rpartition("/")[0], []).append(name)
                self._held[name] = held
                continue
            last, first = sorted((known, held), key=_rank)
            self._held[name] = first
            self._hidden.setdefault(name, []).append(last)

    def _drop(self, stores: Sequence[str]) -> None:
        """Forget stores, and find again what they hid."""
        for store in stores:
            for name in self._contents.pop(store, {}):
                left = [one for one in self._hidden.pop(name, []) if one.store != store]
                if self._held[name].store == store:
                    if not left:
                        del self._held[name]
                        self._of[name.rpartition("/")[0]].remove(name)
                        continue
                    self._held[name] = max(left, key=_rank)
                    left.remove(self._held[name])
                if left:
                    self._hidden[name] = left

    def _remove(self, stores: Sequence[str]) -> None:
        for name in stores:
            remove(self.folder / name)
        self._drop(stores)

    def _forget(self) -> None:
        self._contents: dict[str, dict[str, Held]] = {}
        self._held: dict[str, Held] = {}
        self._hidden: dict[str, list[Held]] = {}
        self._of: dict[str, list[str]] = {}
        self._unread: set[str] = set()
        self._looked = -1


class _GoneError(Exception):
    """A batch was put into its block by another process."""


def _rank(held: Held) -> tuple[int, bool, str]:
    return held.edition, _BATCH.fullmatch(held.store) is not None, held.store


def _stores_in(folder: Path) -> list[str]:
    return [one.name for one in folder.glob(f"*{_ENDING}") if one.name[0] != "."]
