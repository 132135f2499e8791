"""Atlases that nilearn fetches by name, where they are not on the disk already."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxplain.atlas import Atlas
from voxplain.cohort.atlases.files import read_label_image
from voxplain.cohort.read.probabilities import read_probabilities
from voxplain.errors import InputError, unknown_name
from voxplain.grid import Grid

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FETCHED", "fetch_atlas", "is_fetched"]

FETCHED = (
    *("Schaefer-400", "Schaefer-400-17", "Destrieux", "DiFuMo-256", "Yeo-7", "Yeo-17"),
    *("HarvardOxford-cortical", "HarvardOxford-subcortical"),
)
"""Names, for examples of their numbers: of regions, of Yeo's networks."""

_SCHAEFER = re.compile(r"schaefer-(\d+)(?:-(7|17))?")
_DIFUMO = re.compile(r"difumo-(\d+)")
_YEO = re.compile(r"yeo-(7|17)")
_HARVARD_OXFORD = {
    "harvardoxford-cortical": "cortl-maxprob-thr25-1mm",
    "harvardoxford-subcortical": "sub-maxprob-thr25-1mm",
}


def is_fetched(name: str) -> bool:
    """Tell whether a name is that of an atlas that nilearn fetches."""
    low = name.lower()
    patterns = (_SCHAEFER, _DIFUMO, _YEO)
    known = low == "destrieux" or low in _HARVARD_OXFORD
    return known or any(pattern.fullmatch(low) for pattern in patterns)


def fetch_atlas(name: str, data_dir: str | None = None) -> Atlas:
    """Take an atlas from nilearn's folder of data, or download it there.

    Parameters
    ----------
    name : str
        ``"Schaefer-400"`` (regions; ``"Schaefer-400-17"`` for names by 17 networks),
        ``"Destrieux"``, ``"HarvardOxford-cortical"``, ``"HarvardOxford-subcortical"``,
        ``"DiFuMo-256"`` (components, taken where each is largest) or ``"Yeo-7"``; in capitals or
        not.
    data_dir : path, optional
        nilearn's own by default (``NILEARN_DATA``, or ``nilearn_data`` at home).

    Returns
    -------
    Atlas

    Raises
    ------
    InputError
        If the name is unknown, nilearn has no such number, or it cannot be fetched.
    """
    from nilearn import datasets

    low = name.lower()
    where: dict[str, Any] = {"data_dir": data_dir, "verbose": 0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if found := _SCHAEFER.fullmatch(low):
                regions, networks = int(found[1]), int(found[2] or 7)
                bunch = datasets.fetch_atlas_schaefer_2018(regions, networks, 1, **where)
            elif found := _DIFUMO.fullmatch(low):
                bunch = datasets.fetch_atlas_difumo(int(found[1]), 2, **where)
            elif found := _YEO.fullmatch(low):
                bunch = datasets.fetch_atlas_yeo_2011(
                    n_networks=int(found[1]), thickness="thick", **where
                )
            elif low in _HARVARD_OXFORD:
                bunch = datasets.fetch_atlas_harvard_oxford(_HARVARD_OXFORD[low], **where)
            elif low == "destrieux":
                bunch = datasets.fetch_atlas_destrieux_2009(lateralized=True, **where)
            else:
                raise unknown_name("atlas of nilearn", name, FETCHED)
    except InputError:
        raise
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise InputError(f"nilearn has no atlas {name!r}: {first}") from error
    except Exception as error:
        # A missing connection shows itself in a dozen ways.
        raise InputError(
            f"The atlas {name} is not in nilearn's folder of data and cannot be fetched "
            f"({type(error).__name__}); fetch it where there is a connection and set NILEARN_DATA, "
            "or give its files as IMAGE,NAMES."
        ) from error
    return _atlas(name, bunch)


def _atlas(name: str, bunch: Mapping[str, Any]) -> Atlas:
    space = str(bunch.get("template") or "MNI152")
    if isinstance(bunch["maps"], str | Path):
        path = Path(bunch["maps"])
        if name.lower().startswith("difumo"):
            # Loadings, not probabilities: a quarter of the largest says nothing.
            labels, grid = read_probabilities(path, 0.0)
        else:
            labels, grid = _labels_of(path)
    else:
        image = bunch["maps"]
        x, y, z = image.shape
        grid = Grid((x, y, z), np.asarray(image.affine, dtype=np.float64))
        labels = np.rint(np.asarray(image.dataobj)).astype(np.int32)
    names = _names(bunch)
    return Atlas(labels, grid, names, name, "MNI152" if space == "fsaverage" else space)


def _labels_of(path: Path) -> tuple[Any, Grid]:
    """Read an image of labels; Yeo's has a fourth axis of length 1."""
    import nibabel

    image: Any = nibabel.load(path)
    if len(image.shape) == 4:
        x, y, z, _ = image.shape
        labels = np.rint(np.asarray(image.dataobj)[..., 0]).astype(np.int32)
        return labels, Grid((x, y, z), np.asarray(image.affine, dtype=np.float64))
    return read_label_image(path)


def _names(bunch: Mapping[str, Any]) -> dict[int, str]:
    """Read names from nilearn's lookup table, or from the components of DiFuMo; 0 left out."""
    table: pd.DataFrame | None = bunch.get("lut")
    if table is not None:
        pairs = zip(table["index"], table["name"], strict=True)
    else:
        labels: pd.DataFrame = bunch["labels"]
        pairs = zip(labels["component"], labels["difumo_names"], strict=True)
    names: dict[int, str] = {}
    for label, text in pairs:
        said = text.decode() if isinstance(text, bytes) else str(text)
        if int(label):
            # DiFuMo names some components alike.
            names[int(label)] = f"{said} ({int(label)})" if said in names.values() else said
    return names
