"""Let other people's code run on a network, and leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ["as_it_was", "seeded"]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators for code that draws from them, and put them back.

    Parameters
    ----------
    seed : int
    device : torch.device
        Where the code draws besides the processor.
    """
    before = np.random.get_state()  # noqa: NPY002 - not our choice
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Let code hang its hooks on a network, and remove all that it leaves, also after an error.

    In-place activations are made ordinary ones for the time being, for backward hooks and in-place
    changes exclude each other.

    Parameters
    ----------
    model : torch.nn.Module
    """
    hooks = [name for name in vars(nn.Module()) if name.endswith("_hooks")]
    before = [
        (module, dict(vars(module)), {name: dict(getattr(module, name)) for name in hooks})
        for module in model.modules()
    ]
    try:
        for module in model.modules():
            if getattr(module, "inplace", False) is True:
                vars(module)["inplace"] = False
        yield
    finally:
        for module, attributes, held in before:
            for name in set(vars(module)) - set(attributes):
                delattr(module, name)
            vars(module).update(attributes)
            for name, entries in held.items():
                getattr(module, name).clear()
                getattr(module, name).update(entries)
