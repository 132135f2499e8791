"""Relevance: a backward pass in which each layer with weights follows a rule of its own.

The pass carries a *gradient* of each activation: its relevance divided by its value. The gradient
obeys the chain rule wherever a network is linear without a constant, so sums, pooling, views and
ReLUs share out relevance in proportion to what went in with PyTorch's own derivatives, and nothing
is divided by a value near zero. Only layers with weights need rules, `Rule`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from voxplain.attribution.methods.relevance.graph import source_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULED", "FirstName", "Rule", "RuleName", "Tracer", "spare_last_layer"]

RuleName = Literal["epsilon", "alpha-beta"]
FirstName = Literal["flat", "w2", "same"]

_CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
# Contributions below this share of a unit's total are rounding, where an algorithm for
# convolutions does not keep exact zeros.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Rule:
    """How relevance passes layers with weights.

    Parameters
    ----------
    convolution, linear : {"epsilon", "alpha-beta"}
        Rule of each kind of layer.
    first : {"flat", "w2", "same"}
        Rule of the layers that take the volume itself.
    epsilon : float
        Stabiliser of the epsilon rule, as a share of the root mean square of a layer's outputs in
        one sample.
    beta : float
        Weight of the contributions against a unit's activation; that of those for it is 1 + beta.
    """

    convolution: RuleName
    linear: RuleName
    first: FirstName
    epsilon: float
    beta: float


@dataclass(frozen=True, eq=False)
class _Layer:
    """A linear map with a bias, and the rule that it follows."""

    run: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
    weight: torch.Tensor
    bias: torch.Tensor | None
    rule: RuleName | FirstName
    epsilon: float
    beta: float

    def scaled(self, gain: torch.Tensor, shift: torch.Tensor) -> _Layer:
        """Take in a batch norm that follows."""
        weight = self.weight * gain.reshape(-1, *[1] * (self.weight.ndim - 1))
        bias = shift if self.bias is None else self.bias * gain + shift
        return replace(self, weight=weight, bias=bias)

    def epsilon_gradient(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        leaf = x.detach().requires_grad_()
        z = self.run(leaf, self.weight, self.bias)
        if self.epsilon:
            out = z.detach()
            size = out.flatten(1).square().mean(1).sqrt()
            margin = self.epsilon * size.reshape(-1, *[1] * (out.ndim - 1))
            gradient = gradient * _quotient(out.abs(), out.abs() + margin)
        return torch.autograd.grad(z, leaf, gradient)[0]

    def alpha_beta_gradient(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        up, down = self.weight.clamp(min=0), self.weight.clamp(max=0)
        bias_up = None if self.bias is None else self.bias.clamp(min=0)
        bias_down = None if self.bias is None else self.bias.clamp(max=0)
        signed = bool((x < 0).any())
        above = (x.clamp(min=0) if signed else x).detach().requires_grad_()
        leaves = [above]
        excited, inhibited = self.run(above, up, bias_up), self.run(above, down, bias_down)
        if signed:
            below = x.detach().clamp(max=0).requires_grad_()
            leaves.append(below)
            excited = excited + self.run(below, down, None)
            inhibited = inhibited + self.run(below, up, None)
        plus, minus = excited.detach(), inhibited.detach()
        least = _ROUNDING * (plus - minus)
        has_plus, has_minus = plus > least, -minus > least
        del least
        relevance = gradient * (plus + minus)
        # Where all contributions have one sign, they share the whole relevance.
        shares = (
            torch.where(has_minus, (1 + self.beta) * relevance, relevance)
            .div_(plus)
            .masked_fill_(~has_plus, 0),
            torch.where(has_plus, -self.beta * relevance, relevance)
            .div_(minus)
            .masked_fill_(~has_minus, 0),
        )
        gradients = torch.autograd.grad((excited, inhibited), leaves, shares)
        return torch.where(x < 0, gradients[1], gradients[0]) if signed else gradients[0]

    def input_relevance(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        weight = self.weight.square() if self.rule == "w2" else torch.ones_like(self.weight)
        relevance = gradient * self.run(x.detach(), self.weight, self.bias)
        leaf = torch.ones_like(x).requires_grad_()
        z = self.run(leaf, weight, None)
        return torch.autograd.grad(z, leaf, _quotient(relevance, z.detach()))[0]


def _quotient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Divide, where zero by zero is zero."""
    return a / torch.where(b == 0, 1.0, b)


