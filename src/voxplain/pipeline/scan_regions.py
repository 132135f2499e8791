"""Regions named on the command line: an atlas, or an image of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxplain.atlas import Atlas
from voxplain.cohort import ATLASES, load_atlas, read_volume
from voxplain.errors import InputError, unknown_name
from voxplain.volume import Volume

__all__ = ["require_regions", "with_regions"]


def require_regions(name: object) -> None:
    """Raise InputError if a name is neither that of an atlas nor the path of a file."""
    if not isinstance(name, str):
        raise InputError(f"regions must be an atlas or a label image; {name!r} was given.")
    if name not in ATLASES and not Path(name).is_file():
        raise unknown_name("atlas", name, [*ATLASES, "the path of a label image"])


def with_regions(options: Mapping[str, Any], volumes: Sequence[Volume]) -> dict[str, Any]:
    """Put the labels in place of the name of the regions, where a method was given one.

    Parameters
    ----------
    options : mapping
        Of a method.
    volumes : sequence of Volume
        As the network sees them.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the volumes lie on different grids, or the file is no image of labels.
    """
    if "regions" not in options:
        return dict(options)
    name, grid = options["regions"], volumes[0].grid
    if not all(volume.grid.same_as(grid) for volume in volumes):
        raise InputError(
            f"Regions {name!r} need scans on one grid; give --preset, or run the scans apart."
        )
    if name in ATLASES:
        atlas = load_atlas(name)
    else:
        image = read_volume(name, subject="regions")
        atlas = Atlas(image.values, image.grid, {}, Path(name).name, "that of its file")  # type: ignore[arg-type]
    return {**options, "regions": atlas.on(grid)}
