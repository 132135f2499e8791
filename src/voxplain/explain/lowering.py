"""Run the same network faster, in a copy: fold, fuse, channels last, bfloat16 where it pays."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.explain.fused import ConvReluPool
from voxplain.explain.method import Needs
from voxplain.explain.probe import out_of_memory, probe
from voxplain.explain.rewrites import (
    channels_last,
    fold_batch_norm,
    foldable_pairs,
    fuse_blocks,
    halve_convolutions,
    save_products,
)
from voxplain.explain.trace import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.explain.trace import Trace

__all__ = ["half_pays", "lower"]

_TOLERANCE = {False: 1e-4, True: 3e-2}
# Volumes above this size are compared on their middle part, where the network takes it.
_LARGE = 128**3
_MIDDLE = 96
_ANYTHING = Needs()


@dataclass(frozen=True)
class _Plan:
    fold: bool
    fuse: bool
    half: bool


def lower(
    model: nn.Module,
    x: torch.Tensor,
    layer: str | None = None,
    needs: Needs = _ANYTHING,
    calls: Trace | None = None,
) -> tuple[nn.Module, str]:
    """Copy a network and make the copy faster where the result stays the same up to rounding.

    Batch norm is folded into the convolution before it; convolution, ReLU and max-pooling are
    fused; convolutions take half the multiplications on a processor
    (`voxplain.explain.winograd`); other ReLUs
    after them work in place; weights are stored channels last; and convolutions run in bfloat16
    where the device is made for it and the method allows it. The copy is compared with the given
    network on `x`: logits, and the activation of `layer`, must agree to a part in ten thousand
    (three in a hundred in bfloat16). Whatever breaks that is undone.

    Parameters
    ----------
    model : torch.nn.Module
        It is not touched.
    x : tensor (N, 1, X, Y, Z)
        A sample to compare on; real data, so that the comparison means something.
    layer : str, optional
        Dotted path of a layer whose activation must stay the same too.
    needs : Needs, optional
        Of the method.
    calls : Trace, optional
        Of the network, where there is one already.

    Returns
    -------
    model : torch.nn.Module
        The copy, or the given network where it cannot be copied.
    words : str
        What was done, for the provenance.
    """
    try:
        plain = copy.deepcopy(model)
    except Exception as error:
        # A copy may fail in any way; the network still runs as given.
        return model, f"as given (the network cannot be copied: {type(error).__name__})"
    x, before = _reference(plain, x, layer)
    calls = calls or trace(plain, x)
    pairs = len(list(foldable_pairs(plain, calls)))
    for plan in _plans(half=half_pays(x.device) and not needs.float32, fuse=not needs.modules):
        made = copy.deepcopy(plain)
        words, left = [], calls
        if plan.fold and pairs:
            left = calls.without(fold_batch_norm(made, calls))
            words.append("batch norm folded")
        elif pairs:
            words.append("batch norm not folded (the outputs would change)")
        if plan.fuse and fuse_blocks(made, left, layer):
            words.append("conv-ReLU-pool fused")
        if plan.half and halve_convolutions(made):
            words.append("bfloat16 convolutions")
        channels_last(made)
        saved = save_products(made) if plan.fuse and not plan.half else 0
        if saved or any(isinstance(m, ConvReluPool) and m.kernel.halves for m in made.modules()):
            words.append("Winograd along x")
        if plan == _AS_GIVEN or _agree(before, _outputs(made, x, layer), plan.half):
            return made, ", ".join([*words, "channels last"])
    return plain, "as given"


_AS_GIVEN = _Plan(fold=False, fuse=False, half=False)


def _plans(half: bool, fuse: bool) -> Iterator[_Plan]:
    for plan in (
        _Plan(fold=True, fuse=True, half=True),
        _Plan(fold=True, fuse=True, half=False),
        _Plan(fold=True, fuse=False, half=False),
        _AS_GIVEN,
    ):
        if half >= plan.half and fuse >= plan.fuse:
            yield plan


def half_pays(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 in hardware, faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )


def _reference(
    model: nn.Module, x: torch.Tensor, layer: str | None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Choose what to compare on, and run the given network on it.

    Fusing and folding are local, so the middle of a large volume tells as much as all of it, and
    the given network need not hold the feature maps of the whole.
    """
    if x[0].numel() > _LARGE:
        middle = tuple(
            slice((n - min(n, _MIDDLE)) // 2, (n + min(n, _MIDDLE)) // 2) for n in x.shape[2:]
        )
        part = x[(slice(None), slice(None), *middle)]
        try:
            return part, _outputs(model, part, layer)
        except (RuntimeError, ValueError) as error:
            # A linear layer that wants the whole volume's size.
            if out_of_memory(error):
                raise
    return x, _outputs(model, x, layer)


def _outputs(model: nn.Module, x: torch.Tensor, layer: str | None) -> list[torch.Tensor]:
    with probe(model, layer) as p, torch.no_grad():
        logits = p.logits(x)
        return [logits] if layer is None else [logits, p.activation]


def _agree(before: list[torch.Tensor], after: list[torch.Tensor], half: bool) -> bool:
    for a, b in zip(before, after, strict=True):
        size = float(a.abs().max())
        if a.shape != b.shape or float((a - b).abs().max()) > _TOLERANCE[half] * size + 1e-6:
            return False
    return True
