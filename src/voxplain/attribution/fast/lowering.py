"""Run the same network faster, in a copy: fold, fuse, channels last, bfloat16 where it pays."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.attribution.examine.checks import agree, look
from voxplain.attribution.fast.known import Ask, Copy, Known
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
from voxplain.attribution.network.outputs import head_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.attribution.examine.checks import Scalar, Sight
    from voxplain.attribution.examine.trace import Trace
    from voxplain.attribution.network.outputs import Head

__all__ = ["Lowered", "as_given", "bfloat16_pays", "lower"]

_ANYTHING = Needs()
_FORWARD = Ask(None, Needs(gradient=False), None)


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
    known: Known | None = None,
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
    known : Known, optional
        What is known of the network and the scan from methods before; it is added to.
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
    known = known or Known(model, x[:1])
    ask = Ask(layer, needs, score)
    head = known.head(ask)
    reason = why_not_copied(model)
    if reason is None and not known.calls.draws:
        in_bfloat16 = bfloat16_pays(x.device) and not needs.float32
        for plan in _plans(bfloat16=in_bfloat16, fuse=not needs.modules):
            checks = _checks(known, plan, ask, head, beside)
            try:
                made = known.copies.get(_key(plan, ask)) or Copy(copy.deepcopy(model), "")
            except Exception as error:
                # A copy may fail in any way; the network still runs as given.
                reason = f"the network cannot be copied: {type(error).__name__}"
                break
            try:
                if not made.words:
                    made = made._replace(words=_rewrite(made.model, known.calls, plan, ask))
                with only_its_own(made.model) as foreign:
                    same = all(check.holds(known, made.model) for check in checks)
            except Exception as error:
                # The copy may break a network's own code in any way, which the given one does not.
                if not out_of_memory(error):
                    continue
                if not beside:
                    raise
                return lower(model, x, layer, needs, known, False, score)
            if same and {*model.modules(), *known.strangers}.isdisjoint(foreign):
                known.copies[_key(plan, ask)] = made
                return Lowered(made.model, made.words, head)
    why = reason or "no faster copy gives the same"
    return as_given(known, known.part, needs, beside, why)


def as_given(
    known: Known,
    x: torch.Tensor,
    needs: Needs = _ANYTHING,
    beside: bool = True,
    why: str | None = None,
) -> Lowered:
    """Run a network as it is, once it is known how.

    Parameters
    ----------
    known : Known
        The network.
    x : tensor (1, 1, X, Y, Z)
        The scan, or a part of it, to try it on.
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
    head, alone = known.steady(x, needs.numbers, beside)
    return Lowered(known.model, "" if why is None else f"as given ({why})", head, alone)


@dataclass(frozen=True)
class _Check:
    """One comparison of a copy with the network."""

    key: tuple[object, ...]
    ask: Ask
    head: Head
    scan: str
    bfloat16: bool
    before: Sight
    other: torch.Tensor | None

    def holds(self, known: Known, made: nn.Module) -> bool:
        if self.key in known.failed:
            return False
        batch, ask = known.batch(self.scan), self.ask
        after = look(made, batch, ask.layer, ask.needs, self.head, ask.score).first()
        same = agree(self.before, after, self.other, self.bfloat16)
        (known.passed if same else known.failed).add(self.key)
        return same


def _checks(known: Known, plan: _Plan, ask: Ask, head: Head, beside: bool) -> list[_Check]:
    """List what is still to be compared, after what was for other methods.

    The gradient of another score is made of the same gradients of outputs. It is compared where it
    is rounded to bfloat16, and then on the scan by itself, if the copy is shown that at all.
    """
    needs = ask.needs
    # Gradients of one scan and of several come from other kernels.
    scans = ["beside", *["scan"] * needs.gradient] if beside else ["scan"]
    strict = needs.float32 or not (needs.gradient or ask.layer)
    checks = []
    for scan in scans + ["darker"] * needs.far:
        of_score = plan.bfloat16 and not (scan == "beside" and needs.gradient)
        key = (*_key(plan, ask), needs.gradient, strict, head, scan, ask.score)
        done = (k for k in known.passed if k == key or (not of_score and k[:-1] == key[:-1]))
        if any(done):
            continue
        before = known.sight(ask, head, "scan" if scan == "beside" else scan)
        other = known.sight(_FORWARD, head, "another").logits if strict else None
        checks.append(_Check(key, ask, head, scan, plan.bfloat16, before, other))
    return checks


def _key(plan: _Plan, ask: Ask) -> tuple[object, ...]:
    """How a copy is made."""
    return plan, ask.layer, ask.needs.modules


def _rewrite(made: nn.Module, calls: Trace, plan: _Plan, ask: Ask) -> str:
    words, left = [], calls
    pairs = len(list(foldable_pairs(made, calls)))
    if plan.fold and pairs:
        left = calls.without(fold_batch_norm(made, calls, keep_class=not ask.needs.modules))
        words.append("batch norm folded")
    elif pairs:
        words.append("batch norm not folded (the outputs would change)")
    if plan.fuse and fuse_blocks(made, left, ask.layer):
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
