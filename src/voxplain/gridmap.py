"""What every map on a grid can do: be written, drawn, masked."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid, require_grid
from voxplain.inputs import VolumeLike, as_volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["GridMap", "checked", "inside"]


class GridMap:
    """What all maps can do."""

    values: NDArray[np.float32]
    grid: Grid
    unit: str

    def sidecar(self) -> dict[str, Any]:
        """Return what the JSON file beside the map says."""
        raise NotImplementedError

    def title(self) -> str:
        """Say in a line what the map is."""
        raise NotImplementedError

    def to_nifti(self) -> Nifti1Image:
        """Return the map as an image of nibabel, float32, with the grid's affine."""
        from voxplain.images.writing import nifti_image

        return nifti_image(self.values, self.grid)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the map as NIfTI, and beside it a JSON file of the same name that says what it is.

        Parameters
        ----------
        path : path
            It ends with ``.nii.gz``. A spread is written beside it, as ``<name>_spread.nii.gz``.

        Raises
        ------
        InputError
            If the path has another ending.
        StudyError
            If a file cannot be written. Each appears whole or not at all, the JSON file last.
        """
        from voxplain.images.sidecars import write_map

        write_map(path, self.values, self.grid, self.sidecar(), getattr(self, "spread", None))

    def plot(self, background: VolumeLike | None = None, **options: Any) -> Any:
        """Draw the map over a scan, with nilearn.

        Parameters
        ----------
        background : Volume, path or nibabel image, optional
            The scan, on any grid: nilearn resamples the map for the eye. The faintest four fifths
            of the map's voxels are then left transparent (``threshold=0`` shows all). Without it
            the map stands alone.
        **options
            Of `nilearn.plotting.plot_stat_map`, such as ``display_mode="z"``, ``cut_coords=7``,
            ``threshold=0.01`` or ``output_file="map.png"``.

        Returns
        -------
        nilearn.plotting.displays.OrthoSlicer or one of its kin
            To add contours, or to save.
        """
        from voxplain.images.plotting import plot_map

        scan = None if background is None else as_volume(background).to_nifti()
        return plot_map(self.values, self.grid, scan, self.title(), options)

    def masked(self, brain: ArrayLike) -> Self:
        """Set all outside a mask to 0.

        Parameters
        ----------
        brain : array (X, Y, Z), bool
            On the map's grid; `voxplain.read_mask` brings a file there.

        Returns
        -------
        the same kind of map

        Raises
        ------
        InputError
            If the mask is not boolean, has no true voxel, or has another shape.
        """
        return replace(self, values=inside(self.values, brain))  # type: ignore[type-var]


def inside(values: NDArray[np.float32], brain: ArrayLike) -> NDArray[np.float32]:
    """Return the values inside a boolean mask, and 0 elsewhere; see `GridMap.masked`."""
    mask = np.asarray(brain)
    if mask.dtype != np.bool_ or mask.shape != values.shape or not mask.any():
        raise InputError(
            f"The mask must be a boolean array of shape {values.shape} with a true voxel, as "
            "voxplain.read_mask(path, like=map.grid) gives; "
            f"{type(brain).__name__} of shape {mask.shape} and type {mask.dtype} was given."
        )
    return np.where(mask, values, np.float32(0))


def checked(values: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """Return the values as float32, or refuse what is not finite or not on the grid."""
    require_grid(grid, "A map")
    array = np.asarray(values, dtype=np.float32)
    if array.shape != grid.shape:
        raise GridError(f"The map has shape {array.shape}, its grid {grid.shape}.")
    if not np.isfinite(array).all():
        raise InputError("The map has values that are not finite; the network gave NaN or inf.")
    return array
