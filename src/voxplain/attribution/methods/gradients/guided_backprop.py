"""Guided backpropagation: a gradient that passes each ReLU only where it is positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.methods.rectified import rectified_gradient

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["GuidedBackprop"]


@dataclass(frozen=True, eq=False)
class GuidedBackprop(Method):
    """Guided backpropagation of the target's logit (Springenberg et al., 2015).

    Negative gradients are stopped at every ReLU that the network runs, wherever it is written:
    ``nn.ReLU``, in place or not, ``torch.nn.functional.relu``, ``torch.relu``, ``Tensor.relu``
    and their in-place forms. Other activations, such as ``nn.LeakyReLU`` or ``nn.ReLU6``, keep
    their own gradient; the notes count them.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="guided-backprop",
        label="Guided backpropagation",
        citation="Springenberg et al. 2015, arXiv:1412.6806",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel excites units that speak for the target; negative: "
        "it inhibits them",
        complete=False,
        passes="1 forward and 1 backward",
        additive=True,
    )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute` and `rectified_gradient`."""
        gradient, chosen, notes = rectified_gradient(probe, x, target, "guided")
        return Attribution(gradient.sum(1), chosen, (notes,) * len(x))
