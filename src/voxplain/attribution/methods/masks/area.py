"""Masks of a given area: where it counts, and how far a mask is from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from voxplain.attribution.methods.reference import MaskGrid

__all__ = ["area_cells", "area_loss", "support_cells"]

_DIFFERS = 0.05


def support_cells(grid: MaskGrid, difference: torch.Tensor) -> torch.Tensor:
    """Find the cells in which there is something to keep or to delete.

    A voxel counts where image and reference differ by more than 5 % of their largest difference:
    a blurred reference differs a little everywhere. A cell belongs to the support where at least
    half of what it moves are such voxels.

    Parameters
    ----------
    grid : MaskGrid
    difference : tensor (N, X, Y, Z)
        Image minus reference.

    Returns
    -------
    tensor (N, *cells)
        1 inside and 0 outside; 1 everywhere if there would be none.
    """
    size = difference.abs()
    largest = size.flatten(1).amax(1)[:, None, None, None]
    inside = (size > _DIFFERS * largest).to(difference)
    cells = (grid.to_cells(inside) >= 0.5).to(difference)
    some = cells.flatten(1).any(1)[:, None, None, None]
    return torch.where(some, cells, torch.ones_like(cells))


def area_cells(support: torch.Tensor, areas: Sequence[float]) -> torch.Tensor:
    """Count the cells of each area.

    Parameters
    ----------
    support : tensor (N, *cells)
        1 inside, 0 outside.
    areas : sequence of float
        Shares of the support.

    Returns
    -------
    tensor (N * areas,), int64
        One cell at least.
    """
    count = support.flatten(1).sum(1)
    return torch.round(count[:, None] * count.new_tensor(list(areas))).clamp(min=1).flatten().long()


def area_loss(masks: torch.Tensor, cells: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
    """Measure how far masks are from binary masks of their areas (Fong et al. 2019).

    Parameters
    ----------
    masks : tensor (n, *cells)
        0 outside the support.
    cells : tensor (n,), int64
        See `area_cells`.
    support : tensor (n, *cells)

    Returns
    -------
    tensor (n,)
        Squared difference of the sorted mask from as many ones and then zeros, averaged over the
        support. Cells that tie for the last ones share them in the gradient, so that the order
        of the cells in memory does not count.
    """
    flat = masks.flatten(1)
    values = flat.detach()
    last = values.sort(1, descending=True).values.gather(1, cells[:, None] - 1)
    above, tied = values > last, values == last
    share = (cells - above.sum(1)).to(values) / tied.sum(1)
    template = above + tied * share[:, None]
    # The template's square, were it binary, would be the number of its ones.
    total = (flat.square() - 2 * flat * template).sum(1) + cells
    return total / support.flatten(1).sum(1)
