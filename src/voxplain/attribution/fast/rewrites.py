"""Rewrites of a network, in place, that keep what it computes up to rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from voxplain.attribution.fast.convolution import onednn_takes
from voxplain.attribution.fast.fused import ConvReluPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.attribution.examine.trace import Trace

__all__ = [
    "channels_last",
    "convolve_in_bfloat16",
    "fold_batch_norm",
    "foldable_pairs",
    "fuse_blocks",
    "use_onednn",
]


def foldable_pairs(model: nn.Module, calls: Trace) -> Iterator[tuple[str, str]]:
    """Name each convolution whose output goes to a batch norm, and that batch norm.

    Parameters
    ----------
    model : torch.nn.Module
    calls : Trace

    Yields
    ------
    convolution, batch_norm : str
        Dotted paths.
    """
    once = calls.once()
    for name, call in once.items():
        after = calls.follower(call)
        if (
            after is not None
            and after.name in once
            and _own_weights(model, name, calls)
            and _plain_convolution(model.get_submodule(name))
            and _plain_batch_norm(model.get_submodule(after.name))
        ):
            yield name, after.name


def fold_batch_norm(model: nn.Module, calls: Trace, keep_class: bool = True) -> list[str]:
    """Fold each batch norm into the convolution that feeds it, in place.

    Each folded batch norm hands on what it is given. Its dotted name stays as it is, and what the
    network's own code reads of it.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    calls : Trace
    keep_class : bool, default=True
        Whether it is still a batch norm, for the network's own code. Else it becomes an
        `nn.Identity`, for whoever works by the modules' classes.

    Returns
    -------
    list of str
        Dotted paths of the batch norms that were folded.
    """
    pairs = list(foldable_pairs(model, calls))
    for first, second in pairs:
        norm = cast("nn.BatchNorm3d", model.get_submodule(second))
        _fold(cast("nn.Conv3d", model.get_submodule(first)), norm)
        _replace(model, second, _passing(norm) if keep_class else nn.Identity())
    return [second for _, second in pairs]


def fuse_blocks(model: nn.Module, calls: Trace, layer: str | None) -> int:
    """Fuse each convolution with the ReLU and the max-pooling that follow it, in place.

    The fused block takes the convolution's place, the two others hand on what they are given. A
    block with `layer` inside is left as it is. A ReLU after a convolution or batch norm that is not
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
            and _own_weights(model, name, calls)
            and _plain_convolution(first)
            and _bare(pool, nn.MaxPool3d)
            and ConvReluPool.fits(first, pool)
        ):
            _replace(model, name, ConvReluPool(first, pool))
            _replace(model, second.name, _passing(relu))
            _replace(model, third.name, _passing(pool))
            count += 1
        elif isinstance(first, nn.Conv3d | nn.BatchNorm3d):
            relu.inplace = True
    return count


class _OneDNNConvolution(nn.Conv3d):
    """A convolution by the processor's library at every size.

    By itself torch leaves a single scan with small maps to a far slower kernel.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        if isinstance(self.padding, str) or self.padding_mode != "zeros" or not onednn_takes(input):
            return super().forward(input)
        return torch.mkldnn_convolution(
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


def use_onednn(model: nn.Module) -> None:
    """Let float32 convolutions that are not fused run by oneDNN at every size, in place."""
    _exchange(model, _OneDNNConvolution)


class _BFloat16Convolution(nn.Conv3d):
    """A convolution in bfloat16 between float32 modules."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return super().forward(input.to(self.weight.dtype)).to(input.dtype)


def convolve_in_bfloat16(model: nn.Module) -> int:
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
    _exchange(model, _BFloat16Convolution)
    found = [m for m in model.modules() if isinstance(m, _BFloat16Convolution | ConvReluPool)]
    for module in found:
        module.to(torch.bfloat16)
    return len(found)


def channels_last(model: nn.Module) -> None:
    """Store the weights channels last, in place."""
    for parameter in model.parameters():
        if parameter.dim() == 5:
            # Also of one channel, for which `Tensor.contiguous` would change nothing; the output
            # would then be channels first.
            parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)


def _exchange(model: nn.Module, kind: type[nn.Conv3d]) -> None:
    """Make each plain convolution one of another kind, under all of its names."""
    made: dict[nn.Module, nn.Module] = {}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if name and _plain_convolution(module):
            if module not in made:
                made[module] = _turned(module, kind)
                made[module]._parameters = {
                    key: None if value is None else nn.Parameter(value.detach(), False)
                    for key, value in module._parameters.items()
                }
            _replace(model, name, made[module])


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


class _PassingNorm(nn.BatchNorm3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return input


class _PassingReLU(nn.ReLU):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return input


class _PassingPool(nn.MaxPool3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return input


_PASSING: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm3d: _PassingNorm,
    nn.ReLU: _PassingReLU,
    nn.MaxPool3d: _PassingPool,
}


def _passing(module: nn.Module) -> nn.Module:
    """Make a module that hands on what it is given, and is the same for all who ask its class."""
    return _turned(module, _PASSING[type(module)])


def _turned(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """Make a module of another kind with all that a module has."""
    made = kind.__new__(kind)
    vars(made).update(vars(module))
    return made


def _own_weights(model: nn.Module, name: str, calls: Trace) -> bool:
    """Tell whether no other operation uses a module's weights."""
    return not any(
        f"{name}.{key}" in calls.tied for key, _ in model.get_submodule(name).named_parameters()
    )


def _bare(module: nn.Module, kind: type[nn.Module]) -> bool:
    # A subclass may do anything; hooks may change what goes in or comes out.
    return type(module) is kind and not (module._forward_pre_hooks or module._forward_hooks)


def _plain_convolution(module: nn.Module) -> bool:
    return _bare(module, nn.Conv3d)


def _plain_batch_norm(module: nn.Module) -> bool:
    return _bare(module, nn.BatchNorm3d) and module.running_mean is not None


@torch.no_grad()
def _fold(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
    weight, bias = fuse_conv_bn_weights(
        _double(conv.weight),
        None if conv.bias is None else _double(conv.bias),
        _double(cast("torch.Tensor", norm.running_mean)),
        _double(cast("torch.Tensor", norm.running_var)),
        norm.eps,
        None if norm.weight is None else _double(norm.weight),
        None if norm.bias is None else _double(norm.bias),
    )
    conv.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
    conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=False)


def _double(tensor: torch.Tensor) -> torch.Tensor:
    # So that the only rounding is that of the folded weights; on the processor, because some
    # devices have no float64.
    return tensor.detach().cpu().double()
