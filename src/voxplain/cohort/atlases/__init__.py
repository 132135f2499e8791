"""Atlases: those installed with voxplain, files of one's own, and how they lie over brains."""

from voxplain.cohort.atlases.fit import AtlasFit, atlas_fit, side_of
from voxplain.cohort.atlases.shipped import (
    ATLASES,
    AtlasSource,
    load_atlas,
    read_atlas,
    read_label_image,
)

__all__ = [
    "ATLASES",
    "AtlasFit",
    "AtlasSource",
    "atlas_fit",
    "load_atlas",
    "read_atlas",
    "read_label_image",
    "side_of",
]
