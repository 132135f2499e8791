"""Which modules a network runs, in what order, and what each hands to the next."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from voxplain.explain.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Call", "Trace", "trace"]

# With the version of the tensor: an in-place ReLU hands on the very same tensor, changed.
_Key = tuple[int, int]


@dataclass(frozen=True)
class Call:
    """One call of a module that has no children.

    Parameters
    ----------
    name : str
        Dotted path.
    taken, given : tuple of int
        What tells the input and the output tensor from all others of the trace.
    shape : tuple of int
        Of the output; empty where it is no tensor.
    """

    name: str
    taken: _Key
    given: _Key
    shape: tuple[int, ...]


@dataclass(eq=False)
class Trace:
    """The calls of one forward pass, in order."""

    calls: list[Call] = field(default_factory=list)

    def once(self) -> dict[str, Call]:
        """Return the calls of modules that were called exactly once, by name."""
        names = [call.name for call in self.calls]
        return {call.name: call for call in self.calls if names.count(call.name) == 1}

    def follower(self, call: Call) -> Call | None:
        """Return the one call that works on the very tensor that another gave."""
        takers = [c for c in self.calls if c.taken == call.given and c.given != c.taken]
        return takers[0] if len(takers) == 1 else None

    def passing(self, call: Call) -> list[str]:
        """Names of the modules, such as `nn.Identity`, that hand on a call's tensor as it is."""
        return [c.name for c in self.calls if c.taken == c.given == call.given]

    def without(self, names: Collection[str]) -> Trace:
        """Return the trace as it would be if some modules handed on what they are given."""
        same: dict[_Key, _Key] = {}
        calls = []
        for call in self.calls:
            taken = same.get(call.taken, call.taken)
            if call.name in names:
                same[call.given] = taken
            calls.append(replace(call, taken=taken, given=same.get(call.given, call.given)))
        return Trace(calls)


def trace(model: nn.Module, x: torch.Tensor) -> Trace:
    """Watch one forward pass.

    It is made on shapes alone, without numbers, where the network allows it, and else on `x`.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it was.
    x : tensor (N, 1, X, Y, Z)

    Returns
    -------
    Trace
    """
    try:
        shapes = copy.deepcopy(model).to("meta")
        with probe(shapes), torch.no_grad():
            return _watch(shapes, lambda: shapes(x.to("meta")))
    except Exception:
        # The network may look at values, or cannot be copied: any error may come of that. Whether
        # it can be run at all is seen on the real volume.
        with probe(model) as p, torch.no_grad():
            return _watch(model, lambda: p.logits(x))


def _watch(model: nn.Module, run: Callable[[], object]) -> Trace:
    seen, handles = Trace(), []
    # As long as they are held, no other tensor gets their identity.
    held: list[object] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], object], None]:
        taken: list[_Key] = []

        def before(module: nn.Module, args: tuple[Any, ...]) -> None:
            taken[:] = [_key(args[0] if args else None)]
            held.append(args)

        def after(module: nn.Module, args: tuple[Any, ...], out: object) -> None:
            shape = tuple(out.shape) if isinstance(out, torch.Tensor) else ()
            seen.calls.append(Call(name, taken[0], _key(out), shape))
            held.append(out)

        handles.append(module.register_forward_pre_hook(before))
        return after

    try:
        for name, module in model.named_modules():
            if name and not any(module.children()):
                handles.append(module.register_forward_hook(watch(name)))
        run()
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _key(value: object) -> _Key:
    return (id(value), value._version if isinstance(value, torch.Tensor) else 0)
