"""One scan from one file: values, place in space, and a sentence for whatever is wrong."""

from __future__ import annotations

import io
import logging
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeImage
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxplain.cohort.arrays import read_array
from voxplain.cohort.files import (
    ImageFile,
    locate_data,
    require_packed_as_named,
    unpacked,
)
from voxplain.cohort.names import subject_label
from voxplain.errors import GridError, InputError, VoxplainError
from voxplain.grid import Grid, require_same_grid
from voxplain.volume import Volume

__all__ = ["read_mask", "read_volume"]

_SINGLE_FILE: tuple[Any, ...] = (nib.Nifti1Image, nib.Nifti2Image)
_SNIFF = 1024


def read_volume(path: str | PathLike[str] | ImageFile, subject: str | None = None) -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : path or ImageFile
        A NIfTI-1 or NIfTI-2 file (``.nii``, ``.nii.gz``, ``.hdr``/``.img``) or a FreeSurfer file
        (``.mgz``, ``.mgh``) that holds one volume and says where it lies; or a ``.npy`` array of
        OpenBHB.
    subject : str, optional
        Participant label, with or without ``sub-``; taken from the file name when left out
        (see `voxplain.cohort.subject_label`).

    Returns
    -------
    Volume
        Scaled as the header says, array (X, Y, Z), float32, axes as stored in the file.

    Raises
    ------
    InputError
        If the file is missing, unreadable, damaged or of another format; if it holds more than
        one volume, colours, complex numbers, NaN or infinite voxels, or one single value; if it
        has no affine or one that is singular or not finite; if the label is not alphanumeric.
    """
    image = ImageFile.of(path)
    label = subject_label(image.location) if subject is None else subject.removeprefix("sub-")
    if not re.fullmatch("[0-9a-zA-Z+]+", label):
        raise InputError(f"The subject label {subject!r} must consist of letters and digits only.")
    values, grid = _read(image)
    if values.min() == values.max():
        raise InputError(
            f"{image} is an empty image: every voxel is {values.flat[0]:g}; give another scan."
        )
    return Volume(values, grid, label)


def read_mask(path: str | PathLike[str] | ImageFile, like: Volume | Grid) -> NDArray[np.bool_]:
    """Read a mask that lies on the grid of a scan.

    Parameters
    ----------
    path : path or ImageFile
        A file as for `read_volume`; voxels above zero belong to the mask.
    like : Volume or Grid
        The scan, or its grid.

    Returns
    -------
    array (X, Y, Z), bool

    Raises
    ------
    InputError
        If the file cannot be used, as for `read_volume`, or no voxel is above zero.
    GridError
        If the mask lies on another grid.
    """
    image = ImageFile.of(path)
    values, grid = _read(image)
    target = like if isinstance(like, Grid) else like.grid
    require_same_grid(grid, target, f"The mask {image} and the image")
    mask: NDArray[np.bool_] = values > 0
    if not mask.any():
        raise InputError(f"The mask {image} is empty: no voxel is above zero; give another mask.")
    return mask


def _read(image: ImageFile) -> tuple[NDArray[np.float32], Grid]:
    """Read and check one volume; every way to fail ends in an InputError."""
    try:
        with _quiet_header_log(), np.errstate(all="ignore"):
            return _read_checked(image)
    except VoxplainError:
        raise
    except PermissionError as error:
        raise InputError(
            f"{image} may not be read by this user; change its permissions."
        ) from error
    except MemoryError as error:
        raise InputError(f"{image} is too large for this machine's memory.") from error
    except Exception as error:
        # nibabel fails in a dozen ways on damaged headers; to the user they are one.
        raise InputError(
            f"{image} is not an image that can be read: it is damaged or of another format; "
            "download or convert it again."
        ) from error


def _read_checked(image: ImageFile) -> tuple[NDArray[np.float32], Grid]:
    values, grid = read_array(locate_data(image)) if image.suffix == ".npy" else _parsed(image)
    # NaN and infinity reach the extremes, which is quicker than to look at every voxel.
    if not np.isfinite([values.min(), values.max()]).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise InputError(
            f"{image} has {bad} voxels that are NaN or infinite; set them to 0 in the file first."
        )
    return values, grid


def _parsed(image: ImageFile) -> tuple[NDArray[np.float32], Grid]:
    stored, size = _open(image)
    _check_format(image, stored)
    shape = _single_volume_shape(image, stored)
    grid = _grid(image, stored, shape)
    if size < (needed := _needed(stored.dataobj.offset, stored.get_data_dtype(), shape)):
        raise InputError(
            f"{image} is truncated: its header announces {needed} bytes and there are {size}; "
            "copy or download it again."
        )
    # A copy, always: nibabel may hand out a map of a file that changes later.
    values = np.array(np.asanyarray(stored.dataobj).reshape(shape), dtype=np.float32, order="C")
    return values, grid


def _open(image: ImageFile) -> tuple[Any, int]:
    """Read the header, leave the voxels for later where the format lets us, and count the bytes."""
    data = locate_data(image)
    if not (image.members or image.packed or image.suffix == ".mgh"):
        require_packed_as_named(data)
        return nib.load(image.path), data.path.stat().st_size
    content = unpacked(data, _announced)
    if image.suffix in (".mgz", ".mgh"):
        # nibabel leaves .mgh files open, and replaces a missing geometry by a default one.
        (has_geometry,) = struct.unpack_from(">h", content, 28)
        if has_geometry <= 0:
            raise _no_affine(image)
        return nib.MGHImage.from_bytes(content), len(content)
    for kind in _SINGLE_FILE:
        if kind.header_class.may_contain_header(content[:_SNIFF]):
            return kind.from_bytes(content), len(content)
    raise ImageFileError("no NIfTI header")


def _announced(start: bytes) -> int:
    """Tell from the first bytes of an image how many it needs; 0 where they are no header."""
    fitting: list[Any] = [k for k in _SINGLE_FILE if k.header_class.may_contain_header(start)]
    kind = (fitting or [nib.MGHImage])[0]
    try:
        header = kind.header_class.from_fileobj(io.BytesIO(start), check=False)
        offset = int(header.get_data_offset())
        return _needed(offset, header.get_data_dtype(), header.get_data_shape())
    except Exception:
        # A damaged header announces nothing, and is refused when it is read.
        return 0


def _needed(offset: int, dtype: np.dtype[Any], shape: Sequence[int]) -> int:
    return max(0, offset + dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object)))


def _check_format(image: ImageFile, stored: Any) -> None:
    if isinstance(stored, AnalyzeImage) and not isinstance(stored, nib.Nifti1Pair):
        raise InputError(
            f"{image} is an Analyze 7.5 image, which has no affine and does not say which side is "
            "left; convert it to NIfTI."
        )
    if not isinstance(stored, nib.Nifti1Pair | nib.MGHImage):
        raise InputError(f"{image} does not hold a voxel volume; give a NIfTI or .mgz image.")
    dtype = stored.get_data_dtype()
    if dtype.fields is not None:
        raise InputError(f"{image} holds colours (RGB), not intensities; give the grey-scale scan.")
    if dtype.kind not in "iuf":
        raise InputError(
            f"{image} holds {dtype} numbers, not real intensities; give the magnitude image."
        )


def _single_volume_shape(image: ImageFile, stored: Any) -> tuple[int, int, int]:
    shape = [int(n) for n in stored.shape]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3:
        raise InputError(
            f"{image} holds {int(np.prod(shape[3:], dtype=object))} volumes of "
            f"{'×'.join(map(str, shape[:3]))} voxels; give a file with one 3D volume."
        )
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(
            f"{image} is not a volume: its shape is {'×'.join(map(str, shape)) or 'empty'}; "
            "give a file with one 3D volume."
        )
    return shape[0], shape[1], shape[2]


def _grid(image: ImageFile, stored: Any, shape: tuple[int, int, int]) -> Grid:
    # An .mgz image without a place is refused when it is opened.
    if isinstance(stored, nib.Nifti1Pair):
        codes = stored.header["sform_code"], stored.header["qform_code"]
        if not any(int(code) for code in codes):
            raise _no_affine(image)
    try:
        return Grid(shape, stored.affine)
    except GridError as error:
        raise InputError(
            f"{image} has an affine that is singular or not finite, so its voxels have no place "
            "in space; convert the original scan again."
        ) from error


def _no_affine(image: ImageFile) -> InputError:
    return InputError(
        f"{image} has no affine, so left and right are unknown; convert the original scan "
        "again so that the header keeps its orientation."
    )


@contextmanager
def _quiet_header_log() -> Iterator[None]:
    """Keep nibabel's remarks on headers from the terminal while one file is read."""

    def refuse(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("nibabel.global")
    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
