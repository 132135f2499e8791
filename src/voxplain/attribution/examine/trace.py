"""Which modules a network runs, in what order, and what each hands to the next."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from voxplain.attribution.examine.shapes import Watching, on_shapes
from voxplain.attribution.network.insides import only_its_own
from voxplain.attribution.network.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from voxplain.attribution.network.probe import Probe

__all__ = ["Call", "Trace", "trace"]

# Operations that hand on the numbers of their first tensor, or some of them.
_VIEWS = frozenset(
    {"alias", "clone", "detach", "expand", "permute", "select", "slice", "squeeze", "t", "_to_copy"}
    | {"transpose", "unsqueeze", "view", "_unsafe_view", "_reshape_alias", "as_strided"}
)

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
    """The calls of one forward pass, in order, and what was seen of its operations.

    Parameters
    ----------
    calls : list of Call
    uses : dict, or None
        How many operations, of modules or written as functions, took each tensor; None where
        operations could not be watched.
    tied : frozenset of str
        Parameters that several operations use, by dotted name.
    draws : bool
        Whether an operation drew random numbers.
    last : str
        Name of the operation that made the output, such as ``"addmm"`` or ``"_softmax"``, views and
        copies passed over; empty where that cannot be told.
    """

    calls: list[Call] = field(default_factory=list)
    uses: dict[_Key, int] | None = None
    tied: frozenset[str] = frozenset()
    draws: bool = False
    last: str = ""

    def once(self) -> dict[str, Call]:
        """Return the calls of modules that were called exactly once, by name."""
        names = [call.name for call in self.calls]
        return {call.name: call for call in self.calls if names.count(call.name) == 1}

    def follower(self, call: Call) -> Call | None:
        """Return the one call that works on the very tensor that another gave.

        There is none where anything else works on that tensor too, such as a sum written in the
        network's forward, or where that cannot be told.
        """
        if self.uses is None or self.uses.get(call.given, 0) != 1:
            return None
        takers = [c for c in self.calls if c.taken == call.given and c.given != c.taken]
        return takers[0] if len(takers) == 1 else None

    def passing(self, call: Call) -> list[str]:
        """Names of the modules, such as `nn.Identity`, that hand on a call's tensor as it is."""
        return [c.name for c in self.calls if c.taken == c.given == call.given]

    def without(self, names: Collection[str]) -> Trace:
        """Return the trace as it would be if some modules handed on what they are given."""
        same: dict[_Key, _Key] = {}
        calls, uses = [], None if self.uses is None else dict(self.uses)
        for call in self.calls:
            taken = same.get(call.taken, call.taken)
            if call.name in names:
                same[call.given] = taken
                if uses is not None:
                    uses[taken] = uses.get(call.given, 0)
            calls.append(replace(call, taken=taken, given=same.get(call.given, call.given)))
        return replace(self, calls=calls, uses=uses)


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
    calls = on_shapes(model, x, _watch_on_shapes)
    if calls is not None:
        return calls
    with only_its_own(model), probe(model) as p, torch.no_grad():
        run = _output_of(p, x)
        try:
            return _watch(model, run, _Operations())
        except Exception:
            # Whatever fails in the network itself fails once more.
            return _watch(model, run, None)


def _watch_on_shapes(shapes: nn.Module, x: torch.Tensor) -> Trace:
    with torch.no_grad():
        return _watch(shapes, lambda: shapes(x), _Operations())


def _output_of(p: Probe, x: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        p.logits(x)
        return p.output

    return run


class _Operations(Watching):  # type: ignore[no-untyped-call]
    """Count which operations take which tensor, also those that no module runs."""

    def __init__(self) -> None:
        super().__init__()
        self.uses: dict[_Key, int] = {}
        self.draws = False
        self._made_by: dict[_Key, tuple[str, _Key | None]] = {}
        self._held: list[object] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        taken = [_key(v) for v in tree_leaves((args, kwargs)) if isinstance(v, torch.Tensor)]
        for key in set(taken):
            self.uses[key] = self.uses.get(key, 0) + 1
        self.draws |= torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args, kwargs)
        given = func(*args, **kwargs)
        self._held.append((args, kwargs, given))
        name = func._schema.name.rpartition("::")[2]
        for value in tree_leaves(given):
            if isinstance(value, torch.Tensor):
                self._made_by[_key(value)] = (name, taken[0] if taken else None)
        return given

    def last(self, output: object) -> str:
        """Name the operation that made a network's only output tensor."""
        tensors = [value for value in tree_leaves(output) if isinstance(value, torch.Tensor)]
        key = _key(tensors[0]) if len(tensors) == 1 else None
        while key in self._made_by:
            name, before = self._made_by[key]
            if name not in _VIEWS:
                return name
            key = before
        return ""


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether an operation that may draw random numbers does so with these arguments."""
    named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    switches = ("train", "training", "dropout_p", "p")
    return all(bool(named[name]) for name in switches if name in named)


def _watch(model: nn.Module, run: Callable[[], object], operations: _Operations | None) -> Trace:
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
            scripted = isinstance(module, torch.jit.ScriptModule)
            if name and not scripted and not any(module.children()):
                handles.append(module.register_forward_hook(watch(name)))
        with operations or nullcontext():
            output = run()
    finally:
        for handle in handles:
            handle.remove()
    if operations is not None:
        parameters = model.named_parameters(remove_duplicate=False)
        uses = operations.uses
        seen.uses, seen.draws, seen.last = uses, operations.draws, operations.last(output)
        seen.tied = frozenset(name for name, value in parameters if uses.get(_key(value), 0) > 1)
    return seen


def _key(value: object) -> _Key:
    return (id(value), value._version if isinstance(value, torch.Tensor) else 0)
