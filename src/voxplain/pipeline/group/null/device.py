"""The null of single voxels on a GPU: the product of `group.permutation.voxels`, in torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.attribution import Engine
from voxplain.group.permutation import NullOfVoxels, Residuals, null_maxima
from voxplain.group.permutation.voxels import TIES, t_of

__all__ = ["null_on"]

_VOXELS, _ARRANGEMENTS = 16_384, 2_048


def null_on(device: str) -> NullOfVoxels:
    """Give the function that finds the null of single voxels on a device.

    A processor's own product works out what the moved nuisance explains where it matters; a GPU's
    does so for every voxel, so that uncorrected p may differ in their last digits.

    Parameters
    ----------
    device : str
        As PyTorch names it, or ``"auto"``.

    Returns
    -------
    NullOfVoxels

    Raises
    ------
    InputError
        If there is no such device here.
    """
    chosen = Engine(device=device).resolve_device()
    if chosen.type == "cpu":
        return null_maxima

    def null(
        residuals: Residuals,
        rows: NDArray[np.float32],
        threads: int,
        advance: Callable[[int], None] = lambda done: None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return null_in_torch(residuals, rows, chosen, advance)

    return null


@torch.inference_mode()
def null_in_torch(
    residuals: Residuals,
    rows: NDArray[np.float32],
    device: torch.device,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the largest t of each arrangement, and how often each voxel is surpassed.

    Parameters
    ----------
    residuals : Residuals
    rows : array (B, 1 + Q, N), float32
        Of `Arrangements.rows`.
    device : torch.device
    advance : callable
        Called with the number of voxels done.

    Returns
    -------
    maxima : array (B,), float64
    surpassed : array (V,), int64
    """
    every = torch.from_numpy(np.ascontiguousarray(rows.transpose(1, 0, 2))).to(device)
    largest = torch.zeros(len(rows), device=device)
    observed = (residuals.correlation**2 * TIES**2).astype(np.float32)
    surpassed = np.zeros(len(observed), dtype=np.int64)
    width = len(residuals.pieces[0])
    together = max(1, _VOXELS // width)
    for first in range(0, len(residuals.pieces), together):
        pieces = np.concatenate(residuals.pieces[first : first + together])
        here = slice(first * width, first * width + len(pieces))
        values = torch.from_numpy(pieces).to(device).T
        limit = torch.from_numpy(observed[here]).to(device)
        counted = torch.zeros(len(pieces), dtype=torch.int64, device=device)
        for start in range(0, len(rows), _ARRANGEMENTS):
            block = slice(start, start + _ARRANGEMENTS)
            squares = (every[0, block] @ values).square_()
            left = torch.ones_like(squares) if len(every) > 1 else None
            for moved in every[1:, block]:
                left -= (moved @ values).square_()
            squares = squares if left is None else squares.div_(left.clamp_(min=1e-6))
            largest[block] = torch.maximum(largest[block], squares.amax(dim=1))
            counted += (squares >= limit).sum(dim=0)
        surpassed[here] = counted.cpu().numpy()
        advance(len(pieces))
    surpassed[residuals.correlation == 0] = len(rows)
    maxima = largest.sqrt().double().cpu().numpy()
    return np.abs(np.asarray(t_of(maxima, residuals.df))), surpassed
