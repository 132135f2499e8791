"""Atlases in files: an image of labels, or one of probabilities, and a list of names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort.read.probabilities import read_probabilities, volumes_in
from voxplain.cohort.read.region_names import NamedLabel, read_region_names
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.images.files import ImageFile
from voxplain.images.reading import read_image

__all__ = ["names_beside", "read_atlas", "read_label_image"]

_LISTS = (".tsv", ".csv", ".txt", ".xml", ".label", ".lut", ".ctab")
_SHOWN = 10
_ABOVE = 5


def read_atlas(
    image: str | PathLike[str],
    names: str | PathLike[str] | None = None,
    name: str = "",
    space: str = "that of its file",
    threshold: float | None = None,
    orientation: str | None = None,
) -> Atlas:
    """Read an atlas from an image of labels, or of probabilities, and a list of names.

    Parameters
    ----------
    image : path
        A file as for `read_volume`, with 0 for background; or one with four dimensions, a map of
        probability for each region, the first for label 1. A voxel is then of the region that is
        most probable there.
    names : path, optional
        See `voxplain.cohort.read.region_names.read_region_names`: BIDS's ``dseg.tsv``, a FreeSurfer
        lookup table, ITK-SNAP's label descriptions, FSL's XML, or a label and a name a line. By
        default the list beside the image that has its name.
    name : str, optional
        Name of the atlas; that of its file by default.
    space : str, optional
        Template space of the labels.
    threshold : float, optional
        Of an image of probabilities, the largest that is still of no region: by default a quarter
        of 1, or of 100 where values go beyond 1.
    orientation : {"sform", "qform"}, optional
        Of an image of labels, as for `read_volume`.

    Returns
    -------
    Atlas
        With every name of the list, also those that have no voxel.

    Raises
    ------
    InputError
        If the image cannot be used, a label is not a whole number, half of the labels have no
        name, or the list cannot be read, is missing, names a label twice, two regions of the image
        alike, or no label of the image.

    Warns
    -----
    VoxplainWarning
        If less than half of the labels have no name.
    """
    if names is None:
        names = names_beside(Path(image))
    if not isinstance(names, str | PathLike):
        raise InputError(
            f"The names of an atlas are read from a file; {type(names).__name__} was given: give "
            "its path, or make one with voxplain.Atlas(labels, grid, names, name)."
        )
    named = read_region_names(Path(names))
    if (count := volumes_in(Path(image))) > 1:
        labels, grid = read_probabilities(Path(image), threshold)
        beyond = [one.label for one in named if one.label > count]
        if beyond or len(named) < count:
            raise InputError(
                f"{image} holds {count} maps of probability, and {names} {len(named)} names, up to "
                f"number {max(one.label for one in named)}; give a name to each map, from 1."
            )
    else:
        labels, grid = read_label_image(image, orientation)
    by_label = _by_label(named, labels, str(image), str(names))
    return Atlas(labels, grid, by_label, name or _stem(image), space)


def names_beside(image: Path) -> Path:
    """Find the list of names that lies beside an image and has its name.

    Raises
    ------
    InputError
        If there is none, or there are several.
    """
    stem, folder = _stem(image), image.parent
    stems = {stem, stem.removesuffix(".nii"), image.name, image.name.removesuffix(".gz")}
    found = sorted({folder / f"{s}{ending}" for s in stems for ending in _LISTS})
    found = [path for path in found if path.is_file()]
    if not found and stem.endswith("dseg"):
        found = _inherited(image)[:1]
    if len(found) != 1:
        told = f"there are {', '.join(path.name for path in found)}" if found else "there is none"
        raise InputError(
            f"{image} needs a list of names of its regions beside it, such as {stem}.tsv, and "
            f"{told}; give it as IMAGE,NAMES."
        )
    return found[0]


def _inherited(image: Path) -> list[Path]:
    """Find lists that BIDS lets several images share: in a folder above, of no other entities."""
    own = set(_stem(image).split("_"))
    found = []
    for folder in image.absolute().parents[:_ABOVE]:
        lists = [path for path in folder.glob("*dseg.tsv") if set(path.stem.split("_")) <= own]
        found += sorted(lists, key=lambda path: (-len(path.stem.split("_")), path.name))
    return found


def _stem(image: str | PathLike[str]) -> str:
    return Path(image).name.removesuffix(".gz").rsplit(".", 1)[0]


def _by_label(
    named: list[NamedLabel], labels: NDArray[np.int32], image: str, names: str
) -> Mapping[int, str]:
    """Give each label its name, and say which have none."""
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
        shown = ", ".join(map(str, nameless[:_SHOWN])) + (", ..." if len(nameless) > _SHOWN else "")
        told = f"{names} has no name for {len(nameless)} labels of {image}: {shown}"
        if 2 * len(nameless) >= len(present):
            raise InputError(f"{told}.")
        warnings.warn(f"{told}; their voxels belong to no region.", VoxplainWarning, stacklevel=3)
    return by_label


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
