"""Take parts of a brain away: reference images, masks on a coarse grid, shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.target import Chosen

__all__ = ["MaskGrid", "ReferenceLike", "blurred", "gaussian_matrix", "make_reference", "shifted"]

ReferenceLike = str | NDArray[np.float32] | Mapping[int, NDArray[np.float32]]

_REFERENCES = ("blur", "zero", "mean")


def gaussian_matrix(size: int, sigma: float, window: int | None = None) -> torch.Tensor:
    """Write a Gaussian filter along one axis as a matrix.

    Parameters
    ----------
    size : int
        Length of the axis.
    sigma : float, voxels
        Standard deviation; 0 gives the identity.
    window : int, optional
        Odd number of voxels to which the kernel is cut.

    Returns
    -------
    tensor (size, size), float64
        Rows add up to 1, so that a constant stays the same up to the border.
    """
    if sigma <= 0:
        return torch.eye(size, dtype=torch.float64)
    place = torch.arange(size, dtype=torch.float64)
    distance = (place[:, None] - place[None, :]).abs()
    kernel = torch.exp(-0.5 * (distance / sigma) ** 2)
    if window is not None:
        kernel = kernel * (distance <= window // 2)
    return kernel / kernel.sum(1, keepdim=True)


def blurred(x: torch.Tensor, sigma: Sequence[float], window: int | None = None) -> torch.Tensor:
    """Blur images by a Gaussian.

    Parameters
    ----------
    x : tensor (N, C, X, Y, Z)
    sigma : sequence of 3 floats, voxels
        Standard deviation along each axis; 0 leaves it as it is.
    window : int, optional
        Odd number of voxels to which the kernel is cut.

    Returns
    -------
    tensor (N, C, X, Y, Z)
    """
    matrices = [gaussian_matrix(n, s, window) for n, s in zip(x.shape[2:], sigma, strict=True)]
    return _along_axes(x, matrices)


def _along_axes(x: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Apply one matrix per spatial axis to the last three axes of a tensor."""
    a, b, c = (matrix.to(x) for matrix in matrices)
    return torch.einsum("...ijk,ai,bj,ck->...abc", x, a, b, c)


