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


def make_variants(network: nn.Module, x: torch.Tensor, bfloat16: bool) -> dict[str, Variant]:
    """Make each row of `STEPS` that differs from the row before it.

    Parameters
    ----------
    network : torch.nn.Module
        In eval mode, without gradients of parameters.
    x : tensor (1, 1, X, Y, Z)
    bfloat16 : bool
        Whether there are rows in bfloat16.

    Returns
    -------
    dict of str to Variant
    """
    calls = trace(network, x)

    def built(*steps: Callable[[nn.Module, Trace], object], fold: bool = True) -> nn.Module:
        made = copy.deepcopy(network)
        left = _fold(made, calls) if fold else calls
        for step in steps:
            step(made, left)
        return made.eval().requires_grad_(False)

    fused = built(_fuse, _channels_last)
    in_place = built(_in_place, _channels_last)
    weights = built(_in_place, _channels_last, _weights)
    rows = {
        "as given": Variant(network),
        "batch norm folded": Variant(built()),
        "+ channels last": Variant(built(_channels_last)),
        "+ ReLU in place": Variant(in_place),
        "+ oneDNN's kernel for every scan": Variant(built(_in_place, _channels_last, _onednn)),
        "the engine's copy, float32": Variant(lower(network, x, needs=Needs(float32=True)).model),
    }
    has_blocks = any(isinstance(m, ConvReluPool) for m in fused.modules())
    if has_blocks:
        rows |= {
            "+ conv-ReLU-pool fused, whole maps": Variant(fused, whole=True, taps=False),
            "+ fused slab by slab": Variant(fused, taps=False),
            "+ gradient of one channel by taps": Variant(fused),
        }
    if not _in_place(
        built(), calls.without([b for _, b in rewrites.foldable_pairs(network, calls)])
    ):
        del rows["+ ReLU in place"]
    if bfloat16:
        rows |= {
            "bfloat16 by autocast": Variant(in_place, autocast=True),
            "bfloat16 weights": Variant(weights),
            "bfloat16 weights, batch norm not folded": Variant(
                built(_in_place, _channels_last, _weights, fold=False)
            ),
            "the engine's copy": Variant(lower(network, x).model),
        }
        if has_blocks:
            blocks = built(_fuse, _channels_last, _weights)
            rows["bfloat16 weights, fused whole"] = Variant(blocks, whole=True)
            rows["bfloat16 weights, fused slab by slab"] = Variant(blocks)
    return {name: rows[name] for name in STEPS if name in rows}


def _fold(model: nn.Module, calls: Trace) -> Trace:
    pairs = list(rewrites.foldable_pairs(model, calls))
    for conv, norm in pairs:
        folded = fuse_conv_bn_eval(model.get_submodule(conv), model.get_submodule(norm))
        rewrites._replace(model, conv, folded)
        rewrites._replace(model, norm, nn.Identity())
    return calls.without([norm for _, norm in pairs])


def _channels_last(model: nn.Module, _: Trace) -> None:
    model.to(memory_format=torch.channels_last_3d)


def _in_place(model: nn.Module, calls: Trace) -> int:
    once, count = calls.once(), 0
    for name, call in once.items():
        after = calls.follower(call)
        relu = model.get_submodule(after.name) if after and after.name in once else None
        if isinstance(relu, nn.ReLU) and isinstance(
            model.get_submodule(name), nn.Conv3d | nn.BatchNorm3d
        ):
            count += not relu.inplace
            relu.inplace = True
    return count


def _onednn(model: nn.Module, _: Trace) -> None:
    rewrites.use_onednn(model)


def _fuse(model: nn.Module, calls: Trace) -> None:
    rewrites.fuse_blocks(model, calls, None)


def _weights(model: nn.Module, _: Trace) -> None:
    rewrites.convolve_in_bfloat16(model)
