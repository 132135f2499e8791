"""HiResCAM: the evidence that a layer's features give, place by place."""

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

__all__ = ["HiResCam"]


@dataclass(frozen=True, eq=False)
class HiResCam(Method):
    """HiResCAM (Draelos & Carin, 2020).

    Gradient times activation, summed over the channels: Grad-CAM without the spatial mean of the
    gradient, which can move evidence to places that the network did not use. Where all that
    follows the layer is linear, the cells of the map add up to the logit less its bias. The map
    is carried to the input grid by trilinear interpolation (``align_corners=False``), which keeps
    the values and not their sum.

    Parameters
    ----------
    relu : bool, default=False
        Cut the negative part; the paper keeps it.
    """

    relu: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        name="hirescam",
        label="HiResCAM",
        citation="Draelos & Carin 2020, arXiv:2011.08891",
        unit="logit per cell of the layer",
        sign="positive: the layer's features here speak for the target; negative: against it",
        complete=False,
        passes="1 forward, and 1 backward down to the layer",
    )
    needs: ClassVar[Needs] = Needs(layer=True, gradient=False)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        view = view_layer(probe, x, target)
        cam = (view.gradient * view.activation).sum(1)
        if self.relu:
            cam = cam.relu()
        return cam_attribution(cam, x, probe, view.chosen, self.info.label)
