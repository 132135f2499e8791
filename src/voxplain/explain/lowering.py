"""Run the same network faster: batch norm folded into convolutions, channels last."""

from __future__ import annotations

import copy

import torch
from torch import nn

from voxplain.explain.probe import probe

__all__ = ["fold_batch_norm", "lower"]

_TOLERANCE = 1e-4


def lower(model: nn.Module, x: torch.Tensor, layer: str | None = None) -> tuple[nn.Module, str]:
    """Copy a network and make the copy faster where the result stays the same up to rounding.

    Batch norm is folded into the convolution before it, and the weights are stored channels last.
    The result is checked on `x`: the logits, and the activation of `layer`, must agree with the
    given network's to a part in ten thousand, else the folding is undone.

    Parameters
    ----------
    model : torch.nn.Module
        It is not touched.
    x : tensor (N, 1, X, Y, Z)
        A sample to compare on; real data, so that the comparison means something.
    layer : str, optional
        Dotted path of a layer whose activation must stay the same too.

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
    before = _outputs(plain, x, layer)
    folded = copy.deepcopy(plain)
    count = fold_batch_norm(folded, x)
    words = []
    if count and _agree(before, _outputs(folded, x, layer)):
        plain = folded
        words.append("batch norm folded")
    elif count:
        words.append("batch norm not folded (the outputs would change)")
    # Parameters and buffers of other ranks are left as they are.
    plain.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return plain, ", ".join([*words, "channels last"])


def fold_batch_norm(model: nn.Module, x: torch.Tensor) -> int:
    """Fold each batch norm into the convolution that feeds it, in place.

    Pairs are found by running the network once: a batch norm whose input is the very tensor that
    a convolution gave, both run once. Each folded batch norm becomes an `nn.Identity`, so that
    dotted names stay as they are. A convolution whose output is used elsewhere as well is not
    told apart here; `lower` compares the outputs afterwards.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    x : tensor (N, 1, X, Y, Z)

    Returns
    -------
    int
        Number of batch norms folded.
    """
    # With the version of each tensor: an in-place ReLU gives on the very same tensor, changed.
    outputs: dict[nn.Module, list[tuple[torch.Tensor, int]]] = {}
    inputs: dict[nn.Module, list[tuple[torch.Tensor, int]]] = {}
    handles = []

    def after(conv: nn.Module, args: object, out: torch.Tensor) -> None:
        outputs.setdefault(conv, []).append((out, out._version))

    def before(norm: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        inputs.setdefault(norm, []).append((args[0], args[0]._version))

    for module in model.modules():
        if _plain_convolution(module):
            handles.append(module.register_forward_hook(after))
        elif _plain_batch_norm(module):
            handles.append(module.register_forward_pre_hook(before))
    try:
        with probe(model) as p, torch.no_grad():
            p.logits(x)
    finally:
        for handle in handles:
            handle.remove()
    source = {_key(given[0]): conv for conv, given in outputs.items() if len(given) == 1}
    names = {module: name for name, module in model.named_modules()}
    count = 0
    for norm, taken in inputs.items():
        conv = source.get(_key(taken[0])) if len(taken) == 1 else None
        if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            _fold(conv, norm)
            parent, _, child = names[norm].rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity())
            count += 1
    return count


def _key(tensor: tuple[torch.Tensor, int]) -> tuple[int, int]:
    return id(tensor[0]), tensor[1]


def _plain_convolution(module: nn.Module) -> bool:
    # Hooks and pre-hooks may compute the weight (weight norm); a subclass may do anything.
    return type(module) is nn.Conv3d and not (module._forward_pre_hooks or module._forward_hooks)


def _plain_batch_norm(module: nn.Module) -> bool:
    return (
        type(module) is nn.BatchNorm3d
        and module.running_mean is not None
        and not (module._forward_pre_hooks or module._forward_hooks)
    )


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


def _outputs(model: nn.Module, x: torch.Tensor, layer: str | None) -> list[torch.Tensor]:
    with probe(model, layer) as p, torch.no_grad():
        logits = p.logits(x)
        return [logits] if layer is None else [logits, p.activation]


def _agree(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    for a, b in zip(before, after, strict=True):
        size = float(a.abs().max())
        if a.shape != b.shape or float((a - b).abs().max()) > _TOLERANCE * size + 1e-6:
            return False
    return True
