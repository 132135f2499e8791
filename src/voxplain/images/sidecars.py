"""Maps on disk: a NIfTI file, and a JSON sidecar that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atomic import cannot_write, json_bytes, read_json, write_atomically
from voxplain.errors import InputError
from voxplain.grid import Grid, require_same_grid
from voxplain.images.reading import read_image
from voxplain.images.writing import nifti_bytes

__all__ = ["read_map", "sidecar_of", "stored_place", "write_map"]

_ENDING = ".nii.gz"
_MAP = "_statmap"


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
    content = dict(sidecar)
    try:
        beside.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(error, beside) from error
    write_atomically(place, nifti_bytes(values, grid))
    if spread is not None:
        name = place.name.removesuffix(_ENDING)
        start = name.removesuffix(_MAP)
        content["Spread"] = (
            f"{start}Spread{_MAP}{_ENDING}" if start != name else f"{name}_spread{_ENDING}"
        )
        write_atomically(place.with_name(content["Spread"]), nifti_bytes(spread, grid))
    write_atomically(beside, json_bytes(content))
    return place


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


def stored_place(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64]] | None:
    """Read the shape and the affine that a map's NIfTI file says, whatever its sidecar says.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of (shape, affine), or None
        None where the file cannot be read.
    """
    import nibabel

    try:
        image = nibabel.nifti1.load(path)
    except Exception:
        # nibabel fails in a dozen ways on an empty or a damaged file; here they are one.
        return None
    return tuple(image.shape[:3]), np.asarray(image.affine, dtype=np.float64)


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
