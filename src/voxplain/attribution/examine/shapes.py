"""A network run on the shapes of its tensors alone, without numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

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
        with only_its_own(shapes), probe(shapes), _PlainNorms():
            return watch(shapes, x.to("meta"))
    except Exception:
        return None


class _PlainNorms(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Give the shapes of a batch norm that is not training without working them out in Python.

    PyTorch takes a millisecond for each, and DenseNet121 has 121 of them.
    """

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.native_batch_norm.default and not kwargs and not args[5]:
            x = args[0]
            return torch.empty_like(x), x.new_empty(0), x.new_empty(0)
        return func(*args, **(kwargs or {}))
