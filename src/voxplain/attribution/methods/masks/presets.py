"""Settings of meaningful perturbation that were published, or that aim at published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PRESETS"]

_OBJECTIVE: Mapping[str, Any] = {
    "objective.loss": "probability",
    "reference": "blur",
    "blur": 10.0,
    "cell": 4.0,
    "mask_blur": 10.0,
    "units": "voxel",
    "window": 5,
    "objective.tau": 0.05,
    "objective.l1": 3.0,
    "objective.tv": 1.0,
    "objective.tv_beta": 7.0,
    "jitter.voxels": 2,
    "optimiser.lr": 0.3,
    "optimiser.patience": 0,
}

# "paper" is the schedule published with Kan et al. (2020); "paper-quick" goes for the same
# objective, shifts included, in a thirty-sixth of the passes.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "paper": {
            **_OBJECTIVE,
            "objective.ramp": 60,
            "optimiser.iterations": 300,
            "jitter.passes": 10,
            "optimiser.lr_factor": 0.1,
            "optimiser.lr_every": 30,
            "optimiser.check_every": 1,
            "optimiser.best_after": 50,
        },
        "paper-quick": {
            **_OBJECTIVE,
            "jitter.moves": "image",
            # At full price from the start, a saturated probability would never move.
            "objective.ramp": 2,
            "optimiser.iterations": 84,
            "jitter.even": True,
            "optimiser.lr_factor": 0.4,
            "optimiser.lr_every": 24,
            "optimiser.betas": (0.7, 0.9),
            "optimiser.best_after": 83,
            "sharing.together": 1,
            "sharing.refine": 28,
        },
    }
)
