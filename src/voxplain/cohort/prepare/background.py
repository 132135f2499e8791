"""Tell the brain from the background, also where intensities were shifted or centred."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import GridError, InputError
from voxplain.volume import Volume

__all__ = ["Tissue", "find_tissue"]

# Interpolation leaves a few small negative values beside sharp edges; centring leaves many.
_CLEARLY_BELOW = 0.05
_SEVERAL = 0.02
_CONSTANT = 0.5


@dataclass(frozen=True, eq=False)
class Tissue:
    """A scan whose background is 0, and where its brain lies.

    Parameters
    ----------
    values : array (X, Y, Z), float32
        0 outside the mask.
    inside : array (X, Y, Z), bool
        Voxels of the brain; without a mask all that is not background.
    centred : bool
        Whether an intensity of 0 may stand for tissue, as in a scan that was z-scored.
    notes : tuple of str
        What was done or cannot be known, one sentence each.
    """

    values: NDArray[np.float32]
    inside: NDArray[np.bool_]
    centred: bool
    notes: tuple[str, ...] = ()


def find_tissue(volume: Volume, mask: NDArray[np.bool_] | None) -> Tissue:
    """Find the brain of a scan.

    One constant value on most of the border of the scan is its background, and is taken away from
    all voxels, so that background is 0. A scan with negative voxels after that was centred: with a
    mask its brain is the mask; without one it is all that is not exactly 0, provided that the
    background is constant. Otherwise the brain is what lies above 0, within the mask.

    Parameters
    ----------
    volume : Volume
    mask : array (X, Y, Z), bool, optional

    Returns
    -------
    Tissue

    Raises
    ------
    InputError
        If the scan has values that are not finite, no brain, or negative voxels and neither a
        mask nor a constant background.
    GridError
        If the mask has another shape than the scan.
    """
    values = volume.values
    if not np.isfinite(values).all():
        raise InputError("The scan has NaN or infinite voxels; set them to 0 first.")
    if mask is not None:
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != values.shape:
            raise GridError(
                f"The mask has shape {mask.shape} and the scan {values.shape}; "
                "give a mask on the scan's grid."
            )
    notes: list[str] = []
    background = _constant_background(values)
    if background:
        values = values - np.float32(background)
        notes.append(
            f"The background of the scan is {background:g}; that was taken away from every voxel, "
            "so that background is 0."
        )
    if values.max() <= 0:
        raise InputError("The scan has no voxel above zero; background must be 0, tissue above.")
    below = _share_below(values)
    centred = below > _SEVERAL
    if mask is not None:
        inside = mask & (centred | (values != 0))
        values = np.where(mask, values, np.float32(0))
    elif not centred:
        inside = values > 0
    elif background is not None:
        inside = values != 0
        notes.append(
            f"{100 * below:.0f} % of the scan's tissue is negative, as where intensities were "
            "z-scored; without a mask, all that is not exactly 0 was taken for brain."
        )
    else:
        raise InputError(
            f"{100 * below:.0f} % of the scan's voxels are negative, and there is no constant "
            "background: without a mask, nobody can tell brain from background; give the brain's "
            "mask, or the scan before its intensities were centred."
        )
    if not inside.any():
        raise InputError(
            "The scan has no voxel above zero in its mask; check that the mask is the scan's."
        )
    return Tissue(values, inside, centred, tuple(notes))


def _constant_background(values: NDArray[np.float32]) -> float | None:
    """Find the value that most voxels at the border of a scan share, or None."""
    low, high = values.min(), values.max()
    faces = [values[end] for end in (0, -1)]
    faces += [values[:, end] for end in (0, -1)] + [values[:, :, end] for end in (0, -1)]
    border = np.concatenate([face.ravel() for face in faces])
    found, counts = np.unique(border, return_counts=True)
    often = counts.argmax()
    if counts[often] < _CONSTANT * len(border):
        return None
    value = float(found[often])
    # Bright borders are tissue that reaches the edge of the scan.
    return None if value > max(low, 0) or low == high else value


def _share_below(values: NDArray[np.float32]) -> float:
    """Measure which share of the voxels that are not 0 lies clearly below it."""
    if values.min() >= 0:
        return 0.0
    tissue = values[values != 0]
    scale = np.percentile(np.abs(tissue), 99)
    return float((tissue < -_CLEARLY_BELOW * scale).mean())
