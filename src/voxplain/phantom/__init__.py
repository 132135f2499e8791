"""Cohorts whose truth is known."""

from voxplain.phantom.anatomy import Anatomy
from voxplain.phantom.cohort import CLASS_NAMES, Phantom, Scenario, make_phantom
from voxplain.phantom.division import Division, divide
from voxplain.phantom.effects import MEDIAL_TEMPORAL, Effect
from voxplain.phantom.expansion import Flow
from voxplain.phantom.patterns import Interaction, Suppression
from voxplain.phantom.scanner import Scanner
from voxplain.phantom.scenarios import SCENARIOS, make_scenario
from voxplain.phantom.spike import Darkening, Expansion, Spike, background_of, dprime_of

__all__ = [
    "Anatomy",
    "CLASS_NAMES",
    "Darkening",
    "Division",
    "Effect",
    "Expansion",
    "Flow",
    "Interaction",
    "MEDIAL_TEMPORAL",
    "Phantom",
    "SCENARIOS",
    "Scanner",
    "Scenario",
    "Spike",
    "Suppression",
    "background_of",
    "divide",
    "dprime_of",
    "make_phantom",
    "make_scenario",
]
