"""Files that are not here yet: what git-annex, DataLad and Git LFS leave in place of content."""

from __future__ import annotations

import os
from pathlib import Path

from voxplain.errors import InputError

__all__ = ["is_named", "require_content"]

_LFS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_ANNEX = "annex/objects/"
# git-annex takes nothing larger for a pointer.
_LARGEST = 32 << 10
_FIRST = 1024


def is_named(path: Path) -> bool:
    """Tell whether a folder lists a file, be it here or a link to what was not fetched."""
    return os.path.lexists(path)


def require_content(path: Path) -> None:
    """Refuse a link to nothing and a pointer, with the command that fetches the file.

    Parameters
    ----------
    path : path
        A file; one that is missing altogether, or may not be read, is passed over.

    Raises
    ------
    InputError
    """
    if _leads_nowhere(path):
        target = path.readlink().as_posix()
        if _ANNEX in target:
            raise _annexed(path, "a link of git-annex")
        raise InputError(
            f"{path} is a link to {target}, and nothing is there; mend the link or give the file "
            "itself."
        )
    start = _start(path)
    if start.startswith(_LFS):
        raise InputError(
            f"{path} is a pointer of Git LFS, and its content was not fetched; run git lfs pull "
            "in its repository."
        )
    line = start.split(b"\n")[0].replace(b"\\", b"/")
    # Unlocked files hold the key alone; where links are impossible, git writes the link as text.
    if line.startswith(b"/annex/objects/") or b".git/annex/objects/" in line:
        raise _annexed(path, "a pointer of git-annex")


def _leads_nowhere(path: Path) -> bool:
    try:
        return path.is_symlink() and not path.exists()
    except OSError:
        return False


def _start(path: Path) -> bytes:
    """Read the first bytes of a file that is small enough for a pointer; of others none."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return b""
        with path.open("rb") as file:
            return file.read(_FIRST)
    except OSError:
        # Whoever reads the file says what is the matter.
        return b""


def _annexed(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} is {what}, and its content was not fetched; run datalad get or git annex get on "
        "it."
    )
