"""The methods, one file each, and the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxplain.explain.methods.grad_cam import GradCam
from voxplain.explain.methods.gradient import Gradient
from voxplain.explain.methods.guided_backprop import GuidedBackprop
from voxplain.explain.methods.meaningful_perturbation import MeaningfulPerturbation

if TYPE_CHECKING:
    from voxplain.explain.method import Method

__all__ = ["METHODS"]

METHODS: dict[str, type[Method]] = {
    "gradient": Gradient,
    "grad-cam": GradCam,
    "guided-backprop": GuidedBackprop,
    "meaningful-perturbation": MeaningfulPerturbation,
}
