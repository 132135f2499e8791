"""Surfaces of the cortex that come with nilearn."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxplain.cortex import Cortex

__all__ = ["fsaverage"]

# From MNI305, in which FreeSurfer's average brain lies, to MNI152 (FreeSurfer's documentation,
# page CoordinateSystems).
_TO_MNI152: Final = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
    ]
)
_SIDES: Final = ("left", "right")


@cache
def fsaverage() -> Cortex:
    """Load fsaverage5, FreeSurfer's average cortex with 10,242 vertices a hemisphere.

    It comes with nilearn and is brought to MNI152; nothing is downloaded.

    Returns
    -------
    Cortex

    References
    ----------
    Fischl, Sereno and Dale (1999), NeuroImage 9:195, doi:10.1006/nimg.1998.0396.
    """
    from nilearn.datasets import fetch_surf_fsaverage

    files = fetch_surf_fsaverage("fsaverage5")
    pial, white = (
        _joined(files, name) @ _TO_MNI152[:, :3].T + _TO_MNI152[:, 3] for name in ("pial", "white")
    )
    return Cortex(
        pial.astype(np.float32),
        white.astype(np.float32),
        _joined(files, "infl").astype(np.float32),
        _folding(files),
        _mesh(files["pial_left"])[1],
    )


def _mesh(file: str) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    from nilearn.surface import load_surf_mesh

    mesh: Any = load_surf_mesh(file)
    return np.asarray(mesh.coordinates, np.float64), np.asarray(mesh.faces, np.int32)


def _joined(files: Any, name: str) -> NDArray[np.float64]:
    return np.concatenate([_mesh(files[f"{name}_{side}"])[0] for side in _SIDES])


def _folding(files: Any) -> NDArray[np.float32]:
    from nilearn.surface import load_surf_data

    both: Any = [load_surf_data(files[f"sulc_{side}"]) for side in _SIDES]
    return np.concatenate(both).astype(np.float32)
