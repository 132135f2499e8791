"""Readers of cohorts as they are kept: each gives a listing, and opens no image."""

from __future__ import annotations

from voxplain.cohort.sources.bids import from_bids
from voxplain.cohort.sources.freesurfer import from_freesurfer
from voxplain.cohort.sources.hcp import from_hcp
from voxplain.cohort.sources.table import from_table

__all__ = ["from_bids", "from_freesurfer", "from_hcp", "from_table"]
