"""Maps with the nuisance taken out, in pieces that stay in a processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.group.design import Design

__all__ = ["Allocate", "Residuals", "in_memory"]

_PIECE = 2048
_SCANS = 4096
"""Of more scans, pieces have fewer voxels."""
_NO_SPREAD = 1e-10

Allocate = Callable[[tuple[int, int]], NDArray[np.float32]]


def in_memory(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Give an array of zeros in memory."""
    return np.zeros(shape, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Residuals:
    """What the nuisance leaves of the maps of all scans, voxel by voxel of length 1.

    Parameters
    ----------
    pieces : list of array (C, N), float32
        A row per voxel; zeros where a voxel does not vary.
    correlation : array (V,), float64
        Of each voxel with the regressor.
    df : int
        Degrees of freedom.
    """

    pieces: list[NDArray[np.float32]]
    correlation: NDArray[np.float64]
    df: int

    @classmethod
    def of(
        cls, maps: NDArray[np.float32], design: Design, allocate: Allocate = in_memory
    ) -> Residuals:
        """Take the nuisance out of maps.

        Parameters
        ----------
        maps : array (N, V), float32
            A row per scan.
        design : Design
        allocate : callable
            Gives an array of zeros of a shape, float32; those of many maps lie on a disk.

        Returns
        -------
        Residuals

        Raises
        ------
        InputError
            If the maps and the design differ in their number of scans; if a value is not finite;
            if the effect is a mean and no value, or every value, is below zero.
        """
        if maps.ndim != 2 or len(maps) != len(design.subjects):
            raise InputError(
                f"The maps have shape {maps.shape}, the design {len(design.subjects)} scans; give "
                "a row of voxels per scan."
            )
        pieces, correlations = [], []
        below = above = False
        width = min(_PIECE, max(_PIECE * _SCANS // max(len(maps), 1), 1))
        for start in range(0, maps.shape[1], width):
            part = np.asarray(maps[:, start : start + width])
            if not np.isfinite(part).all():
                scan = int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
                raise InputError(
                    f"The map of {design.subjects[scan]} has values that are not finite."
                )
            below, above = below or bool((part < 0).any()), above or bool((part > 0).any())
            left = design.residuals(part)
            length = np.linalg.norm(left, axis=0)
            whole = np.linalg.norm(part.astype(np.float64), axis=0)
            varies = length > _NO_SPREAD * np.maximum(whole, np.finfo(np.float64).tiny)
            left = np.where(varies, left / np.where(varies, length, 1.0), 0.0)
            correlations.append(design.regressor @ left)
            pieces.append(allocate((part.shape[1], len(maps))))
            pieces[-1][:] = left.T
        if design.flips and not (below and above):
            raise InputError(
                "Maps whose values are all of one sign, as absolute values, those after a ReLU and "
                "masks are, cannot be tested against zero: each would be significant; compare "
                "groups, or take a signed method."
            )
        found = np.clip(np.concatenate(correlations), -1.0, 1.0)
        return cls(pieces, found, design.df)

    @property
    def t(self) -> NDArray[np.float64]:
        """The t of each voxel, array (V,)."""
        r = self.correlation
        return np.asarray(r * np.sqrt(self.df / np.maximum(1 - r**2, 1e-15)), dtype=np.float64)

    @property
    def starts(self) -> list[int]:
        """Where each piece begins."""
        return [len(self.pieces[0]) * i for i in range(len(self.pieces))]
