"""What the class activation maps share: one look at a layer, and the way to the input grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

from voxplain.attribution.method import Attribution, Note

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Target

__all__ = ["LayerView", "cam_attribution", "empty_notes", "to_input_grid", "view_layer"]


@dataclass(frozen=True, eq=False)
class LayerView:
    """A layer's activation on one batch, and how the target's logit depends on it.

    Parameters
    ----------
    activation : tensor (N, C, X', Y', Z')
        Without a graph.
    gradient : tensor (N, C, X', Y', Z'), logit per unit of activation
    chosen : Chosen
    """

    activation: torch.Tensor
    gradient: torch.Tensor
    chosen: Chosen

    @property
    def weights(self) -> torch.Tensor:
        """Grad-CAM's weight of each channel, tensor (N, C, 1, 1, 1): the mean gradient."""
        return self.gradient.mean((2, 3, 4), keepdim=True)

    @property
    def grad_cam(self) -> torch.Tensor:
        """Weighted sum of the channels, tensor (N, X', Y', Z'), with its negative part."""
        return (self.weights * self.activation).sum(1)


def view_layer(probe: Probe, x: torch.Tensor, target: Target) -> LayerView:
    """Run the network forward, and backward down to the probed layer.

    Parameters
    ----------
    probe : Probe
    x : tensor (N, 1, X, Y, Z)
    target : Target

    Returns
    -------
    LayerView
    """
    logits = probe.logits(x)
    chosen = target.choose(logits)
    activation = probe.activation
    gradient = probe.gradient(chosen.score(logits), activation)
    return LayerView(activation.detach(), gradient, chosen)


def to_input_grid(cam: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Carry maps from a layer's cells to the voxels of the input.

    Trilinear interpolation between cells that share the outer faces of the volume
    (``align_corners=False``).

    Parameters
    ----------
    cam : tensor (N, X', Y', Z')
    x : tensor (N, 1, X, Y, Z)

    Returns
    -------
    tensor (N, X, Y, Z)
    """
    return functional.interpolate(cam[:, None], x.shape[2:], mode="trilinear", align_corners=False)[
        :, 0
    ]


def empty_notes(cam: torch.Tensor, probe: Probe, label: str) -> tuple[tuple[Note, ...], ...]:
    """Warn of each sample whose map has not one value.

    Parameters
    ----------
    cam : tensor (N, X', Y', Z')
    probe : Probe
    label : str
        Name of the map.

    Returns
    -------
    tuple of tuple of Note
        One tuple a sample.
    """
    warning = Note(f"the {label} at layer {probe.layer!r} is zero everywhere", warn=True)
    return tuple((warning,) if empty else () for empty in (cam == 0).flatten(1).all(1).tolist())


def cam_attribution(
    cam: torch.Tensor, x: torch.Tensor, probe: Probe, chosen: Chosen, label: str
) -> Attribution:
    """Finish a class activation map: the input's grid, and a warning where it is empty.

    Parameters
    ----------
    cam : tensor (N, X', Y', Z')
    x : tensor (N, 1, X, Y, Z)
    probe : Probe
    chosen : Chosen
    label : str
        Name of the map.

    Returns
    -------
    Attribution
    """
    return Attribution(to_input_grid(cam, x), chosen, empty_notes(cam, probe, label))
