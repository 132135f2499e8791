"""LayerCAM: the activation of a layer where, and as far as, its gradient is positive."""

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

__all__ = ["LayerCam"]


@dataclass(frozen=True, eq=False)
class LayerCam(Method):
    """LayerCAM (Jiang et al., 2021).

    The activation weighted, place by place, by the positive part of its gradient, and summed over
    the channels. It is made for shallow layers too, whose fine cells keep detail. The paper's
    scaling of shallow maps, which serves to fuse layers, is left out: maps are raw here.

    Parameters
    ----------
    relu : bool, default=True
        Cut the negative part of the map, as the paper does; it has one only where activations are
        negative. The ReLU on the gradients stays.
    """

    relu: bool = True

    info: ClassVar[MethodInfo] = MethodInfo(
        name="layercam",
        label="LayerCAM",
        citation="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
        unit="logit per cell of the layer",
        sign="positive: the layer's features here speak for the target",
        complete=False,
        passes="1 forward, and 1 backward down to the layer",
    )
    needs: ClassVar[Needs] = Needs(layer=True, gradient=False)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        view = view_layer(probe, x, target)
        cam = (view.gradient.relu() * view.activation).sum(1)
        if self.relu:
            cam = cam.relu()
        return cam_attribution(cam, x, probe, view.chosen, self.info.label)
