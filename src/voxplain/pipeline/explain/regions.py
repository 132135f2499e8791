"""Regions named on the command line: an atlas, or an image of labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort import ATLASES, Prepared, load_atlas
from voxplain.cohort.atlases import read_label_image
from voxplain.errors import InputError, VoxplainWarning, unknown_name
from voxplain.files.pointers import is_named
from voxplain.grid import Grid
from voxplain.volume import Volume

__all__ = ["require_regions", "with_regions"]

_IN_PLACE = 0.5


def require_regions(name: object) -> None:
    """Raise InputError if a name is neither that of an atlas nor the path of a file."""
    if not isinstance(name, str):
        raise InputError(f"regions must be an atlas or a label image; {name!r} was given.")
    if name not in ATLASES and not is_named(Path(name)):
        raise unknown_name("atlas", name, [*ATLASES, "the path of a label image"])


def with_regions(
    options: Mapping[str, Any],
    volumes: Sequence[Volume],
    prepared: Sequence[Prepared | None] = (),
    orientation: str | None = None,
) -> dict[str, Any]:
    """Put the labels in place of the name of the regions, where a method was given one.

    An image of labels goes where its brain goes: where scans were moved to the centre, one that
    lies on the grid of a scan, or fits the brain better where it was, moves with it.

    Parameters
    ----------
    options : mapping
        Of a method.
    volumes : sequence of Volume
        As the network sees them.
    prepared : sequence of Prepared or None, optional
        How each was brought there, where that is known.
    orientation : {"sform", "qform"}, optional
        As for `voxplain.cohort.read_volume`.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the volumes lie on different grids, the file is no image of labels, or it would have to
        move with several scans.

    Warns
    -----
    VoxplainWarning
        If labels were moved, or less than half of them lie in the brain of a scan.
    """
    if "regions" not in options:
        return dict(options)
    name, grid = options["regions"], volumes[0].grid
    if not all(volume.grid.same_as(grid) for volume in volumes):
        raise InputError(
            f"Regions {name!r} need scans on one grid; give --preset, or run the scans apart."
        )
    if name in ATLASES:
        return {**options, "regions": load_atlas(name).on(grid)}
    labels, place = read_label_image(name, orientation)
    there = Atlas(labels, place, {}, Path(name).name, "that of its file").on(grid)
    moved = [one for one in prepared if one is not None and not one.placed.same_as(one.source)]
    if moved:
        there = _where_its_brain_is(there, Atlas(labels, place, {}, there.name, there.space), moved)
    for volume in volumes:
        share = _share_in_brain(there, volume)
        if share < _IN_PLACE:
            warnings.warn(
                f"Subject {volume.subject}: only {100 * share:.0f} % of the labels of {name} lie "
                "in the brain as the network sees it; check that they belong to this scan.",
                VoxplainWarning,
                stacklevel=2,
            )
    return {**options, "regions": there}


def _where_its_brain_is(still: Atlas, atlas: Atlas, moved: Sequence[Prepared]) -> Atlas:
    """Choose between labels as they lie and labels that go along with the scan."""
    first = moved[0]
    shift = first.placed.affine[:3, 3] - first.source.affine[:3, 3]
    along = Atlas(atlas.labels, atlas.grid.moved(shift), {}, atlas.name, atlas.space)
    along = along.on(first.volume.grid)
    drawn_on_it = any(_same_voxels(atlas.grid, one.source) for one in moved)
    fits_moved = _share_in_brain(along, first.volume) > _share_in_brain(still, first.volume)
    if not (drawn_on_it or fits_moved):
        return still
    if len(moved) > 1:
        raise InputError(
            f"The labels of {atlas.name} lie where a scan lay before --align centre moved it, and "
            f"{len(moved)} scans were moved, each its own way; run the scans apart, each with its "
            "labels."
        )
    warnings.warn(
        "The labels of {} were moved with the scan, by ({:+.1f}, {:+.1f}, {:+.1f}) mm (right, "
        "front, up).".format(atlas.name, *shift),
        VoxplainWarning,
        stacklevel=3,
    )
    return along


def _same_voxels(a: Grid, b: Grid) -> bool:
    """Tell whether two grids share their field of view, whatever the order of their axes."""
    corners = [
        grid.to_world(np.array([(0, 0, 0), np.array(grid.shape) - 1])).mean(axis=0)
        for grid in (a, b)
    ]
    apart = float(np.linalg.norm(corners[0] - corners[1]))
    return sorted(a.shape) == sorted(b.shape) and apart < min(a.voxel_size)


def _share_in_brain(atlas: Atlas, volume: Volume) -> float:
    inside: NDArray[np.bool_] = volume.values[atlas.labels > 0] != 0
    return float(inside.mean()) if inside.size else 0.0
