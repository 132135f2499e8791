"""The ways by which evidence gets from the input through the modules to the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from voxplain.attribution.examine.shapes import on_shapes
from voxplain.attribution.network.insides import only_its_own
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError

__all__ = ["Handed", "Ways", "follow"]

# A tensor, by the node of the graph that made it and the number of that node's output.
_Tensor = tuple[Any, int]
# They run what is in them without calling it, unless a gradient is asked for.
_CLOSED = (nn.TransformerEncoderLayer, nn.MultiheadAttention)


@dataclass(frozen=True, eq=False)
class Handed:
    """What one call of a module handed on.

    Parameters
    ----------
    name : str
        Dotted path of the module.
    module : torch.nn.Module
    shape : tuple of int
        Of the output.
    made : tuple or None
        The output, in the graph; None where it does not depend on the input.
    passed : tuple or None
        The copy of it that those who come after were given.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    made: _Tensor | None
    passed: _Tensor | None


@dataclass(eq=False)
class Ways:
    """All ways from a network's input to its output, in one forward pass.

    Parameters
    ----------
    calls : list of Handed
        Calls of modules in order.
    source : object
        The node of the graph where the input enters.
    end : object
        The node that made the output; None where there is no gradient.
    """

    calls: list[Handed] = field(default_factory=list)
    source: Any = None
    end: Any = None

    @cached_property
    def _nodes(self) -> list[Any]:
        """All nodes from the output down, each after those that use it."""
        found, done = [], set()
        waiting = [(self.end, False)] if self.end is not None else []
        while waiting:
            node, left = waiting.pop()
            if left:
                found.append(node)
            elif node not in done:
                done.add(node)
                waiting.append((node, True))
                waiting += [(after, False) for after, _ in _before(node) if after not in done]
        return found[::-1]

    @cached_property
    def _down(self) -> dict[Any, int]:
        """Ways from each node to the input."""
        counts: dict[Any, int] = {}
        for node in reversed(self._nodes):
            at_end = int(node is self.source)
            counts[node] = at_end + sum(counts[before] for before, _ in _before(node))
        return counts

    @cached_property
    def _up(self) -> dict[_Tensor, int]:
        """Ways from the output to each tensor."""
        node_ways: dict[Any, int] = {self.end: 1}
        counts: dict[_Tensor, int] = {(self.end, 0): 1}
        for node in self._nodes:
            for tensor in _before(node):
                counts[tensor] = counts.get(tensor, 0) + node_ways[node]
                node_ways[tensor[0]] = node_ways.get(tensor[0], 0) + node_ways[node]
        return counts

    @property
    def total(self) -> int:
        """Number of ways from the input to the output."""
        return self._down.get(self.end, 0)

    def through(self, call: Handed) -> int:
        """Count the ways that lead through what a call handed on."""
        if call.passed is None:
            return 0
        return self._up.get(call.passed, 0) * self._down.get(call.passed[0], 0)

    def origin(self, call: Handed) -> _Tensor | None:
        """Find the tensor that a call handed on; a container and its last module have the same."""
        tensor = call.made
        while tensor in self._copies:
            tensor = self._copies[tensor]
        return tensor

    @cached_property
    def _copies(self) -> dict[_Tensor | None, _Tensor]:
        return {c.passed: c.made for c in self.calls if c.passed and c.made}

    def after(self, call: Handed) -> set[Any]:
        """Nodes that lead to the output without what a call handed on, or after it."""
        found: set[Any] = set()
        waiting = [(self.end, 0)]
        while waiting:
            tensor = waiting.pop()
            if tensor[0] not in found and tensor != call.passed:
                found.add(tensor[0])
                waiting += list(_before(tensor[0]))
        return found

    def operations_before(self, call: Handed) -> Iterator[str]:
        """Names of the operations on the ways from the input to what a call handed on."""
        seen: set[Any] = set()
        waiting = [call.passed[0]] if call.passed else []
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                yield node.name()
                waiting += [before for before, _ in _before(node)]

    def single_way(self, late: Handed, early: Handed) -> list[str] | None:
        """Name the operations between two calls if they form one chain, and else give None.

        Parameters
        ----------
        late, early : Handed
            Both on every way.
        """
        if late.passed is None or early.passed is None:
            return None
        if self._down[late.passed[0]] != self._down[early.passed[0]]:
            return None
        names, node = [], late.passed[0]
        while node is not early.passed[0]:
            names.append(node.name())
            node = next(before for before, _ in _before(node) if self._down[before])
        return names


def _before(node: Any) -> Iterator[_Tensor]:
    return ((before, number) for before, number in node.next_functions if before is not None)


def follow(model: nn.Module, x: torch.Tensor) -> Ways:
    """Find all ways through a network, by the graph of its gradient.

    It is made on shapes alone, without numbers, where the network allows it, and else on `x`.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it was.
    x : tensor (N, 1, X, Y, Z)

    Returns
    -------
    Ways
    """
    ways = on_shapes(
        model,
        x,
        lambda shapes, given: _watch(shapes, given, lambda leaf: _tensor(shapes(leaf.clone()))),
    )
    if ways is not None:
        return ways
    with only_its_own(model), probe(model) as p:
        return _watch(model, x, p.logits)


def _tensor(output: object) -> torch.Tensor:
    if not isinstance(output, torch.Tensor):
        raise NetworkError("The probe knows which part of the output is explained.")
    return output


def _watch(model: nn.Module, x: torch.Tensor, run: Callable[[torch.Tensor], torch.Tensor]) -> Ways:
    ways, handles = Ways(), []

    def watch(name: str) -> Callable[[nn.Module, object, object], torch.Tensor | None]:
        def hand_on(module: nn.Module, args: object, out: object) -> torch.Tensor | None:
            if not isinstance(out, torch.Tensor):
                return None
            # A copy, so that whoever holds the module's input is not taken for one who is given
            # its output, where both are one tensor.
            copied = out.clone()
            ways.calls.append(Handed(name, module, tuple(out.shape), _made(out), _made(copied)))
            return copied

        return hand_on

    try:
        inside = {
            m for c in model.modules() if isinstance(c, _CLOSED) for m in c.modules() if m is not c
        }
        for name, module in model.named_modules():
            if name and module not in inside and not isinstance(module, torch.jit.ScriptModule):
                handles.append(module.register_forward_hook(watch(name)))
        leaf = x.detach().clone().requires_grad_()
        # Nobody goes back through this graph, so that it need not hold the feature maps.
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: None, lambda saved: saved):
            out = run(leaf)
    finally:
        for handle in handles:
            handle.remove()
    entrance = leaf.view_as(leaf).grad_fn
    ways.source = entrance.next_functions[0][0] if entrance is not None else None
    ways.end = out.grad_fn
    return ways


def _made(tensor: torch.Tensor) -> _Tensor | None:
    return (tensor.grad_fn, tensor.output_nr) if tensor.grad_fn is not None else None
