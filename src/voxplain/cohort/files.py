"""Checks on a file before it is parsed: there, whole, and packed as its name says."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from voxplain.errors import InputError

__all__ = ["file_suffix", "locate_data", "unpacked_size"]

_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".mgz", ".mgh")
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def file_suffix(path: Path) -> str:
    """Return the suffix of an image file.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        In lower case and whole, such as ``".nii.gz"``; the path's own where it is no image's.
    """
    name = path.name.lower()
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), path.suffix)


def locate_data(path: Path) -> Path:
    """Find the file that holds the voxels.

    Parameters
    ----------
    path : path
        The image as the user named it: either file of a pair will do.

    Returns
    -------
    path
        The ``.img`` of a pair, else `path`.

    Raises
    ------
    InputError
        If a needed file is missing, empty or a folder, or `path` is no image by its name.
    """
    suffix = file_suffix(path)
    header_and_data = {".hdr": ".img", ".img": ".hdr"}
    files = [path]
    if suffix in header_and_data:
        files.append(path.with_suffix(header_and_data[suffix]))
    for file in files:
        if file.is_dir():
            raise InputError(f"{file} is a folder; give the path of one image file.")
        if not file.exists():
            why = "" if file == path else f" that belongs to {path.name}"
            raise InputError(f"There is no file {file}{why}; check the path.")
    if suffix not in _SUFFIXES:
        raise InputError(
            f"{path} is not a brain image by its name; give one that ends in "
            f"{', '.join(_SUFFIXES)}."
        )
    for file in files:
        if file.stat().st_size == 0:
            raise InputError(f"{file} is an empty file (0 bytes); copy or download it again.")
    return next(file for file in files if file_suffix(file) != ".hdr")


def unpacked_size(path: Path) -> int:
    """Count the bytes behind a file's compression, which also proves its checksum.

    Known before any array is made, the size keeps a damaged header from asking for terabytes.

    Parameters
    ----------
    path : path

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InputError
        If the file is packed and its name does not say so or the other way round, or the packed
        data is truncated or corrupt.
    """
    packed = file_suffix(path) in (".nii.gz", ".mgz")
    with path.open("rb") as stream:
        magic = stream.read(2)
    if packed and magic != _GZIP_MAGIC:
        raise InputError(
            f"{path} is not compressed with gzip as its name says; "
            "rename it (without .gz, or .mgh for .mgz) or download it again."
        )
    if not packed and magic == _GZIP_MAGIC:
        raise InputError(
            f"{path} is compressed with gzip though its name does not say so; "
            "rename it to .nii.gz or .mgz."
        )
    if not packed:
        return path.stat().st_size
    size = 0
    try:
        with gzip.open(path) as unpacked:
            while chunk := unpacked.read(_CHUNK):
                size += len(chunk)
    except EOFError as error:
        raise InputError(
            f"{path} is truncated: the compressed data ends too early; copy or download it again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path} is damaged: the compressed data is corrupt; copy or download it again."
        ) from error
    return size
