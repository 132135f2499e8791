"""What a network computes, told apart from others that hold the same numbers."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Sequence

import torch
from torch import nn

from voxplain.attribution.network.insides import require_ready
from voxplain.attribution.network.probe import probe
from voxplain.errors import VoxplainError

__all__ = ["code_name", "logits_on_noise", "weights_sha256"]

_SCALES = (1.0, 100.0)
"""Intensities after a z-score, and such as those of scanners."""


def code_name(model: nn.Module) -> str:
    """Name a network's class and the module that it is written in."""
    kind = type(model)
    return f"{kind.__module__}.{kind.__qualname__}"


def logits_on_noise(model: nn.Module, shape: Sequence[int]) -> list[list[float]] | None:
    """Run a network, as it is given, on noise that is the same everywhere, on a CPU.

    A GPU rounds otherwise, by far more than what tells networks apart here. Two networks of the
    same parameters whose code differs, such as by another activation, differ here, beyond the
    rounding that depends on threads and machines.

    Parameters
    ----------
    model : torch.nn.Module
    shape : sequence of 3 ints
        Of the volumes that it takes.

    Returns
    -------
    list of list of float, or None
        Outputs for noise of two scales; None where the network does not take noise.
    """
    count = math.prod(shape)
    first = next(model.parameters(), torch.empty(0))
    if first.device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    rows = []
    with torch.random.fork_rng(devices=[]):
        for scale in _SCALES:
            # `torch.manual_seed` keeps a trace of each call for every device that is not there.
            torch.default_generator.manual_seed(0)
            noise = torch.rand(count).reshape(1, 1, *shape) * scale
            try:
                with probe(model) as p, torch.no_grad():
                    found = p.logits(noise.to(first.dtype))
            except VoxplainError:
                return None
            rows.append(found[0].double().tolist())
    return rows


def weights_sha256(model: nn.Module) -> str:
    """Hash the names and values of all parameters and buffers.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    str
        64 hexadecimal digits, the same on every device.

    Raises
    ------
    NetworkError
        If a parameter has no values yet.
    """
    digest = hashlib.sha256()
    require_ready(model)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensors[name].shape)} {value.dtype}\n".encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
