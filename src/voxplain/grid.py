"""Where voxels lie in space: a shape and an affine, and nothing is compared without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError

__all__ = ["KAN2020_GRID", "Grid", "require_grid", "require_same_grid"]

_TOLERANCE_MM = 1e-3
_OF_A_VOXEL = 0.05


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in world space.

    Parameters
    ----------
    shape : tuple of int, (X, Y, Z)
        Number of voxels along each array axis.
    affine : array (4, 4), mm
        Maps voxel indices ``(i, j, k, 1)`` of voxel centres to RAS+ world coordinates.

    Raises
    ------
    GridError
        If the shape is not three positive numbers, or the affine is not a finite, invertible
        4 x 4 matrix with the last row ``0 0 0 1``.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape, affine = _whole_numbers(self.shape), _matrix(self.affine)
        if len(shape) != 3 or min(shape) < 1:
            raise GridError(f"A grid needs three positive axis lengths; {shape} was given.")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GridError("The affine must be a 4 x 4 matrix of finite numbers.")
        if not np.allclose(affine[3], [0, 0, 0, 1]):
            raise GridError("The last row of an affine must be 0 0 0 1.")
        if not _invertible(affine[:3, :3]):
            raise GridError(
                "The affine is singular: it does not say where the voxels lie in space."
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def covering(
        cls, low: Sequence[float], high: Sequence[float], shape: Sequence[int], flip_x: bool = False
    ) -> Grid:
        """Cut a box of world space into voxels.

        Parameters
        ----------
        low, high : sequence of 3 floats, mm
            Outer faces of the box, in RAS+ world coordinates.
        shape : sequence of 3 ints
            Number of voxels along x, y and z.
        flip_x : bool, default=False
            Store the first axis from right to left (orientation ``LAS``).

        Returns
        -------
        Grid
        """
        low_, high_ = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        size = (high_ - low_) / np.asarray(shape)
        origin = low_ + size / 2
        if flip_x:
            origin[0] = high_[0] - size[0] / 2
            size[0] = -size[0]
        affine = np.diag([*size, 1.0])
        affine[:3, 3] = origin
        return cls((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel, mm, along the array axes."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel, mm^3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def orientation(self) -> str:
        """Directions in which the array axes run, such as ``"RAS"`` or ``"PSR"``."""
        directions = self.affine[:3, :3] / np.asarray(self.voxel_size)
        letters = ["LR", "PA", "IS"]
        code = [""] * 3
        rest = np.abs(directions)
        for _ in range(3):
            world, axis = np.unravel_index(np.argmax(rest), (3, 3))
            code[axis] = letters[world][int(directions[world, axis] > 0)]
            rest[world, :] = -1
            rest[:, axis] = -1
        return "".join(code)

    def to_world(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Map voxel indices to world coordinates.

        Parameters
        ----------
        indices : array (..., 3), voxels

        Returns
        -------
        array (..., 3), mm
        """
        return np.asarray(indices) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_voxel(self, world: ArrayLike) -> NDArray[np.float64]:
        """Map world coordinates to (fractional) voxel indices.

        Parameters
        ----------
        world : array (..., 3), mm

        Returns
        -------
        array (..., 3), voxels
        """
        return (np.asarray(world) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def moved(self, shift: ArrayLike) -> Grid:
        """Return the same grid after a translation of ``shift`` (array (3,), mm) in world space."""
        affine = self.affine.copy()
        affine[:3, 3] += np.asarray(shift, dtype=float)
        return Grid(self.shape, affine)

    def recut(self, size: float) -> Grid:
        """Cut the same box of world space into voxels of about another size.

        Parameters
        ----------
        size : float, mm
            Wanted edge length; the nearest one that divides each side of the box is taken.

        Returns
        -------
        Grid

        Raises
        ------
        GridError
            If the size is not a number above 0.
        """
        if not 0 < size < np.inf:
            raise GridError(f"The voxel size must be above 0 mm; {size} was given.")
        before = np.asarray(self.shape)
        sides = before * np.asarray(self.voxel_size)
        x, y, z = (max(1, round(side / size)) for side in sides)
        factor = before / (x, y, z)
        affine = self.affine @ np.diag([*factor, 1.0])
        affine[:3, 3] = self.to_world((factor - 1) / 2)
        return Grid((x, y, z), affine)

    def same_as(self, other: Grid) -> bool:
        """Tell whether every voxel centre agrees with the other grid's to a micrometre or so."""
        return self.gap(other) < _TOLERANCE_MM

    def gap(self, other: Grid) -> float:
        """Measure how far apart voxels of one index lie at most, mm; infinite between shapes."""
        if self.shape != other.shape:
            return np.inf
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        apart = self.to_world(corners) - other.to_world(corners)
        return float(np.linalg.norm(apart, axis=1).max())

    def near(self, other: Grid) -> bool:
        """Tell whether the grids agree to a twentieth of the smallest edge of a voxel."""
        return self.gap(other) < _OF_A_VOXEL * min(*self.voxel_size, *other.voxel_size)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as plain numbers, ready for JSON."""
        return {"shape": list(self.shape), "affine": self.affine.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Grid:
        """Rebuild a grid from `to_dict`'s numbers."""
        x, y, z = data["shape"]
        return cls((x, y, z), np.asarray(data["affine"], dtype=np.float64))

    def __repr__(self) -> str:
        return f"Grid({self})"

    def __str__(self) -> str:
        shape = "×".join(str(n) for n in self.shape)
        size = "×".join(f"{s:.4g}" for s in self.voxel_size)
        return f"{shape} voxels of {size} mm, {self.orientation}"


def _whole_numbers(given: object) -> tuple[int, ...]:
    try:
        numbers = tuple(float(n) for n in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        numbers = (0.5,)
    if isinstance(given, str | bytes) or not all(n.is_integer() for n in numbers):
        told = type(given).__name__ if hasattr(given, "__array__") else repr(given)
        raise GridError(f"A grid's shape must be three whole numbers; {told} was given.")
    return tuple(int(n) for n in numbers)


def _matrix(given: object) -> NDArray[np.float64]:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        raise GridError(
            "The affine must be a 4 x 4 matrix of finite numbers; "
            f"{type(given).__name__} was given."
        )
    return array.astype(np.float64)


def _invertible(matrix: NDArray[np.float64]) -> bool:
    lengths = np.linalg.norm(matrix, axis=0)
    return bool(lengths.min() > 0 and abs(np.linalg.det(matrix / lengths)) > 1e-6)


def _millimetres(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def require_grid(given: object, whose: str) -> None:
    """Raise GridError where something is no `Grid`; `whose` names its owner: ``"A map"``."""
    if not isinstance(given, Grid):
        raise GridError(
            f"{whose}'s grid must be a voxplain Grid, Grid(shape, affine); "
            f"{type(given).__name__} was given."
        )


def require_same_grid(a: Grid, b: Grid, what: str) -> None:
    """Refuse to combine two things that do not lie on one grid.

    Parameters
    ----------
    a, b : Grid
    what : str
        Names the two, as the start of a sentence: ``"The mask and the image"``.

    Raises
    ------
    GridError
        If the grids differ by more than a twentieth of a voxel.
    """
    if not a.near(b):
        away = f", up to {_millimetres(a.gap(b))} mm away"
        where = "" if str(a) != str(b) else f" at another place in space{away}"
        raise GridError(
            f"{what} do not share a grid: {a}, against {b}{where}; resample one of them first."
        )


KAN2020_GRID = Grid.covering(
    low=(-91.5, -126.5, -72.5), high=(90.5, 91.5, 109.5), shape=(58, 70, 58), flip_x=True
)
"""The paper's grid: 58 x 70 x 58 voxels over the 182 x 218 x 182 mm field of view of MNI152 as
FSL and the Human Connectome Project store it (orientation LAS)."""
