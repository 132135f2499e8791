"""Run the same network faster, in a copy: fold, fuse, channels last, bfloat16 where it pays."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.attribution.examine.checks import Scalar, Sight, agree, another, look, require_steady
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.fast.rewrites import (
    channels_last,
    convolve_in_bfloat16,
    fold_batch_norm,
    foldable_pairs,
    fuse_blocks,
    use_onednn,
)
from voxplain.attribution.network.failures import out_of_memory
from voxplain.attribution.network.insides import only_its_own, why_not_copied
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.outputs import find_head, head_words
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.attribution.examine.trace import Trace
    from voxplain.attribution.network.outputs import Head

__all__ = ["Lowered", "as_given", "bfloat16_pays", "lower"]

# Volumes above this size are compared on their middle part, where the network takes it.
_LARGE = 128**3
_MIDDLE = 96
_ANYTHING = Needs()
_FORWARD = Needs(gradient=False)


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network as it runs, and what was found out about it on the way.

    Parameters
    ----------
    model : torch.nn.Module
        The copy, or the given network where it cannot be copied.
    words : str
        What was done, for the provenance.
    head : {"logits", "softmax", "sigmoid"}
        What the network ends in.
    alone : bool
        Whether it must be given one scan at a time.
    """

    model: nn.Module
    words: str
    head: Head
    alone: bool = False

    def notes(self, network: str) -> tuple[str, ...]:
        """Say what the user must know of a network of that name."""
        found = [head_words(self.head, network)] if self.head != "logits" else []
        if self.alone:
            found.append(
                f"{network} does not keep the scans of a batch apart, as batch norm without "
                "running statistics does not; each scan is run alone, so that no neighbour "
                "changes its map"
            )
        return tuple(found)


@dataclass(frozen=True)
class _Plan:
    fold: bool
    fuse: bool
    bfloat16: bool


def lower(
    model: nn.Module,
    x: torch.Tensor,
    layer: str | None = None,
    needs: Needs = _ANYTHING,
    calls: Trace | None = None,
    beside: bool = True,
    score: Scalar | None = None,
) -> Lowered:
    """Copy a network and make the copy faster where the result stays the same up to rounding.

    Batch norm is folded into the convolution before it; convolution, ReLU and max-pooling are
    fused; other ReLUs after them work in place; weights are stored channels last; convolutions run
    in bfloat16 where the device is made for it and the method allows it, and else on a processor
    always by its library.

    The network runs on `x` alone; the copy on `x` beside another scan, and alone too where the
    method takes the input's gradient. For `x` they must give the same outputs, the same gradients
    and the same activation of `layer`, as near as `agree` asks, and for a darker scan too where the
    method goes far from it. What agrees is also steady, and keeps samples apart. Whatever breaks
    that, in any way, is undone.

    Parameters
    ----------
    model : torch.nn.Module
        It is not touched.
    x : tensor (N, 1, X, Y, Z)
        Its first scan is compared on; real data, so that the comparison means something.
    layer : str, optional
        Dotted path of a layer whose activation must stay the same too.
    needs : Needs, optional
        Of the method.
    calls : Trace, optional
        Of the network, where there is one already.
    beside : bool, default=True
        Whether scans will run side by side.
    score : callable, optional
        From logits (N, K) to the scalars (N,) that will be explained, whose gradient must stay.

    Returns
    -------
    Lowered

    Raises
    ------
    NetworkError
        If the network cannot take the scan, or gives other outputs each time it runs.
    """
    x = x[:1]
    calls = calls or trace(model, x)
    x, before, strangers = _reference(model, x, layer, needs, score)
    head = "logits" if needs.numbers else find_head(before.logits, calls.last)
    if head != "logits":
        before = look(model, x, layer, needs, head, score)
    other = None
    if needs.float32 or not (needs.gradient or layer):
        other = look(model, another(x), None, _FORWARD, head).logits
    reason = why_not_copied(model)
    try:
        plain = None if reason else copy.deepcopy(model)
    except Exception as error:
        # A copy may fail in any way; the network still runs as given.
        plain, reason = None, f"the network cannot be copied: {type(error).__name__}"
    own = {*model.modules(), *strangers}
    batches = [(before, torch.cat([x, another(x)]) if beside else x)]
    if beside and needs.gradient:
        # Gradients of one scan and of several come from other kernels.
        batches.append((before, x))
    if needs.far:
        batches.append((look(model, x / 2, layer, needs, head, score), x / 2))
    if plain is not None and not calls.draws:
        for plan in _plans(
            bfloat16=bfloat16_pays(x.device) and not needs.float32, fuse=not needs.modules
        ):
            made = copy.deepcopy(plain)
            try:
                words = _rewrite(made, calls, plan, layer, needs)
                with only_its_own(made) as foreign:
                    same = all(
                        agree(
                            seen,
                            look(made, batch, layer, needs, head, score).first(),
                            other,
                            plan.bfloat16,
                        )
                        for seen, batch in batches
                    )
            except Exception as error:
                # The copy may break a network's own code in any way, which the given one does not.
                if not out_of_memory(error):
                    continue
                if not beside:
                    raise
                return lower(model, x, layer, needs, calls, False, score)
            if same and own.isdisjoint(foreign):
                return Lowered(made, words, head)
    return as_given(model, x, calls, needs, beside, reason or "no faster copy gives the same")


