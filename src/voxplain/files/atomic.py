"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import StudyError

__all__ = [
    "alive", "cannot_write", "json_bytes", "on_disk", "plain", "read_json", "remove", "replacing",
    "sweep", "write_atomically",
]  # fmt: skip

_HALF = ".partial"
_LONG = 3600.0


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file beside its place, and put it there by renaming.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made when it is missing.
    content : bytes
    private : bool, default=False
        Whether nobody but its owner may read it.

    Raises
    ------
    StudyError
        If it cannot be written, as on a full disk; what stood at the path before stays.
    """
    with replacing(path, private=private) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, once: bool = False, private: bool = False) -> Iterator[IO[bytes]]:
    """Open a file beside a place, and put it there by renaming when all of it is written.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made when it is missing.
    once : bool, default=False
        Whether a file that somebody else has put there meanwhile stays.
    private : bool, default=False
        Whether nobody but its owner may read it.

    Yields
    ------
    binary file
        To be written to.

    Raises
    ------
    StudyError
        As `write_atomically`.
    """
    temporary = ""
    try:
        _make_folder(path.parent)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{_host()}.{os.getpid()}.", suffix=_HALF, delete=False
        ) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o600 if private else 0o644)
        if not (once and _linked(Path(temporary), path)):
            Path(temporary).replace(path)
        _settle(path.parent)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(error, path) from error
        raise


def _linked(file: Path, path: Path) -> bool:
    """Give a file a second name, unless another file has it; False where links are unknown."""
    try:
        path.hardlink_to(file)
    except FileExistsError:
        pass
    except OSError:
        if not path.exists():
            return False
    file.unlink()
    return True


def on_disk(folder: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Map a file without a name into memory, as an array of zeros.

    Parameters
    ----------
    folder : pathlib.Path
        On whose disk it lies.
    shape : tuple of 2 ints

    Returns
    -------
    array, float32

    Raises
    ------
    StudyError
        If there is no room for it.
    """
    count = 4 * shape[0] * shape[1]
    try:
        with tempfile.TemporaryFile(
            dir=folder, prefix=f".{_host()}.{os.getpid()}.", suffix=_HALF
        ) as file:
            # A mapped file that cannot grow ends the process, not in a sentence.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, count)
            else:  # pragma: no cover - macOS and Windows
                file.truncate(count)
            return np.frombuffer(mmap.mmap(file.fileno(), count), np.float32).reshape(shape)
    except OSError as error:
        raise cannot_write(error, folder / "a file for intermediate results") from error


def _make_folder(folder: Path) -> None:
    """Make a folder, and bring its name to disk, as `_settle` does that of a file."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _settle(folder.parent)


def remove(path: Path) -> None:
    """Delete a file, if it is there.

    Raises
    ------
    StudyError
        If it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(error, path) from error


def sweep(folder: Path) -> None:
    """Remove half files below a folder whose writers were killed.

    A writer on this machine is known to be gone; one elsewhere is taken to be, an hour later.
    """
    for path in folder.rglob(f".*{_HALF}"):
        host, _, rest = path.name[1:].partition(".")
        pid = rest.partition(".")[0]
        with contextlib.suppress(OSError):
            here = host == _host() and pid.isdigit()
            if not alive(int(pid)) if here else time.time() - path.stat().st_mtime > _LONG:
                path.unlink()


def alive(pid: int) -> bool:
    """Tell whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def _settle(folder: Path) -> None:
    """Bring the names in a folder to disk too, where the system can: a rename outlasts a crash."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read an object from a JSON file, None where there is none that is whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return an object as the bytes of a JSON file; values that are not finite become null."""
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def plain(value: Any) -> Any:
    """Turn arrays, NumPy numbers and paths into what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def cannot_write(error: OSError, path: Path) -> StudyError:
    """Turn a failed write into a sentence that says what to do."""
    if isinstance(error, StudyError):
        return error
    reason = {
        errno.ENOSPC: "the disk is full; free some space and run the same command again",
        errno.EDQUOT: "your quota is used up; free some space and run the same command again",
        errno.EACCES: "you may not write there; choose another folder",
        errno.EPERM: "you may not write there; choose another folder",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EIO: "the disk does not answer; look after it, and run the same command again",
        errno.ESTALE: "the shared file system has lost it; run the same command again",
        errno.ENOTDIR: "a part of the path is a file; choose another folder",
        errno.EEXIST: "a part of the path is a file; choose another folder",
    }.get(error.errno or 0, error.strerror or str(error))
    return StudyError(f"{path} cannot be written: {reason}.")
