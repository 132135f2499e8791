"""A map over a scan, drawn by nilearn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid
from voxplain.images.writing import nifti_image

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["plot_map"]

_FAINT = 0.8


def plot_map(
    values: NDArray[np.float32],
    grid: Grid,
    background: Nifti1Image | None,
    title: str,
    options: Mapping[str, Any],
) -> Any:
    """Draw a map with `nilearn.plotting.plot_stat_map`; see `voxplain.AttributionMap.plot`."""
    from nilearn import plotting

    size = np.abs(values[values != 0])
    faint = float(np.quantile(size, _FAINT)) if background is not None and size.size else None
    settings = {"bg_img": background, "title": title, "threshold": faint, **options}
    return plotting.plot_stat_map(nifti_image(values, grid), **settings)
