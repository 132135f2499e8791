"""A network run on the shapes of its tensors alone, without numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from voxplain.attribution.network.insides import only_its_own, why_not_copied
from voxplain.attribution.network.probe import probe

__all__ = ["on_shapes"]

Seen = TypeVar("Seen")


def on_shapes(
    model: nn.Module, x: torch.Tensor, watch: Callable[[nn.Module, torch.Tensor], Seen]
) -> Seen | None:
    """Watch a copy of a network that has no numbers, if it can be run so.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it was.
    x : tensor (N, 1, X, Y, Z)
    watch : callable
        Takes the copy and the input, both on the device ``"meta"``, and runs the one on the other.

    Returns
    -------
    object or None
        What `watch` gave. None where the network looks at values or cannot be copied, of which any
        error may come; whether it can be run at all is seen on the real volume.
    """
    if why_not_copied(model) is not None:
        return None
    try:
        shapes = copy.deepcopy(model).to("meta")
        with only_its_own(shapes), probe(shapes):
            return watch(shapes, x.to("meta"))
    except Exception:
        return None
