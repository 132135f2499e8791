"""Guided Grad-CAM: guided backpropagation inside the places that Grad-CAM names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.methods.cams.cam import empty_notes, to_input_grid, view_layer
from voxplain.attribution.methods.rectified import rectified_gradient
from voxplain.attribution.network.needs import Needs

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["GuidedGradCam"]


@dataclass(frozen=True, eq=False)
class GuidedGradCam(Method):
    """Guided Grad-CAM (Selvaraju et al., 2017).

    Guided backpropagation of the target's logit, multiplied voxel by voxel by its Grad-CAM on the
    input grid. The ReLU on the Grad-CAM is part of the product: without it, a negative gradient
    against a negative place would count for the target.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="guided-grad-cam",
        label="Guided Grad-CAM",
        citation="Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74",
        unit="logit per unit of intensity, times logit per spatial mean of activation",
        sign="of guided backpropagation; positive: a brighter voxel excites units that speak for "
        "the target; negative: it inhibits them",
        complete=False,
        passes="2 forward, 1 backward, and 1 backward down to the layer",
        additive=True,
    )
    needs: ClassVar[Needs] = Needs(layer=True)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute` and `rectified_gradient`."""
        view = view_layer(probe, x, target)
        cam = view.grad_cam.relu()
        with probe.attached():
            gradient, _, notes = rectified_gradient(probe, x, target, "guided")
        values = gradient.sum(1) * to_input_grid(cam, x)
        empty = empty_notes(cam, probe, "Grad-CAM")
        return Attribution(values, view.chosen, tuple((*own, *notes) for own in empty))
