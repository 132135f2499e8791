"""Grad-CAM: which places of a layer's feature maps speak for the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.methods.cams.cam import cam_attribution, view_layer
from voxplain.attribution.network.needs import Needs

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

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
    needs: ClassVar[Needs] = Needs(layer=True, gradient=False)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        view = view_layer(probe, x, target)
        cam = view.grad_cam.relu() if self.relu else view.grad_cam
        return cam_attribution(cam, x, probe, view.chosen, self.info.label)
