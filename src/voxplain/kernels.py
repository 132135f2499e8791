"""Kernels of PyTorch that compute something wrong, and the way round them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sound_norms"]

_Norm = nn.modules.batchnorm._NormBase


@contextmanager
def sound_norms(network: nn.Module) -> Iterator[None]:
    """Keep the input's gradient of batch and instance norm right for a single scan on a CPU.

    PyTorch 2.13 takes the gradient of one scan from the wrong places of memory where it is stored
    in another order than the input (batch norm), or channels last at all (instance norm). For the
    time being, these layers are handed their gradient in the order that they read it in.

    Parameters
    ----------
    network : torch.nn.Module
        Its values stay as they are.

    Yields
    ------
    None
    """
    handles = [
        module.register_forward_hook(_order)
        for module in network.modules()
        if isinstance(module, _Norm)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _order(module: nn.Module, args: Any, output: Any) -> None:
    one = isinstance(output, torch.Tensor) and output.dim() == 5 and len(output) == 1
    if not one or not output.requires_grad or output.device.type != "cpu":
        return
    instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    last = not instance and not output.is_contiguous()
    order = torch.channels_last_3d if last else torch.contiguous_format
    output.register_hook(lambda gradient: gradient.contiguous(memory_format=order))
