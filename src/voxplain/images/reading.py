"""One scan from one file: values, place in space, and a sentence for whatever is wrong."""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeImage
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxplain.errors import GridError, InputError, VoxplainError, VoxplainWarning, remarks
from voxplain.grid import Grid
from voxplain.images.arrays import read_array
from voxplain.images.files import (
    ImageFile,
    ImageLike,
    is_nibabel,
    locate_data,
    require_packed_as_named,
    unpacked,
)
from voxplain.images.names import subject_label
from voxplain.images.orientation import no_place, place_of

__all__ = ["name_of", "read_image", "read_scan"]

_SINGLE_FILE: tuple[Any, ...] = (nib.Nifti1Image, nib.Nifti2Image)
_SNIFF = 1024


def read_scan(
    given: ImageLike, subject: str | None = None, orientation: str | None = None
) -> tuple[NDArray[np.float32], Grid, str]:
    """Read and check a scan; see `voxplain.Volume.from_nifti`.

    Returns
    -------
    values : array (X, Y, Z), float32
    grid : Grid
    subject : str
    """
    values, grid = read_image(given, orientation)
    image = given if is_nibabel(given) else ImageFile.of(given)
    label = _label(image) if subject is None else _checked_label(subject)
    if values.min() == values.max():
        raise InputError(
            f"{name_of(image)} is an empty image: every voxel is {values.flat[0]:g}; give another "
            "scan."
        )
    return values, grid, label


def _label(image: Any) -> str:
    """Tell whose scan it is by its file's name; of an image that has no file nobody knows."""
    place = image.location if isinstance(image, ImageFile) else image.get_filename()
    return subject_label(place) if place else ""


def _checked_label(subject: object) -> str:
    label = subject.removeprefix("sub-") if isinstance(subject, str) else ""
    if not re.fullmatch("[0-9a-zA-Z+]+", label):
        raise InputError(f"The subject label {subject!r} must consist of letters and digits only.")
    return label


def name_of(image: Any) -> str:
    """Name an image in a message: nibabel's own text is its whole header."""
    if not is_nibabel(image):
        return str(image)
    return str(image.get_filename() or "The nibabel image")


def read_image(
    given: ImageLike, orientation: str | None = None, exact: bool = False
) -> tuple[NDArray[Any], Grid]:
    """Read and check one volume; every way to fail ends in an InputError.

    Parameters
    ----------
    given : path, ImageFile or nibabel image
    orientation : {"sform", "qform"}, optional
    exact : bool, default=False
        Whether the values keep the type of the file, as labels need it.

    Returns
    -------
    values : array (X, Y, Z), float32 unless `exact`
    grid : Grid
    """
    image = given if is_nibabel(given) else ImageFile.of(given)
    try:
        with _quiet_header_log(), np.errstate(all="ignore"), remarks() as said:
            found = _read_checked(image, orientation, exact)
    except VoxplainError:
        raise
    except PermissionError as error:
        raise InputError(
            f"{name_of(image)} may not be read by this user; change its permissions."
        ) from error
    except MemoryError as error:
        raise InputError(f"{name_of(image)} is too large for this machine's memory.") from error
    except Exception as error:
        # nibabel fails in a dozen ways on damaged headers; to the user they are one.
        raise InputError(
            f"{name_of(image)} is not an image that can be read: it is damaged or of another "
            "format; download or convert it again."
        ) from error
    for remark in said:
        warnings.warn(remark, VoxplainWarning, stacklevel=3)
    return found


def _read_checked(image: Any, orientation: str | None, exact: bool) -> tuple[NDArray[Any], Grid]:
    if not isinstance(image, ImageFile):
        values, grid = _parsed(name_of(image), _settled(image), None, orientation, exact)
    elif image.suffix == ".npy":
        values, grid = read_array(locate_data(image))
    else:
        values, grid = _parsed(str(image), *_open(image), orientation, exact)
    # NaN and infinity reach the extremes, which is quicker than to look at every voxel.
    if not np.isfinite([values.min(), values.max()]).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise InputError(
            f"{name_of(image)} has {bad} voxels that are NaN or infinite; set them to 0 in the "
            "file first."
            if isinstance(image, ImageFile)
            else f"{name_of(image)} has {bad} voxels that are NaN or infinite; set them to 0."
        )
    return values, grid


def _parsed(
    name: str, stored: Any, size: int | None, orientation: str | None, exact: bool
) -> tuple[NDArray[Any], Grid]:
    """Check an image of nibabel, and take its voxels and their place; `size` counts its bytes."""
    _check_format(name, stored)
    shape = _single_volume_shape(name, stored)
    grid = _grid(name, stored, shape, orientation)
    if size is not None and size < (
        needed := _needed(stored.dataobj.offset, stored.get_data_dtype(), shape)
    ):
        raise InputError(
            f"{name} is truncated: its header announces {needed} bytes and there are {size}; "
            "copy or download it again."
        )
    # A copy, always: nibabel may hand out a map of a file that changes later.
    content = np.asanyarray(stored.dataobj).reshape(shape)
    values = np.array(content, dtype=None if exact else np.float32, order="C")
    return values, grid


def _settled(image: Any) -> Any:
    """Bring an image's header up to its affine, on a copy, where the affine was changed."""
    if not isinstance(image, nib.Nifti1Pair) or image.affine is None:
        return image
    if np.allclose(image.affine, image.header.get_best_affine()):
        return image
    return type(image)(image.dataobj, image.affine, image.header)


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
            raise no_place(str(image))
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


def _check_format(name: str, stored: Any) -> None:
    if isinstance(stored, AnalyzeImage) and not isinstance(stored, nib.Nifti1Pair):
        raise InputError(
            f"{name} is an Analyze 7.5 image, which has no affine and does not say which side is "
            "left; convert it to NIfTI."
        )
    if not isinstance(stored, nib.Nifti1Pair | nib.MGHImage):
        raise InputError(f"{name} does not hold a voxel volume; give a NIfTI or .mgz image.")
    dtype = stored.get_data_dtype()
    if dtype.fields is not None:
        raise InputError(f"{name} holds colours (RGB), not intensities; give the grey-scale scan.")
    if dtype.kind not in "iuf":
        raise InputError(
            f"{name} holds {dtype} numbers, not real intensities; give the magnitude image."
        )


def _single_volume_shape(name: str, stored: Any) -> tuple[int, int, int]:
    shape = [int(n) for n in stored.shape]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3:
        raise InputError(
            f"{name} holds {int(np.prod(shape[3:], dtype=object))} volumes of "
            f"{'×'.join(map(str, shape[:3]))} voxels; give a file with one 3D volume."
        )
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(
            f"{name} is not a volume: its shape is {'×'.join(map(str, shape)) or 'empty'}; "
            "give a file with one 3D volume."
        )
    return shape[0], shape[1], shape[2]


def _grid(name: str, stored: Any, shape: tuple[int, int, int], orientation: str | None) -> Grid:
    if isinstance(stored, nib.Nifti1Pair):
        grid, remark = place_of(name, stored.header, shape, orientation)
        if remark:
            warnings.warn(remark, VoxplainWarning, stacklevel=1)
        return grid
    try:
        return Grid(shape, stored.affine)
    except GridError as error:
        raise InputError(
            f"{name} has an affine that is singular or not finite, so its voxels have no place "
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
