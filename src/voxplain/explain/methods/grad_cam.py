"""Grad-CAM: which places of a layer's feature maps speak for the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn import functional

from voxplain.explain.method import Attribution, Method, MethodInfo, Needs, Note

if TYPE_CHECKING:
    import torch

    from voxplain.explain.probe import Probe
    from voxplain.explain.target import Target

__all__ = ["GradCam"]


@dataclass(frozen=True, eq=False)
class GradCam(Method):
    """Gradient-weighted class activation mapping (Selvaraju et al., 2017).

    The weight of a channel is the spatial mean of the gradient of the target's logit over the
    layer's activation. The map is the ReLU of the weighted sum of channels, carried to the input
    grid by trilinear interpolation of voxel faces (``align_corners=False``).

    Parameters
    ----------
    relu : bool, default=True
        Cut the negative part, as the paper does.
    """

    relu: bool = True

    info: ClassVar[MethodInfo] = MethodInfo(
        name="grad-cam",
        label="Grad-CAM",
        citation="Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74",
        unit="logit per spatial mean of activation",
        sign="positive: the layer's features here speak for the target",
        complete=False,
        passes="1 forward, and 1 backward down to the layer",
    )
    needs: ClassVar[Needs] = Needs(layer=True)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        logits = probe.logits(x)
        chosen = target.choose(logits)
        activation = probe.activation
        gradient = probe.gradient(chosen.score(logits), activation)
        weights = gradient.mean((2, 3, 4), keepdim=True)
        cam = (weights * activation.detach()).sum(1, keepdim=True)
        if self.relu:
            cam = cam.relu()
        notes = tuple(
            (Note(f"the Grad-CAM at layer {probe.layer!r} is zero everywhere", warn=True),)
            if empty
            else ()
            for empty in (cam.flatten(1) == 0).all(1).tolist()
        )
        values = functional.interpolate(cam, x.shape[2:], mode="trilinear", align_corners=False)
        return Attribution(values[:, 0], chosen, notes)