def as_given(
    model: nn.Module,
    x: torch.Tensor,
    calls: Trace,
    needs: Needs = _ANYTHING,
    beside: bool = True,
    why: str | None = None,
) -> Lowered:
    """Run a network as it is, once it is known how.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor (1, 1, X, Y, Z)
        A scan to try it on.
    calls : Trace
        Of the network.
    needs : Needs, optional
        Of the method.
    beside : bool, default=True
        Whether scans will run side by side.
    why : str, optional
        Why there is no faster copy, for the provenance.

    Returns
    -------
    Lowered

    Raises
    ------
    NetworkError
        See `lower`.
    """
    with only_its_own(model), probe(model) as p, torch.no_grad():
        first = p.logits(x)
        head: Head = "logits" if needs.numbers else find_head(first, calls.last)
        alone = require_steady(p, x, first, beside, calls.draws)
    return Lowered(model, "" if why is None else f"as given ({why})", head, alone)


def _rewrite(made: nn.Module, calls: Trace, plan: _Plan, layer: str | None, needs: Needs) -> str:
    words, left = [], calls
    pairs = len(list(foldable_pairs(made, calls)))
    if plan.fold and pairs:
        left = calls.without(fold_batch_norm(made, calls, keep_class=not needs.modules))
        words.append("batch norm folded")
    elif pairs:
        words.append("batch norm not folded (the outputs would change)")
    if plan.fuse and fuse_blocks(made, left, layer):
        words.append("conv-ReLU-pool fused")
    if plan.bfloat16 and convolve_in_bfloat16(made):
        words.append("bfloat16 convolutions")
    channels_last(made)
    if plan.fuse and not plan.bfloat16:
        use_onednn(made)
    return ", ".join([*words, "channels last"])


_AS_GIVEN = _Plan(fold=False, fuse=False, bfloat16=False)


def _plans(bfloat16: bool, fuse: bool) -> Iterator[_Plan]:
    for plan in (
        _Plan(fold=True, fuse=True, bfloat16=True),
        _Plan(fold=True, fuse=True, bfloat16=False),
        _Plan(fold=True, fuse=False, bfloat16=False),
        _AS_GIVEN,
    ):
        if bfloat16 >= plan.bfloat16 and fuse >= plan.fuse:
            yield plan


def bfloat16_pays(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 in hardware, faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )


def _reference(
    model: nn.Module,
    x: torch.Tensor,
    layer: str | None,
    needs: Needs,
    score: Scalar | None = None,
) -> tuple[torch.Tensor, Sight, list[nn.Module]]:
    """Choose what to compare on, and run the given network on it.

    Fusing and folding are local, so the middle of a large volume tells as much as all of it, and
    the given network need not hold the feature maps of the whole.
    """
    with only_its_own(model) as strangers:
        if x[0].numel() > _LARGE:
            middle = tuple(
                slice((n - min(n, _MIDDLE)) // 2, (n + min(n, _MIDDLE)) // 2) for n in x.shape[2:]
            )
            part = x[(slice(None), slice(None), *middle)]
            try:
                return part, look(model, part, layer, needs, score=score), strangers
            except NetworkError:
                # A linear layer that wants the whole volume's size.
                pass
        return x, look(model, x, layer, needs, score=score), strangers
