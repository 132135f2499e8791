"""Readers of cohorts as they are kept: each gives a listing, and opens no image."""

from __future__ import annotations

from voxplain.cohort.find.sources.bids import bids_scans, from_bids
from voxplain.cohort.find.sources.cat12 import from_cat12
from voxplain.cohort.find.sources.freesurfer import from_freesurfer
from voxplain.cohort.find.sources.hcp import from_hcp
from voxplain.cohort.find.sources.ixi import from_ixi
from voxplain.cohort.find.sources.oasis import from_oasis
from voxplain.cohort.find.sources.openbhb import from_openbhb
from voxplain.cohort.find.sources.table import from_table

__all__ = [
    "bids_scans",
    "from_bids",
    "from_cat12",
    "from_freesurfer",
    "from_hcp",
    "from_ixi",
    "from_oasis",
    "from_openbhb",
    "from_table",
]
