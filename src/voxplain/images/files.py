"""Where an image's bytes lie, and the checks on them before they are parsed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, TypeAlias, TypeGuard, Union

from voxplain.errors import InputError
from voxplain.files.pointers import require_content
from voxplain.images.archives import open_archive

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

__all__ = [
    "ImageFile",
    "ImageLike",
    "file_suffix",
    "is_nibabel",
    "locate_data",
    "open_raw",
    "require_packed_as_named",
    "unpacked",
]

_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".mgz", ".mgh", ".npy")
_GZIP_MAGIC = b"\x1f\x8b"
# The window size by which zlib expects a gzip header.
_GZIP = 31
_HEADER = 1024
# Header extensions are not announced in the number of voxels.
_SPARE = 64 << 20


@dataclass(frozen=True)
class ImageFile:
    """An image on disk, or in a zip archive.

    Parameters
    ----------
    path : path
        The file, or the archive.
    members : tuple of str
        Names in the archive: of the archives within it, from the outermost, and of the image.
    """

    path: Path
    members: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: object) -> ImageFile:
        """Take a path for a file on disk.

        Raises
        ------
        InputError
            If it is neither a path nor an ImageFile.
        """
        if isinstance(given, ImageFile):
            return given
        if not isinstance(given, str | PathLike):
            raise InputError(
                "An image must be a path, such as 'T1w.nii.gz', or an image of nibabel; "
                f"{type(given).__name__} was given."
            )
        return cls(Path(given))

    @property
    def name(self) -> str:
        """The image's own name, without folders."""
        return PurePosixPath(self.members[-1]).name if self.members else self.path.name

    @property
    def location(self) -> PurePosixPath | Path:
        """The image's name with the folders around it, those of the archive if it is in one."""
        return PurePosixPath("/", self.members[-1]) if self.members else self.path

    @property
    def suffix(self) -> str:
        """See `file_suffix`."""
        return file_suffix(self.name)

    @property
    def packed(self) -> bool:
        """Whether the name says that the bytes are compressed with gzip."""
        return self.suffix in (".nii.gz", ".mgz")

    def __str__(self) -> str:
        return ": ".join((str(self.path), *self.members))


ImageLike: TypeAlias = Union[str, PathLike[str], ImageFile, "SpatialImage"]
"""What an image is read from: a path, a file in an archive, or an image of nibabel."""


def is_nibabel(given: object) -> TypeGuard[SpatialImage]:
    """Tell whether something is an image of nibabel, which need not be loaded to ask."""
    return hasattr(given, "dataobj") and hasattr(given, "header")


def file_suffix(name: str) -> str:
    """Return the suffix of an image file.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        In lower case and whole, such as ``".nii.gz"``; the name's own where it is no image's.
    """
    lower = name.lower()
    return next((suffix for suffix in _SUFFIXES if lower.endswith(suffix)), Path(name).suffix)


def locate_data(image: ImageFile) -> ImageFile:
    """Find the file that holds the voxels.

    Parameters
    ----------
    image : ImageFile
        As the user named it: either file of a pair will do.

    Returns
    -------
    ImageFile
        The ``.img`` of a pair, else `image`.

    Raises
    ------
    InputError
        If a needed file is missing, not fetched, empty or a folder, or `image` is none by its name.
    """
    if image.members:
        if image.suffix not in _SUFFIXES or image.suffix in (".hdr", ".img"):
            raise InputError(
                f"{image} is not an image that can be read from an archive; unpack it."
            )
        return image
    header_and_data = {".hdr": ".img", ".img": ".hdr"}
    path = image.path
    files = [path]
    if image.suffix in header_and_data:
        files.append(path.with_suffix(header_and_data[image.suffix]))
    for file in files:
        if file.is_dir():
            raise InputError(f"{file} is a folder; give the path of one image file.")
        require_content(file)
        if not file.exists():
            why = "" if file == path else f" that belongs to {path.name}"
            raise InputError(f"There is no file {file}{why}; check the path.")
    if image.suffix not in _SUFFIXES:
        raise InputError(
            f"{path} is not a brain image by its name; give one that ends in "
            f"{', '.join(_SUFFIXES)}."
        )
    for file in files:
        if file.stat().st_size == 0:
            raise InputError(f"{file} is an empty file (0 bytes); copy or download it again.")
    return next(ImageFile(file) for file in files if file_suffix(file.name) != ".hdr")


@contextmanager
def open_raw(image: ImageFile) -> Iterator[IO[bytes]]:
    """Open an image's bytes as they are stored."""
    if not image.members:
        with image.path.open("rb") as stream:
            yield stream
        return
    *inner, member = image.members
    with open_archive(image.path, tuple(inner)) as archive, archive.open(member) as stream:
        yield stream


def unpacked(image: ImageFile, announced: Callable[[bytes], int]) -> bytes:
    """Read an image's bytes behind its compression, which also proves its checksum.

    Parameters
    ----------
    image : ImageFile
    announced : callable
        From the first bytes to the number of bytes that the image's header lets expect, so that
        a damaged or malicious file cannot fill the memory.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If the image is packed and its name does not say so or the other way round, the packed
        data is truncated or corrupt, or there is far more of it than announced.
    """
    with open_raw(image) as stream:
        start = stream.read(len(_GZIP_MAGIC))
        _check_packing(image, start)
        content = start + stream.read()
    if not image.packed:
        return content
    try:
        most = announced(zlib.decompressobj(_GZIP).decompress(content, _HEADER)) + _SPARE
        return _gunzip(content, most)
    except EOFError as error:
        raise InputError(
            f"{image} is truncated: the compressed data ends too early; copy or download it again."
        ) from error
    except OverflowError as error:
        raise InputError(
            f"{image} is damaged: it holds far more data than its header announces; copy or "
            "download it again."
        ) from error
    except zlib.error as error:
        raise InputError(
            f"{image} is damaged: the compressed data is corrupt; copy or download it again."
        ) from error


def _gunzip(content: bytes, most: int) -> bytes:
    """Unpack all members of a gzip stream; EOFError or OverflowError if too short or too long."""
    parts: list[bytes] = []
    total = 0
    while content:
        member = zlib.decompressobj(_GZIP)
        parts.append(member.decompress(content, most - total + 1))
        total += len(parts[-1])
        if total > most:
            raise OverflowError
        if not member.eof:
            raise EOFError
        content = member.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def require_packed_as_named(image: ImageFile) -> None:
    """Refuse an image that is packed though its name does not say so, or the other way round."""
    with open_raw(image) as stream:
        _check_packing(image, stream.read(len(_GZIP_MAGIC)))


def _check_packing(image: ImageFile, start: bytes) -> None:
    if image.packed and start != _GZIP_MAGIC:
        raise InputError(
            f"{image} is not compressed with gzip as its name says; "
            "rename it (without .gz, or .mgh for .mgz) or download it again."
        )
    if not image.packed and start == _GZIP_MAGIC:
        raise InputError(
            f"{image} is compressed with gzip though its name does not say so; "
            "rename it to .nii.gz or .mgz."
        )
