"""Atlases: those installed with voxplain, files of one's own, and how they lie over brains."""

from voxplain.cohort.atlases.fetched import FETCHED, fetch_atlas
from voxplain.cohort.atlases.files import read_atlas, read_label_image
from voxplain.cohort.atlases.fit import AtlasFit, atlas_fit, side_of
from voxplain.cohort.atlases.named import find_atlas, require_atlas
from voxplain.cohort.atlases.own import OWN, own_atlas, segmentation_of
from voxplain.cohort.atlases.shipped import ATLASES, AtlasSource, load_atlas

__all__ = [
    "ATLASES",
    "FETCHED",
    "OWN",
    "AtlasFit",
    "AtlasSource",
    "atlas_fit",
    "fetch_atlas",
    "find_atlas",
    "load_atlas",
    "own_atlas",
    "read_atlas",
    "read_label_image",
    "require_atlas",
    "segmentation_of",
    "side_of",
]
