"""Other rules for the backward pass of a ReLU, wherever the network writes it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

__all__ = [
    "Rectifiers",
    "Rule",
    "active_rectifiers",
    "passed_on",
]

Rule = Literal["guided", "deconvolution"]

_RELU = (functional.relu, torch.relu, torch.Tensor.relu)
_RELU_IN_PLACE = (torch.relu_, torch.Tensor.relu_)
_OTHER_RECTIFIERS = (
    functional.relu6,
    functional.hardtanh,
    functional.leaky_relu,
    functional.prelu,
    functional.rrelu,
    functional.elu,
    functional.selu,
    functional.celu,
    functional.gelu,
    functional.silu,
    functional.mish,
    functional.hardswish,
    functional.softplus,
)

_active: ContextVar[Rectifiers | None] = ContextVar("voxplain_rectifiers", default=None)


def active_rectifiers() -> Rectifiers | None:
    """Give the mode that is on, so that a fused block can keep its rule; None if none is.

    A block that rectifies inside an autograd function of its own must ask in its forward pass
    (on an accelerator the backward pass runs in another thread), call `Rectifiers.reached` once
    for every ReLU it stands for, and send its gradient through `passed_on`.
    """
    return _active.get()


def passed_on(rule: Rule | None, grad: torch.Tensor, opened: torch.Tensor) -> torch.Tensor:
    """Apply a rule to the gradient that arrives at a ReLU.

    Parameters
    ----------
    rule : {"guided", "deconvolution"} or None
        None is the ReLU's own gradient.
    grad : tensor
        Gradient with respect to the ReLU's output.
    opened : tensor of the same shape
        Above 0 where the ReLU's input was: its output, or a mask.

    Returns
    -------
    tensor
        None: the gradient where the ReLU was open. Deconvolution: the positive part of the
        gradient. Guided: both.
    """
    if rule == "deconvolution":
        return grad.relu()
    # One pass over memory, where a comparison and a product take three.
    passed: torch.Tensor = torch.ops.aten.threshold_backward(grad, opened.to(grad.dtype), 0)
    return passed.relu_() if rule == "guided" else passed


class Rectifiers(TorchFunctionMode):
    """Exchange the backward pass of every ReLU that runs while the mode is on.

    A ReLU that runs without gradients, such as one inside the forward pass of an autograd
    function, is left alone and not counted.

    Parameters
    ----------
    rule : {"guided", "deconvolution"}

    Attributes
    ----------
    relus, others : int
        Calls of ReLUs, and of other activations, so far.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.relus = 0
        self.others = 0
        self._token: Token[Rectifiers | None]

    def reached(self) -> None:
        """Count one ReLU whose gradient follows the rule."""
        self.relus += 1

    def __enter__(self) -> Rectifiers:
        self._token = _active.set(self)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        _active.reset(self._token)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if func in _RELU:
            return self._relu(*args, **kwargs)
        if func in _RELU_IN_PLACE:
            return self._relu(args[0] if args else kwargs["input"], inplace=True)
        self.others += func in _OTHER_RECTIFIERS
        return func(*args, **kwargs)

    def _relu(self, input: torch.Tensor, inplace: bool = False) -> torch.Tensor:  # noqa: A002
        self.reached()
        out: torch.Tensor = _RuledRelu.apply(input, self.rule)  # type: ignore[no-untyped-call]
        # Copied back rather than marked dirty: this also serves views, and whoever else holds the
        # tensor sees the change, as after a real in-place ReLU.
        return input.copy_(out) if inplace else out


class _RuledRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rule: Rule) -> torch.Tensor:
        out = x.relu()
        ctx.rule = rule
        ctx.save_for_backward(out > 0)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return passed_on(ctx.rule, grads[0], ctx.saved_tensors[0]), None
