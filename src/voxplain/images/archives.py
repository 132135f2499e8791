"""One member of a zip archive, or of a zip within it, read where it lies."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from voxplain.errors import InputError
from voxplain.files.pointers import require_content

__all__ = ["Archive", "open_archive"]

_BOMB_RATIO = 1000
_BOMB_BYTES = 1 << 30
_ENCRYPTED = 1
_LOCAL_HEADER = 30


class Archive:
    """An open zip archive whose member names are safe.

    Parameters
    ----------
    file : binary file, seekable
    name : str
        Of the archive, for messages.

    Raises
    ------
    InputError
        If it is no zip archive, is cut short, or holds members that point out of it.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self._file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"{name} is not a whole zip archive (a stub, or cut short); download it again."
            ) from error
        for member in self._zip.namelist():
            path = PurePosixPath(member.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or path.parts[:1] == ("~",):
                raise InputError(
                    f"{name} holds {member!r}, a path that leads out of the archive; it was not "
                    "made by a data provider, so do not use it."
                )

    @property
    def members(self) -> list[str]:
        """Names of the files in the archive, without those of folders."""
        return [name for name in self._zip.namelist() if not name.endswith("/")]

    @contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        """Read a member as a file; its checksum is proved when it is read to its end.

        Raises
        ------
        InputError
            If there is none of this name, or it is encrypted, damaged or a bomb.
        """
        where = f"{self.name}: {member}"
        try:
            info = self._zip.getinfo(member)
        except KeyError as error:
            raise InputError(f"{self.name} holds no {member}; check the archive.") from error
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{where} is encrypted; unpack it with its password first.")
        if info.file_size > max(_BOMB_BYTES, _BOMB_RATIO * info.compress_size):
            raise InputError(
                f"{where} would unpack to {info.file_size / 1e9:.0f} GB from "
                f"{info.compress_size / 1e6:.1f} MB, which no scan does; do not use it."
            )
        try:
            with self._zip.open(info) as stream:
                yield stream
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputError(f"{where} is damaged; download {self.name} again.") from error

    @contextmanager
    def open_inner(self, member: str) -> Iterator[Archive]:
        """Open a zip archive that lies in this one.

        Providers store archives in archives without compressing them again: such a one is read in
        place. Any other is unpacked in memory.
        """
        info = self._zip.getinfo(member)
        name = f"{self.name}: {member}"
        with self.open(member) as stream:
            if info.compress_type == zipfile.ZIP_STORED:
                yield Archive(_stored(self._file, info), name)
            else:
                yield Archive(io.BytesIO(stream.read()), name)


@contextmanager
def open_archive(path: Path, inner: tuple[str, ...] = ()) -> Iterator[Archive]:
    """Open a zip archive on disk, or one within it.

    Parameters
    ----------
    path : path
    inner : tuple of str
        Members that are archives themselves, from the outermost.

    Raises
    ------
    InputError
        If the file is missing, not fetched, may not be read, or is no zip archive.
    """
    with ExitStack() as stack:
        require_content(path)
        try:
            file = stack.enter_context(path.open("rb"))
        except FileNotFoundError as error:
            raise InputError(f"There is no file {path}; check the path.") from error
        except PermissionError as error:
            raise InputError(
                f"{path} may not be read by this user; change its permissions."
            ) from error
        except IsADirectoryError as error:
            raise InputError(f"{path} is a folder, not a zip archive.") from error
        archive = Archive(file, str(path))
        for member in inner:
            archive = stack.enter_context(archive.open_inner(member))
        yield archive


def _stored(file: IO[bytes], info: zipfile.ZipInfo) -> io.BufferedReader[_Window]:
    """Give a window on a member that lies in the archive as it is."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    # The local header repeats the name, and has its own extra field; data follow both.
    start = info.header_offset + _LOCAL_HEADER
    start += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return io.BufferedReader(_Window(file, start, info.file_size))


class _Window(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._base, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if origin + offset < 0:
            raise ValueError(offset)
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._base.seek(self._start + self._at)
        content = self._base.read(max(0, min(len(buffer), self._length - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
