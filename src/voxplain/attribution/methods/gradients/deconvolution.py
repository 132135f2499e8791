"""Deconvolution: a gradient that is itself rectified at each ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.methods.rectified import rectified_gradient

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["Deconvolution"]


@dataclass(frozen=True, eq=False)
class Deconvolution(Method):
    """Deconvolution of the target's logit (Zeiler & Fergus, 2014).

    On the way back, each ReLU passes the positive part of the gradient, also where it was closed
    on the way forward. What the forward pass decides is only which voxel each max-pooling took.
    Every ReLU is reached, wherever it is written; other activations keep their own gradient, and
    the notes count them.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="deconvolution",
        label="Deconvolution",
        citation="Zeiler & Fergus 2014, arXiv:1311.2901",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel would excite units that speak for the target, were all "
        "ReLUs open; negative: it would inhibit them",
        complete=False,
        passes="1 forward and 1 backward",
        additive=True,
    )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute` and `rectified_gradient`."""
        gradient, chosen, notes = rectified_gradient(probe, x, target, "deconvolution")
        return Attribution(gradient.sum(1), chosen, (notes,) * len(x))
