"""What each step of the faster copy is worth: the same network with more and more of the steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from voxplain.attribution.examine.trace import Trace, trace
from voxplain.attribution.fast import convolution, rewrites, slabs
from voxplain.attribution.fast.fused import ConvReluPool
from voxplain.attribution.fast.lowering import lower
from voxplain.attribution.network.needs import Needs

__all__ = ["STEPS", "Variant", "make_variants"]

# The row that each row is compared with: what it adds is the other's time over its own.
STEPS: dict[str, str | None] = {
    "as given": None,
    "batch norm folded": "as given",
    "+ channels last": "batch norm folded",
    "+ ReLU in place": "+ channels last",
    "+ oneDNN's kernel for every scan": "+ ReLU in place",
    "+ conv-ReLU-pool fused, whole maps": "+ oneDNN's kernel for every scan",
    "+ fused slab by slab": "+ conv-ReLU-pool fused, whole maps",
    "+ gradient of one channel by taps": "+ fused slab by slab",
    "bfloat16 by autocast": "+ ReLU in place",
    "bfloat16 weights": "bfloat16 by autocast",
    "bfloat16 weights, fused whole": "bfloat16 weights",
    "bfloat16 weights, fused slab by slab": "bfloat16 weights, fused whole",
    "bfloat16 weights, batch norm not folded": "bfloat16 weights",
    "the engine's copy": "as given",
    "the engine's copy, float32": "as given",
}
_WHOLE = 1 << 60
_Step = Callable[[nn.Module, Trace], None]


@dataclass(frozen=True)
class Variant:
    """A network, and what is set while it runs.

    Parameters
    ----------
    model : torch.nn.Module
    autocast : bool, default=False
    whole : bool, default=False
        Whether fused blocks work on whole feature maps.
    taps : bool, default=True
        Whether fused blocks of one channel take their own gradient.
    """

    model: nn.Module
    autocast: bool = False
    whole: bool = False
    taps: bool = True

    @contextmanager
    def _set(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.whole:
                stack.enter_context(patch.dict(slabs._SLAB, cpu=_WHOLE))
            if not self.taps:
                stack.enter_context(patch.object(convolution, "_by_taps_pays", lambda _: False))
            yield

    def forward(self, x: torch.Tensor) -> None:
        """Run it on (N, 1, X, Y, Z)."""
        with self._set(), torch.no_grad(), self._precision():
            self.model(x)

    def gradient(self, x: torch.Tensor) -> None:
        """Run it on (N, 1, X, Y, Z) and differentiate a logit with respect to the input."""
        leaf = x.clone().requires_grad_()
        with self._set():
            with self._precision():
                out = self.model(leaf)
            torch.autograd.grad(out[:, 1].sum(), leaf)

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast)


def make_variants(
    network: nn.Module, x: torch.Tensor, bfloat16: bool
) -> dict[str, Callable[[], Variant]]:
    """Say how to make each row of `STEPS` that differs from the row before it.

    Parameters
    ----------
    network : torch.nn.Module
        In eval mode, without gradients of parameters.
    x : tensor (1, 1, X, Y, Z)
    bfloat16 : bool
        Whether there are rows in bfloat16.

    Returns
    -------
    dict of str to callable
        Each makes its `Variant`.
    """
    calls = trace(network, x)

    def built(*steps: _Step, fold: bool = True, **options: bool) -> Callable[[], Variant]:
        def make() -> Variant:
            made = copy.deepcopy(network)
            left = _fold(made, calls) if fold else calls
            for step in steps:
                step(made, left)
            return Variant(made.eval().requires_grad_(False), **options)

        return make

    fused = (_fuse, _channels_last)
    in_place = (_in_place, _channels_last)
    in_bfloat16 = (*in_place, _weights)
    rows = {
        "as given": lambda: Variant(network),
        "batch norm folded": built(),
        "+ channels last": built(_channels_last),
        "+ ReLU in place": built(*in_place),
        "+ oneDNN's kernel for every scan": built(*in_place, _onednn),
        "+ conv-ReLU-pool fused, whole maps": built(*fused, whole=True, taps=False),
        "+ fused slab by slab": built(*fused, taps=False),
        "+ gradient of one channel by taps": built(*fused),
        "bfloat16 by autocast": built(*in_place, autocast=True),
        "bfloat16 weights": built(*in_bfloat16),
        "bfloat16 weights, fused whole": built(*fused, _weights, whole=True),
        "bfloat16 weights, fused slab by slab": built(*fused, _weights),
        "bfloat16 weights, batch norm not folded": built(*in_bfloat16, fold=False),
        "the engine's copy": lambda: Variant(lower(network, x).model),
        "the engine's copy, float32": lambda: Variant(
            lower(network, x, needs=Needs(float32=True)).model
        ),
    }
    left_out: set[str] = set()
    if not any(isinstance(m, ConvReluPool) for m in rows["+ fused slab by slab"]().model.modules()):
        left_out |= {row for row in rows if "fused" in row or "taps" in row}
    given = rows["+ channels last"]().model
    if all(m.inplace for m in given.modules() if isinstance(m, nn.ReLU)):
        left_out.add("+ ReLU in place")
    if not bfloat16:
        left_out |= {row for row in rows if "bfloat16" in row} | {"the engine's copy"}
    return {row: make for row, make in rows.items() if row not in left_out}


def _fold(model: nn.Module, calls: Trace) -> Trace:
    pairs = list(rewrites.foldable_pairs(model, calls))
    for conv, norm in pairs:
        folded = fuse_conv_bn_eval(model.get_submodule(conv), model.get_submodule(norm))
        rewrites._replace(model, conv, folded)
        rewrites._replace(model, norm, nn.Identity())
    return calls.without([norm for _, norm in pairs])


def _channels_last(model: nn.Module, _: Trace) -> None:
    model.to(memory_format=torch.channels_last_3d)


def _in_place(model: nn.Module, calls: Trace) -> None:
    once = calls.once()
    for name, call in once.items():
        after = calls.follower(call)
        relu = model.get_submodule(after.name) if after and after.name in once else None
        if isinstance(relu, nn.ReLU) and isinstance(
            model.get_submodule(name), nn.Conv3d | nn.BatchNorm3d
        ):
            relu.inplace = True


def _onednn(model: nn.Module, _: Trace) -> None:
    rewrites.use_onednn(model)


def _fuse(model: nn.Module, calls: Trace) -> None:
    rewrites.fuse_blocks(model, calls, None)


def _weights(model: nn.Module, _: Trace) -> None:
    rewrites.convolve_in_bfloat16(model)
