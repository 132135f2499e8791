"""Where in a study's scans an effect is planted."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as components

from voxplain.cohort import load_atlas, read_volume
from voxplain.cohort.store.reader import read_steps
from voxplain.errors import InputError, VoxplainWarning
from voxplain.files.pointers import is_named
from voxplain.grid import Grid
from voxplain.phantom import background_of
from voxplain.volume import Cohort, resample, smooth

__all__ = ["find_region"]

_RANDOM_ML = (2.0, 12.0)
_SCANS = 20


def find_region(
    study: Path, where: str, atlas: str, cohort: Cohort, seed: int
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Find a region, and the share of each voxel that lies in it.

    Parameters
    ----------
    study : path
    where : str
        See `voxplain.pipeline.spike.SpikeOptions`.
    atlas : str
    cohort : Cohort
        The study's.
    seed : int

    Returns
    -------
    names : tuple of str
    fraction : array (X, Y, Z), in [0, 1]

    Raises
    ------
    InputError
        If the region is unknown or badly written, or there is no room for it.
    """
    grid = cohort.grid
    if where.startswith("like:"):
        where = _ball_like(Path(where.removeprefix("like:")), cohort, seed)
    if where.startswith("ball:"):
        return (where,), _ball(where, grid)
    steps = read_steps(study / "cohort")
    if any(step.get("step") == "align" and step.get("how") != "affine" for step in steps):
        warnings.warn(
            f"The scans of {study} are not aligned to MNI152, so that {atlas}'s regions lie only "
            "roughly where their names say; the truth is where they lie.",
            VoxplainWarning,
            stacklevel=3,
        )
    regions = load_atlas(atlas)
    names = tuple(part.strip() for part in where.split(",") if part.strip())
    if names == ("random",):
        size = np.bincount(regions.labels.ravel()) * regions.grid.voxel_volume / 1000
        low, high = _RANDOM_ML
        there = [name for label, name in regions.names.items() if low <= size[label] <= high]
        names = (str(np.random.default_rng([seed, 2]).choice(sorted(there))),)
    inside = regions.mask(names).astype(np.float32)
    width = max(float(np.mean(grid.voxel_size) - np.mean(regions.grid.voxel_size)), 0.0)
    return names, resample(smooth(inside, regions.grid, width), regions.grid, grid)


def _ball(text: str, grid: Grid) -> NDArray[np.float32]:
    try:
        x, y, z, radius = (float(part) for part in text.removeprefix("ball:").split(","))
    except ValueError:
        raise InputError(
            f"A ball is written ball:x,y,z,radius in mm, such as ball:-25,-10,-15,8; {text!r} was "
            "given."
        ) from None
    world = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1).astype(float))
    distance = np.linalg.norm(world - [x, y, z], axis=-1)
    edge = float(np.mean(grid.voxel_size))
    share: NDArray[np.float64] = np.clip((radius - distance) / edge + 0.5, 0, 1)
    return share.astype(np.float32)


def _ball_like(path: Path, cohort: Cohort, seed: int) -> str:
    """Choose a ball inside the brain, as large as the largest cluster of a map."""
    if not is_named(path):
        raise InputError(
            f"There is no map at {path}; write like:FILE, such as like:clusters.nii.gz."
        )
    map_ = read_volume(path)
    numbered, _ = components(map_.values != 0, np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel())[1:]
    volume = float(sizes.max(initial=0)) * map_.grid.voxel_volume
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    brain = np.zeros(cohort.grid.shape)
    rows = range(min(len(cohort), _SCANS))
    for row in rows:
        values = cohort.load(row)
        brain += values != background_of(values)
    depth = distance_transform_edt(brain >= len(rows) / 2, sampling=cohort.grid.voxel_size)
    room = np.argwhere(depth >= max(radius, 1e-6))
    if not volume or not len(room):
        raise InputError(
            f"The largest cluster of {path} has {volume / 1000:.1f} mL, for which no ball inside "
            "the brain is found; give a map that is 0 outside its clusters."
        )
    middle = room[np.random.default_rng([seed, 3]).integers(len(room))]
    x, y, z = cohort.grid.to_world(middle.astype(float))
    return f"ball:{x:.1f},{y:.1f},{z:.1f},{radius:.1f}"
