"""Maps with the nuisance taken out, in pieces that stay in a processor's cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.group.design import Design

__all__ = ["Residuals"]

_PIECE = 2048
_NO_SPREAD = 1e-10


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
    def of(cls, maps: NDArray[np.float32], design: Design) -> Residuals:
        """Take the nuisance out of maps.

        Parameters
        ----------
        maps : array (N, V), float32
            A row per scan.
        design : Design

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
        for start in range(0, maps.shape[1], _PIECE):
            part = np.asarray(maps[:, start : start + _PIECE])
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
            pieces.append(np.ascontiguousarray(left.T, dtype=np.float32))
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
        return [_PIECE * i for i in range(len(self.pieces))]
