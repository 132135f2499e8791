"""Run the same network faster, in a copy: fold, fuse, channels last, bfloat16 where it pays."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.explain.fused import ConvReluPool, channels_last_weight
from voxplain.explain.method import Needs
from voxplain.explain.probe import out_of_memory, probe
from voxplain.explain.trace import Trace, trace

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fold_batch_norm", "fuse_blocks", "half_pays", "halve_convolutions", "lower"]

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
    model: nn.Module, x: torch.Tensor, layer: str | None = None, needs: Needs = _ANYTHING
) -> tuple[nn.Module, str]:
    """Copy a network and make the copy faster where the result stays the same up to rounding.

    Batch norm is folded into the convolution before it; convolution, ReLU and max-pooling are
    fused; other ReLUs after them work in place; weights are stored channels last; and
    convolutions run in bfloat16 where the device is made for it and the method allows it. The copy
    is compared with the given network on `x`: logits, and the activation of `layer`, must agree
    to a part in ten thousand (three in a hundred in bfloat16). Whatever breaks that is undone.

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
    calls = trace(plain, x)
    pairs = len(list(_pairs(plain, calls)))
    for plan in _plans(half=half_pays(x.device) and not needs.float32, fuse=not needs.modules):
        made = copy.deepcopy(plain)
        words = []
        if plan.fold and pairs:
            fold_batch_norm(made, calls)
            words.append("batch norm folded")
        elif pairs:
            words.append("batch norm not folded (the outputs would change)")
        if plan.fuse and fuse_blocks(made, trace(made, x), layer):
            words.append("conv-ReLU-pool fused")
        if plan.half and halve_convolutions(made):
            words.append("bfloat16 convolutions")
        _channels_last(made)
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


def _pairs(model: nn.Module, calls: Trace) -> Iterator[tuple[str, str]]:
    """Name each convolution whose output goes to a batch norm, and that batch norm."""
    once = calls.once()
    for name, call in once.items():
        after = calls.follower(call)
        if (
            after is not None
            and after.name in once
            and _plain_convolution(model.get_submodule(name))
            and _plain_batch_norm(model.get_submodule(after.name))
        ):
            yield name, after.name


def fold_batch_norm(model: nn.Module, calls: Trace) -> int:
    """Fold each batch norm into the convolution that feeds it, in place.

    Each folded batch norm becomes an `nn.Identity`, so that dotted names stay as they are. A
    convolution whose output is used elsewhere as well is not told apart here; `lower` compares
    the outputs afterwards.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    calls : Trace

    Returns
    -------
    int
        Number of batch norms folded.
    """
    pairs = list(_pairs(model, calls))
    for first, second in pairs:
        conv, norm = model.get_submodule(first), model.get_submodule(second)
        if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            _fold(conv, norm)
            _replace(model, second, nn.Identity())
    return len(pairs)


def fuse_blocks(model: nn.Module, calls: Trace, layer: str | None) -> int:
    """Fuse each convolution with the ReLU and the max-pooling that follow it, in place.

    The fused block takes the convolution's place, the two others become `nn.Identity`. A block
    with `layer` inside is left as it is. A ReLU after a convolution or batch norm that is not
    fused works in place.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    calls : Trace
    layer : str or None

    Returns
    -------
    int
        Number of blocks fused.
    """
    once, count = calls.once(), 0
    for name, call in once.items():
        first, second = model.get_submodule(name), calls.follower(call)
        if second is None or second.name not in once:
            continue
        relu, third = model.get_submodule(second.name), calls.follower(second)
        if not isinstance(relu, nn.ReLU) or not _bare(relu, nn.ReLU):
            continue
        pool = model.get_submodule(third.name) if third and third.name in once else None
        inside = {name, second.name, *calls.passing(call), *calls.passing(second)}
        if (
            isinstance(first, nn.Conv3d)
            and isinstance(pool, nn.MaxPool3d)
            and third is not None
            and layer not in inside
            and _plain_convolution(first)
            and _bare(pool, nn.MaxPool3d)
            and ConvReluPool.fits(first, pool)
        ):
            _replace(model, name, ConvReluPool(first, pool))
            _replace(model, second.name, nn.Identity())
            _replace(model, third.name, nn.Identity())
            count += 1
        elif isinstance(first, nn.Conv3d | nn.BatchNorm3d):
            relu.inplace = True
    return count


def half_pays(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 in hardware, faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )


class _HalfConvolution(nn.Conv3d):
    """A convolution in bfloat16 between float32 modules."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return super().forward(input.to(self.weight.dtype)).to(input.dtype)


def halve_convolutions(model: nn.Module) -> int:
    """Let convolutions multiply in bfloat16, in place; what goes between modules stays as it was.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.

    Returns
    -------
    int
        Number of convolutions.
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, ConvReluPool) or _plain_convolution(module)
    ]
    for module in found:
        if isinstance(module, nn.Conv3d):
            module.__class__ = _HalfConvolution
        module.to(torch.bfloat16)
    return len(found)


def _channels_last(model: nn.Module) -> None:
    # Parameters and buffers of other ranks are left as they are.
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    for module in model.modules():
        if isinstance(module, ConvReluPool) or _plain_convolution(module):
            module.weight = nn.Parameter(channels_last_weight(module.weight), requires_grad=False)  # type: ignore[arg-type]


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _bare(module: nn.Module, kind: type[nn.Module]) -> bool:
    # A subclass may do anything; hooks may change what goes in or comes out.
    return type(module) is kind and not (module._forward_pre_hooks or module._forward_hooks)


def _plain_convolution(module: nn.Module) -> bool:
    return _bare(module, nn.Conv3d)


def _plain_batch_norm(module: nn.Module) -> bool:
    return _bare(module, nn.BatchNorm3d) and module.running_mean is not None


@torch.no_grad()
def _fold(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    # Float64, so that the only rounding is that of the folded weights.
    gain = torch.rsqrt(_double(norm.running_var) + norm.eps)
    if norm.weight is not None:
        gain = gain * _double(norm.weight)
    shift = -_double(norm.running_mean) * gain
    if norm.bias is not None:
        shift = shift + _double(norm.bias)
    if conv.bias is not None:
        shift = shift + _double(conv.bias) * gain
    weight = _double(conv.weight) * gain[:, None, None, None, None]
    conv.bias = nn.Parameter(shift.to(conv.weight), requires_grad=False)
    conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=False)


def _double(tensor: torch.Tensor) -> torch.Tensor:
    # On the processor, because some devices have no float64.
    return tensor.detach().cpu().double()


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
