"""Whether the gradients that bfloat16 computes are those of float32: tried once a training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from voxplain.fit.prediction import autocast
from voxplain.fit.training.arithmetic import Arithmetic, in_float32, undisturbed, widen

__all__ = ["checked"]

_LAYER = 0.05
"""Error of a layer's output or gradient, as a share of the largest value: rounding makes .01."""

_WHOLE = 0.5
"""Error of a gradient through the whole network, where the rounding of all layers adds up."""

_VECTOR = 0.01
"""Error of a bias' gradient as a share of the sum of what it adds up, which may cancel out."""

_LARGEST = 8_000_000

Tensors = list[torch.Tensor | None]


def checked(
    network: nn.Module, loss: Callable[[bool], torch.Tensor], device: str, chosen: Arithmetic
) -> Arithmetic:
    """Compare gradients in bfloat16 with those in float32.

    Each layer with parameters is run again, in both arithmetics, on the input and the gradient that
    reach it in a backward pass in bfloat16; freed memory is filled with large numbers first, so
    that a layer that reads what it has not written shows. Parameters that belong to no such layer
    are compared through the whole network.

    Parameters
    ----------
    network : torch.nn.Module
        In train mode; its weights, buffers and gradients are left as they are.
    loss : callable
        Runs a batch through the network, in bfloat16 or not, and returns its loss.
    device : str
    chosen : Arithmetic

    Returns
    -------
    Arithmetic
        With the layers that failed in float32, or all of them.
    """
    if not chosen.bfloat16:
        return chosen
    with undisturbed(network, device):
        with in_float32(network, chosen.cut):
            trial = _Trial(network, device)
            low = trial.run(lambda: loss(True))
        if trial.wrong:
            chosen = replace(chosen, wrong=tuple(trial.wrong))
        rest = [n for n, p in network.named_parameters() if p.requires_grad]
        rest = [n for n in rest if n not in trial.tried]
        failed = _unlike(rest, low, _gradients(network, loss(False))) if rest else []
        if failed:
            why = "a gradient through the whole network failed the check"
            wrong = (*chosen.wrong, *failed)
            return replace(chosen, bfloat16=False, wrong=wrong, why=why)
    return chosen


class _Trial:
    """Tries the layers of a network one by one during a backward pass."""

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network, self.device = network, device
        self.layers = {
            module: name
            for name, module in network.named_modules()
            if _is_layer(module) and not any(map(_is_layer, list(module.modules())[1:]))
        }
        self.names = {id(p): n for n, p in network.named_parameters()}
        self.wrong: dict[str, None] = {}
        self.tried: set[str] = set()
        self._trying = False

    def run(self, loss: Callable[[], torch.Tensor]) -> dict[str, torch.Tensor]:
        """Run a batch forward and backward; return the gradients by parameter."""
        handles = [
            layer.register_forward_hook(self._forward, with_kwargs=True) for layer in self.layers
        ]
        try:
            return _gradients(self.network, loss())
        finally:
            for handle in handles:
                handle.remove()

    def _forward(self, layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        one = isinstance(output, torch.Tensor) and output.requires_grad
        if self._trying or not one or kwargs:
            return

        def backward(gradient: torch.Tensor) -> None:
            self._trying = True
            try:
                self._try(layer, args, gradient.detach())
            finally:
                self._trying = False

        output.register_hook(backward)

    def _try(self, layer: nn.Module, args: Any, gradient: torch.Tensor) -> None:
        try:
            low = self._again(layer, args, gradient, None)
            # Some layers round what they are given, as convolutions do, and some do not.
            exact = (self._again(layer, args, gradient, rounded) for rounded in (True, False))
            total = float(gradient.abs().sum(dtype=torch.float64))
            if not any(_close(low, one, total) for one in exact):
                self.wrong[self.layers[layer]] = None
        except Exception:
            # A layer that cannot be run alone is compared through the whole network.
            return
        self.tried.update(self.names[id(p)] for p in layer.parameters())

    def _again(
        self, layer: nn.Module, args: Any, gradient: torch.Tensor, rounded: bool | None
    ) -> Tensors:
        """Return a layer's output and its parameters' gradients.

        In bfloat16 where `rounded` is None; else in float32, of parameters and input that are
        rounded to bfloat16 before, or not.
        """
        low = rounded is None
        change = _same if low else _round if rounded else widen
        parameters = {
            name: change(p.detach()).clone().requires_grad_(p.requires_grad)
            for name, p in layer.named_parameters()
        }
        buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
        given = [change(a.detach()).clone() if isinstance(a, torch.Tensor) else a for a in args]
        torch.manual_seed(0)
        if low:
            _litter([*parameters.values(), gradient, *given])
        with torch.enable_grad(), autocast(self.device) if low else nullcontext():
            output = torch.func.functional_call(layer, parameters | buffers, tuple(given))
        learnt = [p for p in parameters.values() if p.requires_grad]
        gradients = torch.autograd.grad(
            output, learnt, gradient.to(output.dtype), allow_unused=True
        )
        return [output.detach().float(), *(None if g is None else g.float() for g in gradients)]


def _same(value: torch.Tensor) -> torch.Tensor:
    return value


def _round(value: torch.Tensor) -> torch.Tensor:
    return value.bfloat16().float() if value.is_floating_point() else value


def _close(low: Tensors, exact: Tensors, total: float) -> bool:
    """Tell whether values are alike; `total` is the sum of the gradient's magnitudes."""
    for found, wanted in zip(low, exact, strict=True):
        if found is None or wanted is None or not wanted.numel():
            continue
        allowed = _LAYER * float(wanted.abs().max())
        if wanted.dim() < 2:
            allowed += _VECTOR * total / wanted.numel()
        # Written so that what is not a number fails, unless it is none in float32 either.
        alike = float((found - wanted).abs().max()) <= allowed
        if torch.isfinite(wanted).all() and not alike:
            return False
    return True


def _is_layer(module: nn.Module) -> bool:
    """Tell whether a module computes with parameters of its own, as they are or parametrised."""
    if isinstance(module, nn.utils.parametrize.ParametrizationList | torch.jit.ScriptModule):
        return False
    own = any(p.requires_grad for p in module.parameters(recurse=False))
    return own or nn.utils.parametrize.is_parametrized(module)


def _litter(like: list[Any]) -> None:
    """Leave large numbers in memory that is freed, in pieces as large as some tensors."""
    sizes = {min(t.numel(), _LARGEST) for t in like if isinstance(t, torch.Tensor)}
    pieces = [torch.full((size,), 100.0) for size in sizes]
    del pieces


def _gradients(network: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    named = network.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def _unlike(
    names: list[str], low: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]
) -> list[str]:
    """Name the parameters whose gradients differ."""
    found = []
    for name in names:
        if name not in exact or not torch.isfinite(exact[name]).all():
            continue
        size = float(exact[name].norm())
        if name not in low or not float((low[name] - exact[name]).norm()) <= _WHOLE * size:
            found.append(name)
    return found
