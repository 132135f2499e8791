"""One scan from one file: values, place in space, and a sentence for whatever is wrong."""

from __future__ import annotations

import gzip
import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeImage
from numpy.typing import NDArray

from voxplain.cohort.files import file_suffix, locate_data, unpacked_size
from voxplain.errors import GridError, InputError, VoxplainError
from voxplain.grid import Grid, require_same_grid
from voxplain.volume import Volume

__all__ = ["read_mask", "read_volume", "subject_label"]


def read_volume(path: str | PathLike[str], subject: str | None = None) -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : path
        A NIfTI-1 or NIfTI-2 file (``.nii``, ``.nii.gz``, ``.hdr``/``.img``) or a FreeSurfer file
        (``.mgz``, ``.mgh``) that holds one volume and says where it lies.
    subject : str, optional
        Participant label, with or without ``sub-``; taken from the file name when left out
        (see `subject_label`).

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
    path = Path(path)
    label = subject_label(path) if subject is None else subject.removeprefix("sub-")
    if not re.fullmatch("[0-9a-zA-Z+]+", label):
        raise InputError(f"The subject label {subject!r} must consist of letters and digits only.")
    values, grid = _read(path)
    if values.min() == values.max():
        raise InputError(
            f"{path} is an empty image: every voxel is {values.flat[0]:g}; give another scan."
        )
    return Volume(values, grid, label)


def read_mask(path: str | PathLike[str], like: Volume | Grid) -> NDArray[np.bool_]:
    """Read a mask that lies on the grid of a scan.

    Parameters
    ----------
    path : path
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
    path = Path(path)
    values, grid = _read(path)
    target = like if isinstance(like, Grid) else like.grid
    require_same_grid(grid, target, f"The mask {path} and the image")
    mask: NDArray[np.bool_] = values > 0
    if not mask.any():
        raise InputError(f"The mask {path} is empty: no voxel is above zero; give another mask.")
    return mask


def subject_label(path: str | PathLike[str]) -> str:
    """Tell whose scan a file is by its name.

    Parameters
    ----------
    path : path
        Only the file's own name is looked at.

    Returns
    -------
    str
        What follows ``sub-``, else the name without its suffix and without all that is neither a
        letter nor a digit, else ``"scan"``.
    """
    name = Path(path).name
    entity = re.search(r"(?:^|_)sub-([0-9a-zA-Z+]+)", name)
    if entity:
        return entity[1]
    suffix = file_suffix(Path(path))
    return re.sub("[^0-9a-zA-Z]", "", name[: len(name) - len(suffix)]) or "scan"


def _read(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Read and check one volume; every way to fail ends in an InputError."""
    try:
        with _quiet_header_log(), np.errstate(all="ignore"):
            return _read_checked(path)
    except VoxplainError:
        raise
    except PermissionError as error:
        raise InputError(f"{path} may not be read by this user; change its permissions.") from error
    except MemoryError as error:
        raise InputError(f"{path} is too large for this machine's memory.") from error
    except Exception as error:
        # nibabel fails in a dozen ways on damaged headers; to the user they are one.
        raise InputError(
            f"{path} is not an image that can be read: it is damaged or of another format; "
            "download or convert it again."
        ) from error


def _read_checked(path: Path) -> tuple[NDArray[np.float32], Grid]:
    data_file = locate_data(path)
    size = unpacked_size(data_file)
    image = _open(path)
    _check_format(path, image)
    shape = _single_volume_shape(path, image)
    grid = _grid(path, image, shape)
    needed = image.dataobj.offset + image.get_data_dtype().itemsize * int(
        np.prod(shape, dtype=object)
    )
    if size < needed:
        raise InputError(
            f"{path} is truncated: its header announces {needed} bytes and there are {size}; "
            "copy or download it again."
        )
    stored = np.asanyarray(image.dataobj).reshape(shape)
    # A copy, always: nibabel may hand out a map of a file that changes later.
    values = np.array(stored, dtype=np.float32, order="C")
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"{path} has {bad} voxels that are NaN or infinite; set them to 0 in the file first."
        )
    return values, grid


def _open(path: Path) -> Any:
    """Read the header, and leave the voxels for later where the format lets us."""
    suffix = file_suffix(path)
    if suffix not in (".mgz", ".mgh"):
        return nib.load(path)
    # nibabel leaves .mgh files open, and replaces a missing geometry by a default one.
    with gzip.open(path) if suffix == ".mgz" else path.open("rb") as stream:
        content = stream.read()
    (has_geometry,) = struct.unpack_from(">h", content, 28)
    if has_geometry <= 0:
        raise _no_affine(path)
    return nib.MGHImage.from_bytes(content)


def _check_format(path: Path, image: Any) -> None:
    if isinstance(image, AnalyzeImage) and not isinstance(image, nib.Nifti1Pair):
        raise InputError(
            f"{path} is an Analyze 7.5 image, which has no affine and does not say which side is "
            "left; convert it to NIfTI."
        )
    if not isinstance(image, nib.Nifti1Pair | nib.MGHImage):
        raise InputError(f"{path} does not hold a voxel volume; give a NIfTI or .mgz image.")
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        raise InputError(f"{path} holds colours (RGB), not intensities; give the grey-scale scan.")
    if dtype.kind not in "iuf":
        raise InputError(
            f"{path} holds {dtype} numbers, not real intensities; give the magnitude image."
        )


def _single_volume_shape(path: Path, image: Any) -> tuple[int, int, int]:
    shape = [int(n) for n in image.shape]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3:
        raise InputError(
            f"{path} holds {int(np.prod(shape[3:], dtype=object))} volumes of "
            f"{'×'.join(map(str, shape[:3]))} voxels; give a file with one 3D volume."
        )
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(
            f"{path} is not a volume: its shape is {'×'.join(map(str, shape)) or 'empty'}; "
            "give a file with one 3D volume."
        )
    return shape[0], shape[1], shape[2]


def _grid(path: Path, image: Any, shape: tuple[int, int, int]) -> Grid:
    # An .mgz image without a place is refused when it is opened.
    if isinstance(image, nib.Nifti1Pair):
        codes = image.header["sform_code"], image.header["qform_code"]
        if not any(int(code) for code in codes):
            raise _no_affine(path)
    try:
        return Grid(shape, image.affine)
    except GridError as error:
        raise InputError(
            f"{path} has an affine that is singular or not finite, so its voxels have no place "
            "in space; convert the original scan again."
        ) from error


def _no_affine(path: Path) -> InputError:
    return InputError(
        f"{path} has no affine, so left and right are unknown; convert the original scan "
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
