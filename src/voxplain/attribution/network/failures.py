"""What goes wrong inside a network, which is anybody's code, in words."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["failure", "no_gradient", "out_of_memory"]


def failure(model: nn.Module, x: torch.Tensor, error: Exception) -> str:
    """Say in a sentence why a network's forward pass failed.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor (N, 1, X, Y, Z)
        What it was given.
    error : Exception

    Returns
    -------
    str
    """
    name, said = type(model).__name__, _first_line(error)
    shape = f"an input of shape {tuple(x.shape)}"
    if isinstance(error, RuntimeError | ValueError):
        return (
            f"{name} cannot take {shape}: {said}; if it wants another shape, bring the scan to "
            "its grid first, with voxplain.prepare(volume, preset), or --preset on the command "
            "line."
        )
    advice = (
        "voxplain calls it with one tensor (N, 1, X, Y, Z); if it needs anything else, wrap it "
        "in a module that fills in the rest"
        if isinstance(error, TypeError | KeyError | IndexError)
        else "repair it there, or bring the volumes to what it asks for"
    )
    return f"{name}'s own forward fails on {shape} ({type(error).__name__}: {said}); {advice}."


def no_gradient(model: nn.Module, error: RuntimeError) -> str:
    """Say in a sentence why a network's output cannot be differentiated."""
    name, said = type(model).__name__, _first_line(error)
    if "checkpoint" in said.lower():
        return (
            f"{name} uses gradient checkpointing in its reentrant form, which gives no gradient of "
            "the input; switch it off for explanations, or call checkpoint(..., "
            "use_reentrant=False)."
        )
    return f"The output of {name} cannot be differentiated: {said}."


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )
