"""Networks by name: our own, or anybody's ``package.module:function``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import nn

from voxplain.errors import InputError, NetworkError, unknown_name
from voxplain.nets.mrinet import MRINet
from voxplain.nets.sfcn import SFCN
from voxplain.nets.slicenet import SliceNet
from voxplain.nets.zoo import MONAI_NETWORKS

__all__ = ["NETWORKS", "build_network", "count_parameters", "takes"]

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mrinet": MRINet,
    "slicenet": SliceNet,
    "slicenet-residual": partial(SliceNet, residual=True),
    "slicenet-wide": partial(SliceNet, width=5),
    "slicenet-wide-residual": partial(SliceNet, width=5, residual=True),
    "slicenet-vote": partial(SliceNet, label="vote"),
    "sfcn": SFCN,
    **MONAI_NETWORKS,
}
"""What builds each network, by the name that the command line knows."""


def build_network(name: str, shape: Sequence[int], classes: int = 2) -> nn.Module:
    """Build a network from a registry name or from ``package.module:function``.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`, or where to import a function or class from. It is called with
        ``shape`` and ``classes`` where it takes arguments of these names.
    shape : sequence of 3 ints
        Shape of the volumes that the network will see.
    classes : int, default=2
        Number of logits.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InputError
        If there is no such network, module or function.
    NetworkError
        If the function fails or returns something else than a module.
    """
    maker = NETWORKS.get(name) or _imported(name)
    given: Mapping[str, object] = {"shape": tuple(shape), "classes": classes}
    accepted = {k: v for k, v in given.items() if k in _parameters(maker)}
    try:
        network = maker(**accepted)
    except NetworkError:
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0].rstrip(".")
        raise NetworkError(
            f"Building the network {name!r} failed with {type(error).__name__}: {first}."
        ) from error
    if not isinstance(network, nn.Module):
        raise NetworkError(
            f"{name!r} returned {type(network).__name__}, not a torch.nn.Module; return a network."
        )
    return network


def _imported(name: str) -> Callable[..., nn.Module]:
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise unknown_name("network", name, [*NETWORKS, "package.module:function"])
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"The network's module {module_name!r} cannot be imported ({error}); install it, or "
            "run from the folder that holds it."
        ) from error
    except (Exception, SystemExit) as error:
        # It is anybody's code, and runs when it is imported.
        first = (str(error).strip() or "no message").splitlines()[0].rstrip(".")
        raise InputError(
            f"The network's module {module_name!r} fails while it is imported "
            f"({type(error).__name__}: {first}); repair it, or put what it runs under "
            "if __name__ == '__main__'."
        ) from error
    maker = getattr(module, attribute, None)
    if not callable(maker):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise unknown_name(f"function of {module_name}", attribute, public)
    return maker  # type: ignore[no-any-return]


def _parameters(maker: Callable[..., nn.Module]) -> set[str]:
    try:
        return set(inspect.signature(maker).parameters)
    except ValueError:
        return set()


def takes(name: str, argument: str) -> bool:
    """Tell whether a network's function takes an argument, such as ``classes``."""
    return argument in _parameters(NETWORKS.get(name) or _imported(name))


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable numbers in a network."""
    return sum(p.numel() for p in network.parameters())
