"""Where brains come from: files in, volumes on one grid out."""

from __future__ import annotations

from voxplain.cohort.atlases import (
    ATLASES,
    AtlasFit,
    atlas_fit,
    fetch_atlas,
    find_atlas,
    load_atlas,
    read_atlas,
)
from voxplain.cohort.bases import brains_of
from voxplain.cohort.build import Built, build_store
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.find.sources import (
    from_bids,
    from_cat12,
    from_freesurfer,
    from_hcp,
    from_ixi,
    from_oasis,
    from_openbhb,
    from_table,
)
from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.prepare.preprocess import prepare
from voxplain.cohort.prepare.recipe import PRESETS, Recipe
from voxplain.cohort.prepare.surfaces import fsaverage
from voxplain.cohort.prepare.templates import mni152_brain_mask, mni152_template
from voxplain.cohort.read.masks import read_mask
from voxplain.cohort.read.volumes import read_volume
from voxplain.cohort.store.reader import check_store, open_store
from voxplain.images.names import subject_label, subject_labels

__all__ = [
    "ATLASES",
    "PRESETS",
    "AtlasFit",
    "Built",
    "Listing",
    "Prepared",
    "Recipe",
    "atlas_fit",
    "brains_of",
    "build_store",
    "check_store",
    "fetch_atlas",
    "find_atlas",
    "from_bids",
    "from_cat12",
    "from_freesurfer",
    "from_hcp",
    "from_ixi",
    "from_oasis",
    "from_openbhb",
    "from_table",
    "fsaverage",
    "load_atlas",
    "mni152_brain_mask",
    "mni152_template",
    "open_store",
    "prepare",
    "read_atlas",
    "read_mask",
    "read_volume",
    "subject_label",
    "subject_labels",
]
