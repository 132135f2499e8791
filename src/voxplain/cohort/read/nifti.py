"""One scan from one file: values, place in space, and a sentence for whatever is wrong."""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeImage
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxplain.cohort.read.arrays import read_array
from voxplain.cohort.read.files import (
    ImageFile,
    locate_data,
    require_packed_as_named,
    unpacked,
)
from voxplain.cohort.read.names import subject_label
from voxplain.cohort.read.orientation import no_place, place_of
from voxplain.errors import GridError, InputError, VoxplainError, VoxplainWarning, remarks
from voxplain.grid import Grid
from voxplain.volume import Volume

__all__ = ["read_image", "read_volume"]

_SINGLE_FILE: tuple[Any, ...] = (nib.Nifti1Image, nib.Nifti2Image)
_SNIFF = 1024


def read_volume(
    path: str | PathLike[str] | ImageFile,
    subject: str | None = None,
    orientation: str | None = None,
) -> Volume:
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
    orientation : {"sform", "qform"}, optional
        Which of a NIfTI file's two places to believe where it gives both; by default the sform.

    Returns
    -------
    Volume
        Scaled as the header says, array (X, Y, Z), float32, axes as stored in the file.

    Raises
    ------
    InputError
        If the file is missing, unreadable, damaged or of another format; if it holds more than
        one volume, colours, complex numbers, NaN or infinite voxels, or one single value; if it
        has no affine or one that is singular or not finite, or its sform and qform contradict each
        other on left and right and none was chosen; if the label is not alphanumeric.

    Warns
    -----
    VoxplainWarning
        If sform and qform differ by more than rounding.
    """
    image = ImageFile.of(path)
    label = subject_label(image.location) if subject is None else subject.removeprefix("sub-")
    if not re.fullmatch("[0-9a-zA-Z+]+", label):
        raise InputError(f"The subject label {subject!r} must consist of letters and digits only.")
    values, grid = read_image(image, orientation)
    if values.min() == values.max():
        raise InputError(
            f"{image} is an empty image: every voxel is {values.flat[0]:g}; give another scan."
        )
    return Volume(values, grid, label)


def read_image(
    image: ImageFile, orientation: str | None = None, exact: bool = False
) -> tuple[NDArray[Any], Grid]:
    """Read and check one volume; every way to fail ends in an InputError.

    Parameters
    ----------
    image : ImageFile
    orientation : {"sform", "qform"}, optional
    exact : bool, default=False
        Whether the values keep the type of the file, as labels need it.

    Returns
    -------
    values : array (X, Y, Z), float32 unless `exact`
    grid : Grid
    """
    try:
        with _quiet_header_log(), np.errstate(all="ignore"), remarks() as said:
            found = _read_checked(image, orientation, exact)
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
    for remark in said:
        warnings.warn(remark, VoxplainWarning, stacklevel=3)
    return found


def _read_checked(
    image: ImageFile, orientation: str | None, exact: bool
) -> tuple[NDArray[Any], Grid]:
    if image.suffix == ".npy":
        values, grid = read_array(locate_data(image))
    else:
        values, grid = _parsed(image, orientation, exact)
    # NaN and infinity reach the extremes, which is quicker than to look at every voxel.
    if not np.isfinite([values.min(), values.max()]).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise InputError(
            f"{image} has {bad} voxels that are NaN or infinite; set them to 0 in the file first."
        )
    return values, grid


def _parsed(image: ImageFile, orientation: str | None, exact: bool) -> tuple[NDArray[Any], Grid]:
    stored, size = _open(image)
    _check_format(image, stored)
    shape = _single_volume_shape(image, stored)
    grid = _grid(image, stored, shape, orientation)
    if size < (needed := _needed(stored.dataobj.offset, stored.get_data_dtype(), shape)):
        raise InputError(
            f"{image} is truncated: its header announces {needed} bytes and there are {size}; "
            "copy or download it again."
        )
    # A copy, always: nibabel may hand out a map of a file that changes later.
    content = np.asanyarray(stored.dataobj).reshape(shape)
    values = np.array(content, dtype=None if exact else np.float32, order="C")
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
            raise no_place(image)
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


def _grid(
    image: ImageFile, stored: Any, shape: tuple[int, int, int], orientation: str | None
) -> Grid:
    if isinstance(stored, nib.Nifti1Pair):
        grid, remark = place_of(image, stored.header, shape, orientation)
        if remark:
            warnings.warn(remark, VoxplainWarning, stacklevel=1)
        return grid
    try:
        return Grid(shape, stored.affine)
    except GridError as error:
        raise InputError(
            f"{image} has an affine that is singular or not finite, so its voxels have no place "
            "in space; convert the original scan again."
        ) from error


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
