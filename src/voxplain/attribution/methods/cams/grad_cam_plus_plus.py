"""Grad-CAM++: Grad-CAM whose gradients are weighted place by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.cams.cam import cam_attribution, view_layer
from voxplain.attribution.network.needs import Needs

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["GradCamPlusPlus"]


@dataclass(frozen=True, eq=False)
class GradCamPlusPlus(Method):
    r"""Grad-CAM++ (Chattopadhay et al., 2018).

    The paper looks for weights :math:`w_k = \sum_p \alpha_{kp}\,\mathrm{relu}(\partial Y/\partial
    A_{kp})` of the channels A under which the score is the sum of the weighted activation, and
    finds

    .. math:: \alpha_{kp} = \frac{\partial^2 Y / \partial A_{kp}^2}{2\,\partial^2 Y /
              \partial A_{kp}^2 + \sum_q A_{kq}\, \partial^3 Y / \partial A_{kp}^3}.

    It takes the score Y = exp(S) of a logit S that is piecewise linear in A. With the gradient g
    of S, the derivatives of Y are then exp(S) times g, g² and g³, so that exp(S) leaves α, and α
    = 1 / (2 + g ΣA) wherever g > 0; elsewhere the ReLU makes its value irrelevant. The factor
    exp(S) that is left in the weights is dropped here. It is one positive number a volume, which
    the paper's scaling of each map to its maximum removes, and which would make the raw maps of
    two volumes incomparable.

    Parameters
    ----------
    relu : bool, default=True
        Cut the negative part of the map, as the paper does. The ReLU on the gradients stays.
    """

    relu: bool = True

    info: ClassVar[MethodInfo] = MethodInfo(
        name="grad-cam++",
        label="Grad-CAM++",
        citation="Chattopadhay et al. 2018, doi:10.1109/WACV.2018.00097",
        unit="logit",
        sign="positive: the layer's features here speak for the target",
        complete=False,
        passes="1 forward, and 1 backward down to the layer",
    )
    needs: ClassVar[Needs] = Needs(layer=True, gradient=False)

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        view = view_layer(probe, x, target)
        rising = view.gradient.relu()
        below = 2 + rising * view.activation.sum((2, 3, 4), keepdim=True)
        share = torch.where(below > 0, 1 / below, 0)
        weights = (share * rising).sum((2, 3, 4), keepdim=True)
        cam = (weights * view.activation).sum(1)
        made = cam_attribution(
            cam.relu() if self.relu else cam, x, probe, view.chosen, self.info.label
        )
        doubt = Note(
            f"layer {probe.layer!r} has channels whose activation is negative on the whole, for "
            "which Grad-CAM++ is not derived; choose a layer that ends in a ReLU",
            warn=True,
        )
        negative = ((view.activation.sum((2, 3, 4)) < 0) & rising.flatten(2).any(2)).any(1)
        notes = tuple(
            (*own, doubt) if bad else own
            for own, bad in zip(made.notes, negative.tolist(), strict=True)
        )
        return Attribution(made.values, made.chosen, notes)
