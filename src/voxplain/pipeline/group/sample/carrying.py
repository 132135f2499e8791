"""Maps of other grids, brought to that of the study by affines, and never by resizing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from voxplain.cohort.prepare.carrying import Carrier
from voxplain.errors import GridError, InputError
from voxplain.files.pointers import is_named
from voxplain.grid import Grid
from voxplain.images.transforms import read_transform
from voxplain.maps import AttributionMap
from voxplain.volume import resample

__all__ = ["carried", "transform_of"]

_COVERED = 0.5
_FIELD = "{subject}"


def transform_of(pattern: str, subject: str) -> Path:
    """Name the file of a scan's transform.

    Parameters
    ----------
    pattern : str
        A path; ``{subject}`` stands for the scan's label.
    subject : str

    Raises
    ------
    InputError
        If there is no such file.
    """
    path = Path(pattern.replace(_FIELD, subject))
    if not is_named(path):
        raise InputError(
            f"There is no transform {path} for the map of {subject}; give a file, or a path with "
            f"{_FIELD} in it."
        )
    return path


def carried(one: AttributionMap, grid: Grid, transform: Path | None = None) -> AttributionMap:
    """Bring a map to another grid: trilinear, by affines; shares of a sum keep their sum.

    Parameters
    ----------
    one : AttributionMap
    grid : Grid
    transform : path, optional
        See `voxplain.images.transforms.read_transform`; without one both lie in one space.

    Returns
    -------
    AttributionMap

    Raises
    ------
    GridError
        If less than half of the grid lies in the field of view of the map.
    """
    source = one.grid
    if transform is not None:
        way = read_transform(transform, source, grid)
        source = Grid(source.shape, np.linalg.inv(way) @ source.affine)
    share = _share(source, grid)
    if share < _COVERED:
        raise GridError(
            f"The map of {one.subject} covers {100 * share:.0f} % of the study's grid: it lies in "
            "another space; give --transform, or explain the scans on one grid."
        )
    if one.additive and not source.same_as(grid):
        values = Carrier(source, grid)(one.values, outside=False)
    else:
        values = resample(one.values, source, grid)
    return replace(one, values=values, grid=grid, spread=None)


def _share(source: Grid, grid: Grid) -> float:
    """Tell how much of a grid lies in the field of view of another."""
    places = np.moveaxis(np.indices(grid.shape, dtype=np.float64), 0, -1)
    there = source.to_voxel(grid.to_world(places))
    inside = (there >= -0.5) & (there <= np.asarray(source.shape) - 0.5)
    return float(inside.all(axis=-1).mean())
