"""Where brains come from: files in, volumes on one grid out."""

from __future__ import annotations

from voxplain.cohort.atlases import ATLASES, load_atlas, read_atlas
from voxplain.cohort.masks import read_mask
from voxplain.cohort.names import subject_label, subject_labels
from voxplain.cohort.nifti import read_volume
from voxplain.cohort.preprocess import Prepared, prepare
from voxplain.cohort.recipe import PRESETS, Recipe
from voxplain.cohort.store import check_store, open_store
from voxplain.cohort.templates import mni152_brain_mask, mni152_template

__all__ = [
    "ATLASES",
    "PRESETS",
    "Prepared",
    "Recipe",
    "check_store",
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
