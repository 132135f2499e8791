"""Cohorts whose truth is known."""

from voxplain.phantom.anatomy import Anatomy
from voxplain.phantom.cohort import CLASS_NAMES, Phantom, Scenario, make_phantom
from voxplain.phantom.effects import MEDIAL_TEMPORAL, Effect
from voxplain.phantom.scanner import Scanner

__all__ = [
    "Anatomy",
    "CLASS_NAMES",
    "Effect",
    "MEDIAL_TEMPORAL",
    "Phantom",
    "Scanner",
    "Scenario",
    "make_phantom",
]
