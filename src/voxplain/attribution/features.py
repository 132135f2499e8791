"""What a layer makes of each scan, a number or two for each of its feature maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.attribution.engine import Engine
from voxplain.attribution.network.names import layer_name
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.placed import full_precision
from voxplain.attribution.streams import alike
from voxplain.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from voxplain.volume import Volume

__all__ = ["feature_summaries"]

_BINS = 256


def feature_summaries(
    model: nn.Module,
    volumes: Iterable[Volume],
    layer: str | nn.Module,
    engine: Engine | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the mean and the entropy of every feature map of a layer.

    The entropy is Shannon's, in bits, of the histogram of a map's values in 256 bins of equal width
    from its least to its largest value: low where few voxels stand out of an even background, 8 at
    most, 0 for a constant map. It does not depend on the map's scale.

    Parameters
    ----------
    model : torch.nn.Module
    volumes : iterable of Volume
        On grids of one shape.
    layer : str or torch.nn.Module
        Its output has channels (N, C, X', Y', Z').
    engine : Engine, optional
        Its precision is not used: the network runs as given.
    on_progress : callable
        Takes the number of volumes done.

    Returns
    -------
    means : array (N, C), in the unit of the layer
    entropies : array (N, C), bits

    Raises
    ------
    InputError
        If there is no volume, or the network has no such layer.
    NetworkError
        If the layer gives no feature maps.
    """
    engine = engine or Engine()
    name = layer_name(model, layer)
    exact = replace(engine, precision="exact")
    means, entropies = [], []
    placed = None
    for batch in alike(volumes, engine.batch_size):
        placed = placed or exact.place(model, batch[0], name, Needs(gradient=False))
        with full_precision(placed.device), placed.open(name) as p, torch.no_grad():
            p.logits(placed.tensor(batch))
            maps = p.activation.flatten(2)
            means.append(maps.mean(2).double().cpu().numpy())
            entropies.append(_entropy(maps).cpu().numpy())
        on_progress(sum(len(part) for part in means))
    if not means:
        raise InputError("Feature maps need at least one volume; none was given.")
    return np.concatenate(means), np.concatenate(entropies)


def _entropy(maps: torch.Tensor) -> torch.Tensor:
    """Entropy of each map of (N, C, V), tensor (N, C), bits."""
    low = maps.amin(2, keepdim=True)
    width = (maps.amax(2, keepdim=True) - low).clamp_min(1e-30)
    place = ((maps - low) / width * _BINS).long().clamp_(0, _BINS - 1)
    counts = torch.zeros(*maps.shape[:2], _BINS, dtype=torch.float64, device="cpu")
    ones = torch.ones_like(place, dtype=torch.float64, device="cpu")
    counts.scatter_add_(2, place.cpu(), ones)
    share = counts / maps.shape[2]
    return -(share * torch.log2(share.clamp_min(1e-300))).sum(2)
