"""What a network is made of: modules of its own, strangers, and parameters without values."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy

from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_scripted", "only_its_own", "require_ready", "shares_itself", "why_not_copied"]

# Modules of torch that do nothing else while they are trained.
_ALWAYS_THE_SAME = "torch.nn.modules."
_TRAINED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)


@contextmanager
def only_its_own(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Watch for modules that run though they are no part of a network.

    Such a module is out of reach of eval mode, of copies and of hooks: a forward that was replaced
    by a function still runs the network that it was made of.

    Parameters
    ----------
    model : torch.nn.Module

    Yields
    ------
    list of torch.nn.Module
        Filled while the network runs.

    Raises
    ------
    NetworkError
        Where such a module is in training mode and may do something else there, before it runs.
    """
    own, strangers, thread = set(model.modules()), list[nn.Module](), threading.get_ident()

    def before(module: nn.Module, args: object) -> None:
        if threading.get_ident() != thread or module in own:
            return
        strangers.append(module)
        if any(getattr(m, "training", False) and _is_trained(m) for m in module.modules()):
            raise NetworkError(
                f"{type(model).__name__} runs a {type(module).__name__} that is not one of its "
                "submodules and is in training mode; call its .eval(), or register it as a "
                "submodule."
            )

    handle = register_module_forward_pre_hook(before)
    try:
        yield strangers
    finally:
        handle.remove()


def _is_trained(module: nn.Module) -> bool:
    """Tell whether a module may do something else in training mode."""
    theirs = type(module).__module__.startswith(_ALWAYS_THE_SAME)
    return not theirs or isinstance(module, _TRAINED)


def require_ready(model: nn.Module) -> None:
    """Refuse a network with parameters that have no values yet.

    Raises
    ------
    NetworkError
        If it has lazy layers that never ran.
    """
    lazy = [name for name, value in model.named_parameters() if is_lazy(value)]
    if lazy:
        raise NetworkError(
            f"{type(model).__name__} has lazy layers without values ({', '.join(lazy)}); run it "
            "once on a volume of the right shape, and load its weights."
        )


def is_scripted(model: nn.Module) -> bool:
    """Tell whether a network contains TorchScript, whose insides are out of reach."""
    return any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())


def shares_itself(model: nn.Module) -> bool:
    """Tell whether a forward was replaced by a function, which a copy would share."""
    return any("forward" in vars(module) for module in model.modules())


def why_not_copied(model: nn.Module) -> str | None:
    """Say why a network is better not copied."""
    if is_scripted(model):
        return "it is TorchScript"
    if shares_itself(model):
        return "its forward was replaced by a function, which a copy would share"
    return None
