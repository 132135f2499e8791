"""Guided backpropagation: a gradient that passes each ReLU only where it is positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from voxplain.errors import NetworkError
from voxplain.explain.method import Attribution, Method, MethodInfo, Note

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxplain.explain.probe import Probe
    from voxplain.explain.target import Target

__all__ = ["GuidedBackprop"]

_RELU = (torch.relu, torch.Tensor.relu)
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


@dataclass(frozen=True, eq=False)
class GuidedBackprop(Method):
    """Guided backpropagation of the target's logit (Springenberg et al., 2015).

    Negative gradients are stopped at every ReLU that the network runs, wherever it is written:
    ``nn.ReLU``, in place or not, ``torch.nn.functional.relu``, ``torch.relu``, ``Tensor.relu``
    and their in-place forms. Other activations, such as ``nn.LeakyReLU`` or ``nn.ReLU6``, keep
    their own gradient; the notes count them.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="guided-backprop",
        label="Guided backpropagation",
        citation="Springenberg et al. 2015, arXiv:1412.6806",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel excites units that speak for the target; negative: "
        "it inhibits them",
        complete=False,
        passes="1 forward and 1 backward",
    )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`.

        Raises
        ------
        NetworkError
            If the network runs no ReLU, or runs compiled TorchScript, whose ReLUs are out of
            reach.
        """
        name = type(probe.model).__name__
        if any(isinstance(module, torch.jit.ScriptModule) for module in probe.model.modules()):
            raise NetworkError(
                f"{name} contains TorchScript modules, whose ReLUs guided backpropagation cannot "
                "reach; give the network as Python modules."
            )
        guide = _Guide()
        with guide:
            gradient, chosen = probe.input_gradient(x, target)
        if not guide.relus:
            raise NetworkError(
                f"{name} runs no ReLU, so guided backpropagation would be the plain gradient; use "
                "method 'gradient'."
            )
        notes = [Note(f"negative gradients stopped at {guide.relus} ReLU calls")]
        if guide.others:
            notes.append(
                Note(f"{guide.others} calls of other activations keep their plain gradient")
            )
        return Attribution(gradient.sum(1), chosen, (tuple(notes),) * len(x))


class _Guide(TorchFunctionMode):
    """Exchange the backward pass of every ReLU that runs while the mode is on."""

    def __init__(self) -> None:
        super().__init__()
        self.relus = 0
        self.others = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.relu:
            return self._relu(*args, **kwargs)
        if func in _RELU:
            return self._relu(*args, **kwargs)
        if func in _RELU_IN_PLACE:
            return self._relu(args[0] if args else kwargs["input"], inplace=True)
        self.others += func in _OTHER_RECTIFIERS
        return func(*args, **kwargs)

    def _relu(self, input: torch.Tensor, inplace: bool = False) -> torch.Tensor:  # noqa: A002
        self.relus += 1
        out: torch.Tensor = _GuidedRelu.apply(input)  # type: ignore[no-untyped-call]
        # Copied back rather than marked dirty: this also serves views, and whoever else holds the
        # tensor sees the change, as after a real in-place ReLU.
        return input.copy_(out) if inplace else out


class _GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        out = x.relu()
        ctx.save_for_backward(out > 0)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        passed: torch.Tensor = ctx.saved_tensors[0]
        return grads[0].relu() * passed
