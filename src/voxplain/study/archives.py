"""One store of maps: a zip archive of the NIfTI files and sidecars that they would be."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voxplain.files.atomic import replacing

__all__ = ["Held", "read_contents", "write_archive"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16
_LOCAL_HEADER = 30
_NAME = re.compile(r"sub-[0-9A-Za-z_+-]+/sub-[0-9A-Za-z_+-]+_statmap\.(json|nii\.gz)")
_LONGEST = 1 << 26
"""Bytes that a sidecar may unpack to."""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a file lies in a store.

    Parameters
    ----------
    store : str
        Name of the store.
    edition : int
        How many others of its name it replaced.
    offset, size : int
        Place and size, packed.
    crc : int
        CRC-32.
    packed : bool
    """

    store: str
    edition: int
    offset: int
    size: int
    crc: int
    packed: bool

    def read(self, folder: Path, name: str) -> bytes | None:
        """Read the file where it lies; None where nothing, or something else, lies there."""
        try:
            with (folder / self.store).open("rb") as file:
                file.seek(self.offset)
                head = file.read(_LOCAL_HEADER)
                length, extra = (int.from_bytes(head[i : i + 2], "little") for i in (26, 28))
                if file.read(length).decode("utf-8", "replace") != name:
                    return None
                file.seek(extra, os.SEEK_CUR)
                content = file.read(self.size)
            if self.packed:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, _LONGEST)
        except (OSError, zlib.error):
            return None
        return content if zlib.crc32(content) == self.crc else None


def read_contents(path: Path) -> dict[str, Held] | None:
    """Read what a store holds, by name; None where it is empty, cut short or damaged.

    Nor is a store read that holds other names than maps have, such as one that leads elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if not all(_NAME.fullmatch(name) for name in archive.namelist()):
                return None
            return {
                info.filename: Held(
                    path.name,
                    int(info.comment or 0),
                    info.header_offset,
                    info.compress_size,
                    info.CRC,
                    info.compress_type == zipfile.ZIP_DEFLATED,
                )
                for info in archive.infolist()
            }
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None


def write_archive(path: Path, files: Iterable[tuple[str, bytes, int]]) -> None:
    """Write a store whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    path : path
    files : iterable of (str, bytes, int)
        Name, content and edition of each, one held at a time.

    Raises
    ------
    StudyError
        If it cannot be written, as on a full disk.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, content, edition in files:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, _READABLE
            info.comment = str(edition).encode() if edition else b""
            # A NIfTI file is packed already.
            kind = zipfile.ZIP_STORED if name.endswith(".gz") else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, kind)
