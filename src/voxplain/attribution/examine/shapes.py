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

__all__ = ["Watching", "on_shapes"]

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
        with only_its_own(shapes), probe(shapes), _Shortcuts():
            return watch(shapes, x.to("meta"))
    except Exception:
        return None


class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """See every operation. Nothing is compiled here, and to load the compiler takes a second."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


_aten = torch.ops.aten
_LIKE_ITS_INPUT = frozenset(
    {_aten.relu.default, _aten.gelu.default, _aten.sigmoid.default, _aten.tanh.default}
    | {_aten.silu.default, _aten.elu.default, _aten.leaky_relu.default}
)


class _Shortcuts(Watching):  # type: ignore[no-untyped-call]
    """Give the shapes of the most frequent operations.

    PyTorch works them out in Python: it takes a millisecond for a batch norm, of which DenseNet121
    has 121, and loads a compiler and an algebra system, a second for each process.
    """

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if not kwargs:
            if func is _aten.native_batch_norm.default and not args[5]:
                x = args[0]
                return x.new_empty(x.shape), x.new_empty(0), x.new_empty(0)
            if func in _LIKE_ITS_INPUT:
                return args[0].new_empty(args[0].shape)
            if func is _aten.addmm.default and args[1].shape[1] == args[2].shape[0]:
                return args[1].new_empty(args[1].shape[0], args[2].shape[1])
            if func is _aten.convolution.default and (size := _convolved(*args)) is not None:
                return args[0].new_empty(size)
        return func(*args, **(kwargs or {}))


def _convolved(
    x: torch.Tensor, weight: torch.Tensor, bias: object, stride: list[int], *how: Any
) -> list[int] | None:
    """Return the shape that a plain convolution gives; None for another, or a wrong one."""
    padding, dilation, transposed, _, groups = how
    if transposed or x.ndim != weight.ndim or x.shape[1] != weight.shape[1] * groups:
        return None
    steps = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=False)
    size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in steps]
    if len(size) != x.ndim - 2 or min(size) < 1:
        return None
    return [x.shape[0], weight.shape[0], *size]
