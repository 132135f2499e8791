"""Maps on disk: a NIfTI file, and a JSON sidecar that says what it is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.files.atomic import json_bytes, read_json, remove, write_atomically
from voxplain.grid import Grid, require_same_grid
from voxplain.images.reading import read_image
from voxplain.images.writing import nifti_bytes

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = [
    "image_from_bytes", "map_files", "map_from_bytes", "read_map", "sidecar_of", "stored_place",
    "write_map",
]  # fmt: skip

_ENDING = ".nii.gz"
_MAP = "_statmap"
_GZIP = 31
_HEADER = 4096
_MOST = 1 << 32
"""Bytes that a map's file may unpack to."""


def write_map(
    path: str | PathLike[str],
    values: NDArray[Any],
    grid: Grid,
    sidecar: Mapping[str, Any],
    spread: NDArray[Any] | None = None,
) -> Path:
    """Write a map, its spread beside it, and last the sidecar, which says that all is whole.

    Parameters
    ----------
    path : path
        Of the map; it ends with ``.nii.gz``.
    values : array (X, Y, Z)
    grid : Grid
    sidecar : mapping
        For the JSON file of the same name; values that are not finite become null.
    spread : array (X, Y, Z), optional
        Written as ``<name>Spread_statmap.nii.gz`` beside ``<name>_statmap.nii.gz``, as
        ``<name>_spread.nii.gz`` beside any other name; the sidecar's ``Spread`` names it.

    Returns
    -------
    pathlib.Path
        Of the map.

    Raises
    ------
    InputError
        If the path has another ending.
    StudyError
        If a file cannot be written; each appears whole or not at all.
    """
    place, beside = _place(path), sidecar_of(path)
    remove(beside)
    for name, content in map_files(place.name, values, grid, sidecar, spread):
        write_atomically(place.with_name(name), content)
    return place


def map_files(
    name: str,
    values: NDArray[Any],
    grid: Grid,
    sidecar: Mapping[str, Any],
    spread: NDArray[Any] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Give the files of a map, the sidecar last; see `write_map`.

    Parameters
    ----------
    name : str
        Of the map's file, without folders.
    values, grid, sidecar, spread
        As of `write_map`.

    Yields
    ------
    name : str
    content : bytes
    """
    stem, content = name.removesuffix(_ENDING), dict(sidecar)
    yield name, nifti_bytes(values, grid)
    if spread is not None:
        start = stem.removesuffix(_MAP)
        content["Spread"] = (
            f"{start}Spread{_MAP}{_ENDING}" if start != stem else f"{stem}_spread{_ENDING}"
        )
        yield content["Spread"], nifti_bytes(spread, grid)
    yield f"{stem}.json", json_bytes(content)


def read_map(
    path: str | PathLike[str],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, dict[str, Any]]:
    """Read what `write_map` wrote.

    Parameters
    ----------
    path : path
        Of the map.

    Returns
    -------
    values : array (X, Y, Z), float32
    spread : array (X, Y, Z), float32, or None
    sidecar : dict

    Raises
    ------
    InputError
        If a file is missing or damaged, or the sidecar belongs to an image elsewhere.
    """
    place, beside = _place(path), sidecar_of(path)
    values, grid = read_image(place)
    sidecar = read_json(beside)
    if sidecar is None or "Provenance" not in sidecar:
        raise InputError(
            f"{place} has no sidecar {beside.name} that says what the map is; keep the two files "
            "together."
        )
    require_same_grid(grid, Grid.from_dict(sidecar["Grid"]), f"{place} and its sidecar")
    spread = None
    if "Spread" in sidecar:
        spread, _ = read_image(place.with_name(sidecar["Spread"]))
    return values, spread, sidecar


def map_from_bytes(content: bytes, sidecar: Mapping[str, Any], name: str) -> NDArray[np.float32]:
    """Read the values of a map, or its spread, from the bytes of its NIfTI file.

    Parameters
    ----------
    content : bytes
    sidecar : mapping
        Which says how large the map is; a damaged file cannot hold more.
    name : str
        For messages.

    Returns
    -------
    array (X, Y, Z), float32

    Raises
    ------
    InputError
        If the file is damaged, or lies elsewhere than its sidecar says.
    """
    told = Grid.from_dict(sidecar["Grid"])
    image = image_from_bytes(content, 4 * prod(told.shape) + _HEADER)
    if image is None:
        raise InputError(f"{name} is damaged; make the map again.")
    values, grid = read_image(image)
    require_same_grid(grid, told, f"{name} and its sidecar")
    return np.asarray(values, dtype=np.float32)


def stored_place(
    content: bytes | None,
) -> tuple[tuple[int, ...], NDArray[np.float64]] | None:
    """Read the shape and the affine that a map's NIfTI file says, whatever its sidecar says.

    Parameters
    ----------
    content : bytes, optional
        Of the file.

    Returns
    -------
    tuple of (shape, affine), or None
        None where it is no image, or there is none.
    """
    image = None if content is None else image_from_bytes(content)
    if image is None:
        return None
    return tuple(image.shape[:3]), np.asarray(image.affine, dtype=np.float64)


def image_from_bytes(content: bytes, most: int = _MOST) -> Nifti1Image | None:
    """Unpack a NIfTI file of at most so many bytes; None where it is damaged."""
    import nibabel

    stream = zlib.decompressobj(_GZIP)
    try:
        unpacked = stream.decompress(content, most)
        return nibabel.Nifti1Image.from_bytes(unpacked) if stream.eof else None
    except Exception:
        # nibabel fails in a dozen ways on an empty or a damaged file; here they are one.
        return None


def sidecar_of(path: str | PathLike[str]) -> Path:
    """Find the path of a map's sidecar."""
    place = _place(path)
    return place.with_name(place.name.removesuffix(_ENDING) + ".json")


def _place(path: str | PathLike[str]) -> Path:
    try:
        place = Path(path)
    except TypeError as error:
        raise InputError(
            f"A map is written to a path, such as 'map.nii.gz'; {type(path).__name__} was given."
        ) from error
    if not place.name.endswith(_ENDING) or place.name == _ENDING:
        raise InputError(f"A map's file must end with {_ENDING}; {str(place)!r} was given.")
    return place
