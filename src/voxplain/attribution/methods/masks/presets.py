"""Settings of meaningful perturbation that were published, or that aim at published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PRESETS"]

_OBJECTIVE: Mapping[str, Any] = {
    "loss": "probability",
    "reference": "blur",
    "blur": 10.0,
    "cell": 4.0,
    "mask_blur": 10.0,
    "units": "voxel",
    "window": 5,
    "tau": 0.05,
    "l1": 3.0,
    "tv": 1.0,
    "tv_beta": 7.0,
    "jitter": 2,
    "lr": 0.3,
    "patience": 0,
}

# "paper" is the schedule published with Kan et al. (2020); "paper-quick" goes for the same
# objective, shifts included, in a thirty-sixth of the passes.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "paper": {
            **_OBJECTIVE,
            "ramp": 60,
            "iterations": 300,
            "jitters": 10,
            "lr_factor": 0.1,
            "lr_every": 30,
            "check_every": 1,
            "best_after": 50,
        },
        "paper-quick": {
            **_OBJECTIVE,
            "moves": "image",
            # At full price from the start, a saturated probability would never move.
            "ramp": 2,
            "iterations": 84,
            "even": True,
            "lr_factor": 0.4,
            "lr_every": 24,
            "betas": (0.7, 0.9),
            "best_after": 83,
            "together": 1,
            "refine": 28,
        },
    }
)
