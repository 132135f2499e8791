"""Voxel-wise explanations of 3D networks on brain MRI, and whether they can be believed.

The public names load on first use, so that ``import voxplain`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Atlas": "voxplain.atlas",
    "AttributionMap": "voxplain.maps",
    "Cohort": "voxplain.volume",
    "Engine": "voxplain.attribution",
    "Grid": "voxplain.grid",
    "GroupMap": "voxplain.maps",
    "METHODS": "voxplain.attribution.methods",
    "Method": "voxplain.attribution",
    "Prepared": "voxplain.cohort",
    "Provenance": "voxplain.provenance",
    "RegionTable": "voxplain.maps",
    "Volume": "voxplain.volume",
    "VoxplainError": "voxplain.errors",
    "VoxplainWarning": "voxplain.errors",
    "explain": "voxplain.attribution",
    "iter_explain": "voxplain.attribution",
    "load_atlas": "voxplain.cohort",
    "mean_map": "voxplain.group",
    "open_store": "voxplain.cohort",
    "prepare": "voxplain.cohort",
    "read_atlas": "voxplain.cohort",
    "read_mask": "voxplain.cohort",
    "read_volume": "voxplain.cohort",
    "region_table": "voxplain.group",
}

_ROOMS = ("attribution", "cohort", "fit", "grid", "group", "nets", "phantom", "trust")
"""Modules whose ``__all__`` is public; an attribute of this one as soon as they are asked for."""

__all__ = sorted(_HOMES)  # noqa: PLE0605

if TYPE_CHECKING:
    from voxplain import attribution, cohort, fit, grid, group, nets, phantom, trust
    from voxplain.atlas import Atlas
    from voxplain.attribution import Engine, Method, explain, iter_explain
    from voxplain.attribution.methods import METHODS
    from voxplain.cohort import (
        Prepared,
        load_atlas,
        open_store,
        prepare,
        read_atlas,
        read_mask,
        read_volume,
    )
    from voxplain.errors import VoxplainError, VoxplainWarning
    from voxplain.grid import Grid
    from voxplain.group import mean_map, region_table
    from voxplain.maps import AttributionMap, GroupMap, RegionTable
    from voxplain.provenance import Provenance
    from voxplain.volume import Cohort, Volume


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"voxplain.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'voxplain' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
