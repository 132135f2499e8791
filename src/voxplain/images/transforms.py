"""Affine transforms between two spaces, as ITK (ANTs) and FSL write them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid

__all__ = ["read_transform"]

_HEAD = struct.Struct("<5i")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_AFFINE = ("AffineTransform", "MatrixOffsetTransformBase")
_KINDS = f"{', '.join(_AFFINE)}, Euler3DTransform and TranslationTransform"


def read_transform(path: Path, source: Grid, target: Grid) -> NDArray[np.float64]:
    """Read where each point of the target lies in the source.

    Parameters
    ----------
    path : path
        A text or ``.mat`` file of ITK or ANTs, whose fixed image is the target and whose moving
        image is the source; or a ``.mat`` file of FSL's flirt, ``-in`` source ``-ref`` target.
    source, target : Grid
        FSL's matrices mean nothing without them.

    Returns
    -------
    array (4, 4), mm
        From places in the target to places in the source, both RAS.

    Raises
    ------
    InputError
        If there is no such file, or it holds no affine transform.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The transform {path} cannot be read: {error.strerror}.") from error
    text = content.decode("latin-1")
    if text.startswith("#Insight Transform File"):
        return _LPS @ _itk(path, *_entries(path, text)) @ _LPS
    numbers = _numbers(text)
    if numbers is not None and len(numbers) == 16:
        return _flirt(path, numbers.reshape(4, 4), source, target)
    return _LPS @ _itk(path, *_matlab(path, content)) @ _LPS


def _entries(path: Path, text: str) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    kinds = re.findall(r"^Transform:\s*(\w+)", text, re.MULTILINE)
    own = re.findall(r"^Parameters:(.*)$", text, re.MULTILINE)
    fixed = re.findall(r"^FixedParameters:(.*)$", text, re.MULTILINE)
    if not len(kinds) == len(own) == len(fixed) == 1:
        raise InputError(
            f"{path} holds {len(kinds)} transforms of ITK; give a file with one affine transform."
        )
    values = [_numbers(part[0]) for part in (own, fixed)]
    if values[0] is None or values[1] is None:
        raise InputError(f"{path} has parameters that are not numbers.")
    return kinds[0], values[0], values[1]


def _matlab(path: Path, content: bytes) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Read what ITK writes as MATLAB 4 does: for each matrix a head, its name, its numbers."""
    held: dict[str, NDArray[np.float64]] = {}
    start = 0
    while len(content) - start >= _HEAD.size:
        kind, rows, columns, imaginary, length = _HEAD.unpack_from(content, start)
        start += _HEAD.size
        end = start + length + 8 * rows * columns
        if kind or imaginary or min(rows, columns) < 0 or length < 1 or end > len(content):
            break
        name = content[start : start + length].rstrip(b"\0").decode("latin-1")
        held[name] = np.frombuffer(content[start + length : end], "<f8").astype(np.float64)
        start = end
    kinds = [name for name in held if name != "fixed"]
    if len(kinds) != 1 or "fixed" not in held:
        raise InputError(
            f"{path} is no affine transform of ITK, ANTs or FSL; a field of displacements has to "
            "be applied to the maps beforehand."
        )
    return kinds[0], held[kinds[0]], held["fixed"]


def _itk(
    path: Path, kind: str, own: NDArray[np.float64], fixed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Put parameters of ITK into a matrix, LPS."""
    name = kind.partition("_")[0]
    found = np.eye(4)
    if name in _AFFINE and own.size == 12 and fixed.size >= 3:
        found[:3, :3], shift = own[:9].reshape(3, 3), own[9:]
    elif name == "Euler3DTransform" and own.size == 6 and fixed.size >= 3:
        found[:3, :3], shift = _euler(own[:3]), own[3:]
    elif name == "TranslationTransform" and own.size == 3:
        fixed, shift = np.zeros(3), own
    else:
        raise InputError(f"{path} holds a transform {kind}; {_KINDS} in three dimensions are read.")
    centre = fixed[:3]
    found[:3, 3] = shift + centre - found[:3, :3] @ centre
    return found


def _euler(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(z @ x @ y, dtype=np.float64)


def _flirt(
    path: Path, matrix: NDArray[np.float64], source: Grid, target: Grid
) -> NDArray[np.float64]:
    """Turn a matrix of flirt, from scaled voxels of the source to those of the target."""
    if not abs(np.linalg.det(matrix)) > 1e-12:
        raise InputError(f"The matrix of {path} cannot be inverted.")
    back = np.linalg.inv(matrix)
    to_source = source.affine @ np.linalg.inv(_scaled(source))
    return np.asarray(
        to_source @ back @ _scaled(target) @ np.linalg.inv(target.affine), dtype=np.float64
    )


def _scaled(grid: Grid) -> NDArray[np.float64]:
    """From voxels to millimetres as FSL counts them: from the left where axes are right-handed."""
    found = np.diag([*grid.voxel_size, 1.0])
    if np.linalg.det(grid.affine) > 0:
        found[0, 0] *= -1
        found[0, 3] = (grid.shape[0] - 1) * grid.voxel_size[0]
    return found


def _numbers(text: str) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(word) for word in text.split()])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
