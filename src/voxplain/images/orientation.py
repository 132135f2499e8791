"""Where a NIfTI file says that its voxels lie, which it may say twice."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, unknown_name
from voxplain.grid import Grid

__all__ = ["ORIENTATIONS", "no_place", "place_of", "require_orientation"]

ORIENTATIONS = ("sform", "qform")

# What rounding in a header moves: a fifth of a voxel, or the quaternion of a half turn.
_VOXELS = 0.2
_OF_DIAGONAL = 5e-4
_SAME_SIDE = 0.5


def require_orientation(given: str | None) -> None:
    """Raise InputError if a choice is not one of `ORIENTATIONS` or None."""
    if given is not None and given not in ORIENTATIONS:
        raise unknown_name("orientation", given, ORIENTATIONS)


def place_of(
    image: str, header: Any, shape: tuple[int, int, int], wanted: str | None
) -> tuple[Grid, str]:
    """Read the grid of a NIfTI file from its sform or qform.

    Parameters
    ----------
    image : str
        Its name, for messages.
    header : nibabel.Nifti1Header
    shape : tuple of int
    wanted : {"sform", "qform"}, optional
        Which one to believe where both are there; by default the sform.

    Returns
    -------
    grid : Grid
    remark : str
        What the user should know: by how much the two differ and which one was used; else ``""``.

    Raises
    ------
    InputError
        If there is neither, none is usable, or they contradict each other on left and right and
        none was chosen.

    Notes
    -----
    A qform holds a turn, voxel sizes and a shift, but no shear. So it is compared with the sform
    without its shear, as it would be had it been made from it.
    """
    require_orientation(wanted)
    told = [name for name in ORIENTATIONS if int(header[f"{name}_code"]) > 0]
    if not told:
        raise no_place(image)
    grids = {name: grid for name in told if (grid := _grid(header, name, shape)) is not None}
    if not grids:
        raise InputError(
            f"{image} has an affine that is singular or not finite, so its voxels have no place "
            "in space; convert the original scan again."
        )
    if len(grids) == 1:
        (name,) = grids
        broken = [other for other in told if other != name]
        remark = f"{image} has a {broken[0]} that cannot be used; its {name} was." if broken else ""
        return grids[name], remark
    if wanted is not None:
        return grids[wanted], ""
    return grids["sform"], _disagreement(image, grids["sform"], grids["qform"])


def no_place(image: str) -> InputError:
    """Make the error for a file without an affine."""
    return InputError(
        f"{image} has no affine, so left and right are unknown; convert the original scan "
        "again so that the header keeps its orientation."
    )


def _grid(header: Any, name: str, shape: tuple[int, int, int]) -> Grid | None:
    try:
        return Grid(shape, getattr(header, f"get_{name}")())
    except Exception:
        # Singular or not finite, in a dozen ways; nibabel has its own error for quaternions.
        return None


def _disagreement(image: str, sform: Grid, qform: Grid) -> str:
    a, b = _directions(sform), _directions(qform)
    mirrored = np.linalg.det(a) * np.linalg.det(b) < 0
    if mirrored or a[0] @ b[0] < _SAME_SIDE:
        raise InputError(
            f"{image} contradicts itself on left and right: its axes run {sform.orientation} by "
            f"its sform and {qform.orientation} by its qform; find out which is true, and choose "
            "it: --orientation sform or qform, of an atlas IMAGE,NAMES,sform or qform, in Python "
            "orientation=."
        )
    affine = sform.affine.copy()
    affine[:3, :3] = a * sform.voxel_size
    corners = np.array(list(product(*[(0, n - 1) for n in sform.shape])))
    plain = Grid(sform.shape, affine)
    gap = np.linalg.norm(plain.to_world(corners) - qform.to_world(corners), axis=1).max()
    diagonal = np.linalg.norm(np.multiply(sform.shape, sform.voxel_size))
    if gap <= max(_VOXELS * min(sform.voxel_size), _OF_DIAGONAL * diagonal):
        return ""
    angle = np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))
    return (
        f"{image} says twice where it lies: its sform and qform differ by up to {gap:.1f} mm and "
        f"{angle:.1f} degrees. The sform was used; --orientation qform takes the other."
    )


def _directions(grid: Grid) -> NDArray[np.float64]:
    """Return the nearest rotation, or rotation and mirror, to the axes of a grid, array (3, 3)."""
    u, _, v = np.linalg.svd(grid.affine[:3, :3] / np.asarray(grid.voxel_size))
    turn: NDArray[np.float64] = u @ v
    return turn
