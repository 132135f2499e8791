"""A module for every call of an activation, so that other people's hooks reach all of them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe

__all__ = ["StandIns", "stand_ins"]


def _unary(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    def made(input: torch.Tensor, inplace: bool = False) -> nn.Module:  # noqa: A002
        return kind()

    return made


def _elu(input: torch.Tensor, alpha: float = 1.0, inplace: bool = False) -> nn.Module:  # noqa: A002
    return nn.ELU(alpha)


def _leaky(
    input: torch.Tensor,  # noqa: A002
    negative_slope: float = 0.01,
    inplace: bool = False,
) -> nn.Module:
    return nn.LeakyReLU(negative_slope)


def _softplus(input: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> nn.Module:  # noqa: A002
    return nn.Softplus(beta, threshold)


def _softmax(
    input: torch.Tensor,  # noqa: A002
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    return None if dtype is not None and dtype != input.dtype else nn.Softmax(dim)


def _pool(kind: type[nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d]) -> Callable[..., Any]:
    def made(
        input: torch.Tensor,  # noqa: A002
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> nn.Module | None:
        if return_indices:
            return None
        return kind(kernel_size, stride or None, padding, dilation, ceil_mode=ceil_mode)

    return made


# The activations that Captum has rules for; of each, what makes its module from the arguments.
_RULED: dict[str, Callable[..., nn.Module | None]] = {
    "relu": _unary(nn.ReLU),
    "sigmoid": _unary(nn.Sigmoid),
    "tanh": _unary(nn.Tanh),
    "elu": _elu,
    "leaky_relu": _leaky,
    "softplus": _softplus,
    "softmax": _softmax,
    "max_pool1d": _pool(nn.MaxPool1d),
    "max_pool2d": _pool(nn.MaxPool2d),
    "max_pool3d": _pool(nn.MaxPool3d),
}
_OTHERS = (
    *("adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "lp_pool3d"),
    *("max_pool3d_with_indices", "relu6", "hardtanh", "prelu", "rrelu", "selu", "celu", "gelu"),
    *("silu", "mish", "hardswish", "hardsigmoid", "logsigmoid", "log_softmax", "softsign", "glu"),
    *("clamp", "clamp_min", "scaled_dot_product_attention", "multi_head_attention_forward"),
)
_NAMES: dict[Any, str] = {
    getattr(home, spelling): name
    for name in (*_RULED, *_OTHERS)
    for spelling in (name, f"{name}_")
    for home in (functional, torch, torch.Tensor)
    if hasattr(home, spelling)
}


class StandIns(TorchFunctionMode):
    """Run every activation by a module of its own, in the order of the calls.

    While the mode is on, it does not matter whether the network calls a function, a module, or one
    module many times, in place or not. Each module is given a copy of its input, so that a hook on
    it does not catch what others make of the same tensor.

    Parameters
    ----------
    names : collection of str
        Activations that get modules: ``"relu"``, ``"max_pool3d"``, ...

    Attributes
    ----------
    modules : torch.nn.ModuleList
        One a call; what other people hang their hooks on.
    others : Counter of str
        Calls of other activations, while the modules were made.
    """

    def __init__(self, names: frozenset[str] = frozenset(_RULED)) -> None:
        super().__init__()
        self.names = names
        self.modules = nn.ModuleList()
        self.others: Counter[str] = Counter()
        self.making = True
        self._next = 0

    def __enter__(self) -> StandIns:
        self._next = 0
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = _NAMES.get(func)
        # Without a gradient there is nothing for a hook to change.
        if name is None or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        made = _RULED[name](*args, **kwargs) if name in self.names else None
        if made is None:
            self.others[name] += self.making
            return func(*args, **kwargs)
        if self.making:
            self.modules.append(made.eval())
        if self._next >= len(self.modules) or type(self.modules[self._next]) is not type(made):
            raise NetworkError(
                "The network runs other activations on this pass than on the one before; hooks "
                "cannot follow it."
            )
        module = self.modules[self._next]
        self._next += 1
        given = args[0] if args else kwargs["input"]
        out: torch.Tensor = module(given.clone())
        in_place = getattr(func, "__name__", "").endswith("_") or _asked_in_place(
            func, args, kwargs
        )
        return given.copy_(out) if in_place else out


def _asked_in_place(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if kwargs.get("inplace"):
        return True
    if len(args) < 2 or not inspect.isfunction(func):
        return False
    taken = list(inspect.signature(func).parameters)[: len(args)]
    return "inplace" in taken and bool(args[taken.index("inplace")])


def stand_ins(probe: Probe, x: torch.Tensor, names: frozenset[str] | None = None) -> StandIns:
    """Run a network once and make a module for every call of an activation.

    Parameters
    ----------
    probe : Probe
    x : tensor (N, 1, X, Y, Z)
    names : frozenset of str, optional
        Activations that get modules; by default all that Captum has rules for.

    Returns
    -------
    StandIns
        Ready for the next pass.
    """
    mode = StandIns() if names is None else StandIns(names)
    with mode:
        probe.logits(x.detach().clone().requires_grad_())
    mode.making = False
    return mode
