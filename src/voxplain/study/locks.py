"""Who works in a study: several parts of one run, or one command alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EROFS
from pathlib import Path

from voxplain.errors import StudyError
from voxplain.files.atomic import alive

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows knows no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["alive", "at_work"]


@contextmanager
def at_work(file: Path, *, together: bool, busy: str) -> Iterator[None]:
    """Hold a lock on a file that is there already, as long as the work lasts.

    The system lets go of it when the process ends, however it ends, and nothing remains on disk. On
    NFS it holds between machines. A file system that knows no locks is worked on without.

    Parameters
    ----------
    file : path
        Never changed; where it cannot be opened, there is nothing to be held.
    together : bool
        Whether others that work together may hold it too.
    busy : str
        Sentence for who finds it held.

    Raises
    ------
    StudyError
        With that sentence.
    """
    handle = _opened(file)
    if handle is None or fcntl is None:
        yield
        return
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (EACCES, EAGAIN):
                raise StudyError(busy) from error
        yield
    finally:
        os.close(handle)


def _opened(file: Path) -> int | None:
    """Open a file; for writing where one may, as NFS wants it, though nothing is written."""
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(file, flags | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            if error.errno not in (EACCES, EROFS):
                return None
    return None
