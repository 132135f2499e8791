"""Which operations led from a volume to the logits, read from PyTorch's own record of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn
    from torch.autograd.graph import Node

__all__ = ["require_known", "source_of", "traced_modules"]

# Operations that keep the order of the numbers they pass on, or take some of them.
_VIEWS = frozenset(
    {"Alias", "Clone", "ReshapeAlias", "Select", "Slice", "Squeeze", "ToCopy", "UnsafeView"}
    | {"Unsqueeze", "View"}
)
# Operations that are linear without a constant, or piecewise so: value = slope x input exactly.
# CopySlices, a change in place of a part of a tensor, is not among them: it hides what was done.
_PROPORTIONAL = _VIEWS | {
    *("Add", "Sub", "Rsub", "Neg", "Mul", "Div", "Sum", "Mean", "Cat", "Stack"),
    *("Split", "SplitWithSizes", "Unbind", "Index", "Expand", "Repeat", "Flip", "Roll"),
    *("Permute", "Transpose", "T", "AsStrided", "CopyBackwards", "AccumulateGrad"),
    *("Relu", "LeakyRelu", "PreluKernel", "RreluWithNoise"),
    *("MaxPool3DWithIndices", "AdaptiveMaxPool3D", "AvgPool3D", "AdaptiveAvgPool3D"),
    *("MaxPool2DWithIndices", "AdaptiveMaxPool2D", "AvgPool2D", "AdaptiveAvgPool2D"),
    *("ConstantPadNd", "ReflectionPad3D", "ReplicationPad3D"),
    *("UpsampleTrilinear3D", "UpsampleNearest3D"),
}
_PRODUCTS = ("Mul", "Div")


def source_of(node: Node | None) -> Node | None:
    """Follow views and copies back to the operation that made the numbers.

    Parameters
    ----------
    node : Node or None
        ``grad_fn`` of a tensor.

    Returns
    -------
    Node or None
        The first operation on the way back that is more than a view or a copy.
    """
    while node is not None and _operation(node) in _VIEWS:
        before = node.next_functions[0][0]
        if before is None or _operation(before) == "AccumulateGrad":
            return node
        node = before
    return node


@contextmanager
def traced_modules(model: nn.Module) -> Iterator[dict[Node, str]]:
    """Note which module each operation's result came out of.

    Parameters
    ----------
    model : torch.nn.Module

    Yields
    ------
    dict of Node to str
        It fills while the network runs, with such as ``"'layer1.norm' (GroupNorm)"``.
    """
    owners: dict[Node, str] = {}

    def note(name: str, module: nn.Module, output: object) -> None:
        for item in output if isinstance(output, tuple | list) else (output,):
            if isinstance(item, torch.Tensor) and item.grad_fn is not None:
                # A container gives on what its last child gave; the child comes first.
                owners.setdefault(item.grad_fn, f"'{name}' ({type(module).__name__})")

    handles = [
        module.register_forward_hook(
            lambda module, args, output, name=name: note(name, module, output)
        )
        for name, module in model.named_modules()
        if name and not isinstance(module, torch.jit.ScriptModule)
    ]
    try:
        yield owners
    finally:
        for handle in handles:
            handle.remove()


def require_known(logits: torch.Tensor, ruled: type, owners: dict[Node, str], network: str) -> None:
    """Refuse a network with an operation that relevance cannot pass.

    Parameters
    ----------
    logits : tensor (N, K)
    ruled : type
        Of the nodes that follow a rule of their own.
    owners : dict of Node to str
        See `traced_modules`.
    network : str
        Name of the network's class, for the error.

    Raises
    ------
    NetworkError
        At the first such operation on the way back from the logits.
    """
    waiting = [(logits.grad_fn, "")]
    seen = set()
    while waiting:
        node, owner = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        owner = owners.get(node, owner)
        operation = _operation(node)
        known = operation in _PROPORTIONAL or isinstance(node, ruled)
        if operation in _PRODUCTS:
            known = sum(before is not None for before, _ in node.next_functions) == 1
        if not known:
            where = f" in or before {owner}" if owner else ""
            raise NetworkError(
                f"{network} runs {operation}{where}, for which relevance has no rule; it passes "
                "convolutions, linear layers, batch norm with running statistics, ReLU and its "
                "leaky forms, pooling, dropout, sums, concatenation and constant factors."
            )
        waiting += [(before, owner) for before, _ in node.next_functions]


def _operation(node: Node) -> str:
    name = node.name().rpartition("::")[2]
    return name.rstrip("0123456789").removesuffix("Backward")
