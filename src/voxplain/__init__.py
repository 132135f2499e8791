"""Voxel-wise explanations of 3D networks on brain MRI, and whether they can be believed.

The public names load on first use, so that ``import voxplain`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AttributionMap": "voxplain.maps",
    "Atlas": "voxplain.atlas",
    "Cohort": "voxplain.volume",
    "Grid": "voxplain.grid",
    "GroupMap": "voxplain.maps",
    "METHODS": "voxplain.attribution.methods",
    "Provenance": "voxplain.maps",
    "RegionTable": "voxplain.maps",
    "Volume": "voxplain.volume",
    "VoxplainError": "voxplain.errors",
    "VoxplainWarning": "voxplain.errors",
    "explain": "voxplain.attribution",
    "read_volume": "voxplain.cohort",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605

if TYPE_CHECKING:
    from voxplain.atlas import Atlas
    from voxplain.attribution import explain
    from voxplain.attribution.methods import METHODS
    from voxplain.cohort import read_volume
    from voxplain.errors import VoxplainError, VoxplainWarning
    from voxplain.grid import Grid
    from voxplain.maps import AttributionMap, GroupMap, Provenance, RegionTable
    from voxplain.volume import Cohort, Volume


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'voxplain' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
