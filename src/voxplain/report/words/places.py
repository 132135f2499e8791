"""Commands as a page shows them: what they name, not where a disk has it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

__all__ = ["command_line", "without_folders"]

_ABSOLUTE: Final = re.compile(r"(?<![^=,])/[^=,]*")


def command_line(arguments: Sequence[str], beside: str = "") -> str:
    """Write a command of voxplain without the folders of its files.

    Parameters
    ----------
    arguments : sequence of str
    beside : str
        As `without_folders` takes it.
    """
    return shlex.join(["voxplain", *(without_folders(one, beside) for one in arguments)])


def without_folders(argument: str, beside: str = "") -> str:
    """Leave out in which folder a file lies; paths that do not begin at the root stay.

    Parameters
    ----------
    argument : str
        Of a command: a path, several with commas between, ``name=path``, or no path.
    beside : str
        Folder; what lies in it is named from there.

    Examples
    --------
    >>> without_folders("/home/ann/work/study", "/home/ann/work")
    'study'
    >>> without_folders("scanner=/home/ann/ref/scanner.tsv", "/home/ann/work")
    'scanner=scanner.tsv'
    """

    def shorter(found: re.Match[str]) -> str:
        path = PurePosixPath(found.group())
        return str(path.relative_to(beside)) if _within(path, beside) else path.name

    return _ABSOLUTE.sub(shorter, argument)


def _within(path: PurePosixPath, folder: str) -> bool:
    return bool(folder) and path.is_relative_to(folder)
