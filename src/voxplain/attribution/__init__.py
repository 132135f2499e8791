"""Where the network looked: maps from networks."""

from __future__ import annotations

from voxplain.attribution.engine import Engine
from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods import DEFAULT_METHOD, GROUP_METHOD, METHODS
from voxplain.attribution.network.identity import weights_sha256
from voxplain.attribution.network.numbers import expected_value
from voxplain.attribution.network.outputs import probabilities
from voxplain.attribution.network.probe import Probe, probe
from voxplain.attribution.network.target import Chosen, Target
from voxplain.attribution.run import explain, iter_explain
from voxplain.attribution.scoring import ScanScore, scan_score

__all__ = [
    "DEFAULT_METHOD",
    "GROUP_METHOD",
    "METHODS",
    "Attribution",
    "Chosen",
    "Engine",
    "Method",
    "MethodInfo",
    "Note",
    "Probe",
    "ScanScore",
    "Target",
    "expected_value",
    "explain",
    "iter_explain",
    "probabilities",
    "probe",
    "scan_score",
    "weights_sha256",
]