class _Ruled(torch.autograd.Function):
    """Run a layer as it is, and pass relevance back by its rule.

    Nothing is kept but the layer's input, which PyTorch keeps as well; what a rule needs besides is
    computed anew on the way back.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        taken: torch.Tensor,
        layer: _Layer,
        run: Callable[[], torch.Tensor],
    ) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.layer = layer
        ctx.shape = taken.shape
        return run()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        layer: _Layer = ctx.layer
        with torch.enable_grad():
            if layer.rule == "epsilon":
                return layer.epsilon_gradient(x, gradients[0]), None, None, None
            if layer.rule == "alpha-beta":
                return layer.alpha_beta_gradient(x, gradients[0]), None, None, None
            return None, layer.input_relevance(x, gradients[0]).reshape(ctx.shape), None, None


# Type of the nodes of `_Ruled` in the graph.
RULED: type[Any] = _Ruled._backward_cls


class Tracer(TorchFunctionMode):
    """Give every layer with weights that runs while the mode is on its rule.

    A batch norm that takes a layer's own output becomes part of that layer, so that relevance does
    not depend on whether it was folded into the weights beforehand. Layers whose weights depend on
    the volume, and batch norm over the statistics of the batch, are left as they are; see
    `require_known`.

    Parameters
    ----------
    rule : Rule
    volume : tensor (N, 1, X, Y, Z)
        What the network is given; it is not a leaf.
    taken : tensor (N, 1, X, Y, Z)
        Its derivative is the relevance that a first layer gives to voxels directly, under the
        rules "flat" and "w2".
    """

    def __init__(self, rule: Rule, volume: torch.Tensor, taken: torch.Tensor) -> None:
        super().__init__()
        self.rule = rule
        self.volume = volume
        self.taken = taken
        self.firsts = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _CONVOLUTIONS or func is functional.linear:
            return self._weighted(func, *args, **kwargs)
        if func is functional.batch_norm:
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _weighted(
        self,
        func: Callable[..., torch.Tensor],
        input: torch.Tensor,  # noqa: A002
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        *geometry: Any,
        **named: Any,
    ) -> torch.Tensor:
        def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
            return func(x, w, b, *geometry, **named)

        changing = weight.requires_grad or (bias is not None and bias.requires_grad)
        if changing or not input.requires_grad:
            return run(input, weight, bias)
        rule: RuleName | FirstName = (
            self.rule.linear if func is functional.linear else self.rule.convolution
        )
        if self.rule.first != "same" and self._is_volume(input):
            rule = self.rule.first
            self.firsts += 1
        layer = _Layer(run, weight, bias, rule, self.rule.epsilon, self.rule.beta)
        return self._apply(input, layer, partial(run, input.detach(), weight, bias))

    def _batch_norm(
        self,
        input: torch.Tensor,  # noqa: A002
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        training: bool = False,
        **named: Any,
    ) -> torch.Tensor:
        def run(x: torch.Tensor) -> torch.Tensor:
            return functional.batch_norm(
                x, running_mean, running_var, weight, bias, training, **named
            )

        if training or running_mean is None or running_var is None:
            return run(input)
        gain = torch.rsqrt(running_var + named.get("eps", 1e-5))
        gain = gain if weight is None else gain * weight
        shift = -running_mean * gain if bias is None else bias - running_mean * gain
        node = input.grad_fn
        if isinstance(node, RULED):
            return self._apply(
                node.saved_tensors[0],
                node.layer.scaled(gain, shift),
                partial(run, input.detach()),
            )
        shape = (-1, *[1] * (input.ndim - 2))
        return input * gain.reshape(shape) + shift.reshape(shape)

    def _apply(
        self, x: torch.Tensor, layer: _Layer, run: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        out: torch.Tensor = _Ruled.apply(x, self.taken, layer, run)  # type: ignore[no-untyped-call]
        return out

    def _is_volume(self, x: torch.Tensor) -> bool:
        same = source_of(x.grad_fn) is source_of(self.volume.grad_fn)
        return same and x.numel() == self.volume.numel()


def spare_last_layer(logits: torch.Tensor) -> None:
    """Leave the stabiliser out of the layer that gives the logits.

    There it would scale a whole map by one number and absorb relevance for nothing.

    Parameters
    ----------
    logits : tensor (N, K)
    """
    node = source_of(logits.grad_fn)
    if isinstance(node, RULED):
        node.layer = replace(node.layer, epsilon=0.0)