@dataclass(frozen=True, eq=False)
class MaskGrid:
    """Masks on a coarse grid, and how they reach the voxels.

    A mask is interpolated trilinearly to the voxels and then blurred. Both are linear and
    separable, so they are kept as one matrix per axis, and the very same matrices serve the
    optimisation and the final map.

    Parameters
    ----------
    matrices : tuple of 3 tensors (size, cells)
        From cells to voxels along x, y and z.
    """

    matrices: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    @classmethod
    def make(
        cls,
        shape: Sequence[int],
        cell: Sequence[float],
        sigma: Sequence[float],
        window: int | None = None,
    ) -> MaskGrid:
        """Lay a coarse grid over a volume.

        Parameters
        ----------
        shape : sequence of 3 ints
            Shape of the volume.
        cell : sequence of 3 floats, voxels
            Edge lengths of a cell; the number of cells is rounded down, and is 1 at least.
        sigma : sequence of 3 floats, voxels
            Standard deviation of the blur.
        window : int, optional
            Odd number of voxels to which the blur is cut.

        Returns
        -------
        MaskGrid
        """
        x, y, z = (
            gaussian_matrix(n, s, window) @ _linear_matrix(max(1, min(n, int(n / c + 1e-6))), n)
            for n, c, s in zip(shape, cell, sigma, strict=True)
        )
        return cls((x, y, z))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells along x, y and z."""
        x, y, z = (int(matrix.shape[1]) for matrix in self.matrices)
        return x, y, z

    def to_voxels(self, mask: torch.Tensor) -> torch.Tensor:
        """Interpolate and blur masks.

        Parameters
        ----------
        mask : tensor (N, *shape)

        Returns
        -------
        tensor (N, X, Y, Z)
        """
        return _along_axes(mask, self.matrices)

    def to_cells(self, values: torch.Tensor) -> torch.Tensor:
        """Average voxels over each cell, weighted by how much the cell moves them.

        Parameters
        ----------
        values : tensor (N, X, Y, Z)

        Returns
        -------
        tensor (N, *shape)
        """
        x, y, z = (matrix.T / matrix.sum(0)[:, None] for matrix in self.matrices)
        return _along_axes(values, (x, y, z))


def _linear_matrix(cells: int, size: int) -> torch.Tensor:
    eye = torch.eye(cells, dtype=torch.float64)[None]
    return functional.interpolate(eye, size, mode="linear", align_corners=False)[0].T


def make_reference(
    x: torch.Tensor, kind: ReferenceLike, sigma: Sequence[float], window: int | None, chosen: Chosen
) -> torch.Tensor:
    """Make the image that is put where the mask deletes.

    Parameters
    ----------
    x : tensor (N, 1, X, Y, Z)
    kind : {"blur", "zero", "mean"}, array (X, Y, Z), or mapping of int to array (X, Y, Z)
        The image blurred; nothing; the image's mean over its voxels that are not zero, put in
        those voxels; the given image, such as the mean of a cohort; or the given image of the
        sample's target class, such as the mean of the opposite class.
    sigma : sequence of 3 floats, voxels
        Width of the blur.
    window : int or None
        Voxels to which the blur is cut.
    chosen : Chosen
        The target of each sample.

    Returns
    -------
    tensor (N, 1, X, Y, Z)

    Raises
    ------
    InputError
        If the kind is unknown, or a given image has another shape, is not finite or is missing.
    """
    if isinstance(kind, Mapping):
        rows = []
        for sample in range(len(x)):
            index = chosen.class_of(sample)
            if index is None or index not in kind:
                have = ", ".join(str(key) for key in kind)
                raise InputError(
                    f"The references by class have none for target class {index}; there are "
                    f"some for: {have}."
                )
            rows.append(_given(x, kind[index]))
        return torch.stack(rows)[:, None]
    if isinstance(kind, np.ndarray):
        return _given(x, kind).expand_as(x)
    if kind == "zero":
        return torch.zeros_like(x)
    if kind == "mean":
        inside = x != 0
        total = x.sum((1, 2, 3, 4), keepdim=True)
        return inside * total / inside.sum((1, 2, 3, 4), keepdim=True).clamp(min=1)
    if kind == "blur":
        return blurred(x, sigma, window)
    raise InputError(
        f"reference must be {', '.join(map(repr, _REFERENCES))}, an array, or one array per class "
        f"index; {kind!r} was given."
    )


def _given(x: torch.Tensor, array: NDArray[np.float32]) -> torch.Tensor:
    if array.shape != tuple(x.shape[2:]):
        raise InputError(
            f"The reference has shape {array.shape}, the volume {tuple(x.shape[2:])}; resample "
            "it to the volume's grid."
        )
    if not np.isfinite(array).all():
        raise InputError("The reference has voxels that are NaN or infinite.")
    return torch.as_tensor(np.ascontiguousarray(array)).to(x)


def shifted(
    x: torch.Tensor, shift: Sequence[int], mode: Literal["replicate", "constant"] = "replicate"
) -> torch.Tensor:
    """Move images by whole voxels.

    Parameters
    ----------
    x : tensor (N, C, X, Y, Z)
    shift : sequence of 3 ints, voxels
    mode : {"replicate", "constant"}
        What enters at a border: the border again, or zeros.

    Returns
    -------
    tensor (N, C, X, Y, Z)
    """
    if not any(shift):
        return x
    pad = [p for s in reversed(shift) for p in (max(s, 0), max(-s, 0))]
    wide = functional.pad(x, pad, mode=mode)
    a, b, c = (slice(max(-s, 0), max(-s, 0) + n) for s, n in zip(shift, x.shape[2:], strict=True))
    return wide[:, :, a, b, c]
