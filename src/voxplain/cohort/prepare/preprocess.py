"""Bring any scan to what a published network saw."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.prepare.background import find_tissue
from voxplain.cohort.prepare.bias import without_bias_field
from voxplain.cohort.prepare.intensity import scaled
from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.prepare.recipe import Recipe, recipe_of
from voxplain.cohort.prepare.resampling import downsample, filter_reach
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.cohort.read.masks import read_mask
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.inputs import VolumeLike, as_volume, is_volume_like
from voxplain.volume import Volume

if TYPE_CHECKING:
    from voxplain.images.files import ImageLike

__all__ = ["prepare"]

_FAR_MM = 20.0
_HEAD_ML = 2200.0
_SMALL_ML = 500.0
_COMPLETE = 0.95
_SAMPLES = 400_000


def prepare(
    volume: VolumeLike,
    recipe: Recipe | str,
    mask: NDArray[np.bool_] | ImageLike | None = None,
    centre: tuple[float, float, float] | None = None,
) -> Prepared:
    """Bring a scan onto a recipe's grid and intensity scale.

    The brain mask is applied, the bias field removed and the intensity scaled as the recipe says,
    and the scan is carried over by its affine, trilinearly, after a Gaussian filter where
    the new voxels are larger (see `voxplain.cohort.prepare.resampling`).

    Parameters
    ----------
    volume : Volume, path or nibabel image
        Any orientation, voxel size and field of view. Background is 0, or one constant value.
    recipe : Recipe or str
        A name stands for one of `voxplain.cohort.PRESETS`: ``"kan2020"``, ``"mni-2mm"``,
        ``"mni-1mm"``.
    mask : array (X, Y, Z), bool, or path or nibabel image, optional
        The brain, all else is set to 0: an array on the scan's grid, or what
        `voxplain.read_mask` brings there.
    centre : tuple of 3 floats, mm, optional
        Where the centre of mass of a brain is expected; that of the MNI152 brain mask by default.

    Returns
    -------
    Prepared
        Its ``volume`` is what the network sees; its ``to_scan(map)`` brings maps back.

    Raises
    ------
    InputError
        If the recipe is unknown; if the scan has values that are not finite, or no brain can be
        told from background; if its intensities were centred and the recipe scales a percentile;
        or if less than half of the brain lies in the recipe's field of view.
    GridError
        If the mask has another shape than the scan.

    Warns
    -----
    VoxplainWarning
        If the brain fills more than 2200 mL (a whole head) or less than 500 mL, if
        the brain lies more than 20 mm from MNI152's, or more than 5 % of it is cut off.
    """
    volume, recipe = as_volume(volume), recipe_of(recipe)
    tissue = find_tissue(volume, _mask(mask, volume))
    if tissue.centred and (recipe.intensity == "percentile" or recipe.bias_field):
        what = (
            "scale a percentile" if recipe.intensity == "percentile" else "divide by a bias field"
        )
        raise InputError(
            "The scan has many negative voxels, as where intensities were z-scored, and so no zero "
            f"from which to {what}; give the scan before it was centred, or take zscore or "
            "histogram as intensity and no bias field."
        )
    part, grid = _without_margins(tissue.values != 0, tissue.inside, volume.grid, recipe.grid)
    brain = np.ascontiguousarray(tissue.values[part])
    above = np.ascontiguousarray(tissue.inside[part])
    said = list(tissue.notes)
    volume_ml = np.count_nonzero(above) * grid.voxel_volume / 1000
    doubts = _size_doubts(volume_ml, masked=mask is not None)
    flags = ["head" if volume_ml > _HEAD_ML else "small"] if doubts else []

    shift = np.asarray(centre or mni152_centre()) - grid.to_world(_mean_index(above))
    placed = volume.grid
    if recipe.align == "centre":
        placed, grid = volume.grid.moved(shift), grid.moved(shift)
        said.append(
            "The brain was moved by ({:+.1f}, {:+.1f}, {:+.1f}) mm (right, front, up) so that "
            "its centre of mass lies at that of MNI152.".format(*shift)
        )
    elif (distance := float(np.linalg.norm(shift))) > _FAR_MM:
        flags.append("far")
        doubts.append(
            f"The brain's centre of mass lies {distance:.0f} mm from that of MNI152; if the scan "
            "is not in ACPC or MNI coordinates, use --align centre."
        )
    cut_off = _cut_off_doubts(above, grid, recipe.grid, recipe.align)
    if volume_ml <= _HEAD_ML:  # a whole head loses its neck and nobody misses it
        doubts += cut_off
        flags += ["cut"] if cut_off else []

    if recipe.bias_field:
        brain = without_bias_field(brain, grid, above)
    values = downsample(scaled(brain, above, recipe), grid, recipe.grid)
    for doubt in doubts:
        warnings.warn(doubt, VoxplainWarning, stacklevel=2)
    placed_volume = Volume(values, recipe.grid, volume.subject)
    return Prepared(placed_volume, volume.grid, volume_ml, placed, (*said, *doubts), tuple(flags))


def _mask(given: object, volume: Volume) -> NDArray[np.bool_] | None:
    if is_volume_like(given) and not isinstance(given, Volume):
        return read_mask(given, volume)
    if given is not None and not isinstance(given, np.ndarray):
        raise InputError(
            "A mask must be a boolean array on the scan's grid, or the path or nibabel image of "
            f"one; {type(given).__name__} was given."
        )
    return given


def _without_margins(
    filled: NDArray[np.bool_], inside: NDArray[np.bool_], grid: Grid, target: Grid
) -> tuple[tuple[slice, ...], Grid]:
    """Cut away what is 0 on all sides, as far as the filter does not reach it."""
    start, stop = [], []
    for axis, reach in enumerate(filter_reach(grid, target)):
        others = tuple({0, 1, 2} - {axis})
        kept = np.flatnonzero(filled.any(axis=others) | inside.any(axis=others))
        start.append(max(0, int(kept[0]) - reach))
        stop.append(min(grid.shape[axis], int(kept[-1]) + 1 + reach))
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(start)
    x, y, z = (int(n) for n in np.subtract(stop, start))
    return tuple(map(slice, start, stop)), Grid((x, y, z), affine)


def _size_doubts(volume_ml: float, masked: bool) -> list[str]:
    if volume_ml > _HEAD_ML:
        advice = "check the mask" if masked else "give the brain's --mask"
        return [f"The scan fills {volume_ml:.0f} mL, like a whole head; {advice}."]
    if volume_ml < _SMALL_ML:
        return [
            f"The brain fills only {volume_ml:.0f} mL; check that the scan is complete, its mask "
            "and its voxel size."
        ]
    return []


def _cut_off_doubts(above: NDArray[np.bool_], placed: Grid, target: Grid, align: str) -> list[str]:
    inside = _share_inside(above, placed, target)
    if inside < 0.5:
        advice = (
            "its affine does not lead to ACPC or MNI coordinates, use --align centre"
            if align == "affine"
            else "check the voxel size in its header"
        )
        raise InputError(
            f"Only {100 * inside:.0f} % of the brain lies in the network's field of view: {advice}."
        )
    if inside < _COMPLETE:
        return [f"{100 * (1 - inside):.0f} % of the scan lies outside the network's field of view."]
    return []


def _share_inside(above: NDArray[np.bool_], placed: Grid, target: Grid) -> float:
    """Estimate which share of the voxels has its centre in the target's field of view."""
    apart = max(1, round((above.size / _SAMPLES) ** (1 / 3)))
    indices = np.argwhere(above[::apart, ::apart, ::apart])
    if not len(indices):
        indices, apart = np.argwhere(above), 1
    there = target.to_voxel(placed.to_world(apart * indices))
    inside = (there >= -0.5) & (there < np.asarray(target.shape) - 0.5)
    return float(inside.all(axis=-1).mean())


def _mean_index(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean voxel index of a mask, array (3,), without listing its voxels."""
    per_axis = [mask.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    return np.array([np.average(np.arange(len(n)), weights=n) for n in per_axis])
