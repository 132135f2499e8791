"""Cohorts whose truth is known."""

from voxplain.phantom.anatomy import Anatomy, log_jacobian
from voxplain.phantom.cohort import Phantom, make_phantom
from voxplain.phantom.division import Division, divide
from voxplain.phantom.effects import MEDIAL_TEMPORAL, Effect
from voxplain.phantom.expansion import Flow
from voxplain.phantom.growth import Growth
from voxplain.phantom.maker import Made, Maker
from voxplain.phantom.patterns import Interaction, Suppression
from voxplain.phantom.scanner import Scanner
from voxplain.phantom.scenario import CLASS_NAMES, Scenario
from voxplain.phantom.scenarios import PRESETS, SCENARIOS, make_scenario
from voxplain.phantom.spike import Darkening, Expansion, Spike, background_of, dprime_of

__all__ = [
    "Anatomy",
    "CLASS_NAMES",
    "Darkening",
    "Division",
    "Effect",
    "Expansion",
    "Flow",
    "Growth",
    "Interaction",
    "MEDIAL_TEMPORAL",
    "Made",
    "Maker",
    "PRESETS",
    "Phantom",
    "SCENARIOS",
    "Scanner",
    "Scenario",
    "Spike",
    "Suppression",
    "background_of",
    "divide",
    "dprime_of",
    "log_jacobian",
    "make_phantom",
    "make_scenario",
]
