"""In which arithmetic a network is trained: bfloat16 where it is right, float32 elsewhere.

PyTorch's bfloat16 convolutions on a CPU (oneDNN) compute wrong weight gradients, and seldom
outputs, where no position of the kernel lies wholly inside the image: they read memory that was
never written. Layers of that kind run in float32. Others are tried once before a training.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from voxplain.fit.prediction import has_bfloat16

__all__ = ["PRECISIONS", "Arithmetic", "arithmetic_of", "cut_convolutions", "in_float32"]

PRECISIONS = ("auto", "exact")
"""bfloat16 where the device has it and its gradients are right, and float32 throughout."""


@dataclass(frozen=True)
class Arithmetic:
    """What a training computes in.

    Parameters
    ----------
    bfloat16 : bool
        Whether layers compute in bfloat16 under autocast; weights are float32 always.
    cut : tuple of str
        Convolutions in float32 because their kernel nowhere lies wholly inside the image.
    wrong : tuple of str
        Layers in float32 because they failed the check of gradients; where all are in float32 for
        that, parameters as well.
    why : str
        The reason for float32 throughout; empty with bfloat16.
    """

    bfloat16: bool
    cut: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, layers in lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Arithmetic:
        """Undo `to_dict`."""
        low, why = bool(fields["bfloat16"]), str(fields["why"])
        return cls(low, tuple(fields["cut"]), tuple(fields["wrong"]), why)

    def joined(self, other: Arithmetic | None) -> Arithmetic:
        """Say what either of two trainings of one network did in float32."""
        if other is None:
            return self
        cut, wrong = (
            tuple(dict.fromkeys([*a, *b]))
            for a, b in ((self.cut, other.cut), (self.wrong, other.wrong))
        )
        return Arithmetic(self.bfloat16 and other.bfloat16, cut, wrong, self.why or other.why)

    def describe(self) -> str:
        """Say it in words."""
        if not self.bfloat16:
            return f"float32 throughout: {self.why}"
        said = "bfloat16"
        if self.cut:
            said += (
                f"; in float32 {_listed(self.cut)}, where the kernel nowhere lies wholly inside "
                "the image and bfloat16 can give wrong gradients"
            )
        if self.wrong:
            said += f"; in float32 {_listed(self.wrong)}, which failed the check of gradients"
        return said


def arithmetic_of(
    network: nn.Module, example: torch.Tensor, device: str, precision: str
) -> Arithmetic:
    """Choose the arithmetic by what is known before any gradient.

    Parameters
    ----------
    network : torch.nn.Module
    example : tensor (1, 1, X, Y, Z)
        A scan on the grid of the training.
    device : str
    precision : {"auto", "exact"}

    Returns
    -------
    Arithmetic
    """
    if precision == "exact":
        return Arithmetic(False, why="as precision 'exact' asks")
    if not has_bfloat16(device):
        return Arithmetic(False, why="the device does not compute bfloat16 natively")
    # Only oneDNN's convolutions are known to be wrong; all others are tried like any layer.
    on_cpu = torch.device(device).type == "cpu"
    return Arithmetic(True, cut_convolutions(network, example) if on_cpu else ())


def cut_convolutions(network: nn.Module, example: torch.Tensor) -> tuple[str, ...]:
    """Name the convolutions whose kernel reaches over the image's edge wherever it is placed.

    Parameters
    ----------
    network : torch.nn.Module
        Is run once in eval mode.
    example : tensor (N, C, X, Y, Z)

    Returns
    -------
    tuple of str
    """
    found: dict[str, None] = {}

    def look(name: str) -> Any:
        def hook(layer: Any, args: Any, output: torch.Tensor) -> None:
            if args and _is_cut(layer, args[0], output):
                found[name] = None

        return hook

    handles = [
        layer.register_forward_hook(look(name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.modules.conv._ConvNd)
    ]
    try:
        with (
            undisturbed(network, example.device),
            torch.no_grad(),
            warnings.catch_warnings(action="ignore"),
        ):
            network.eval()
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found)


def _is_cut(layer: nn.modules.conv._ConvNd, given: torch.Tensor, output: torch.Tensor) -> bool:
    if layer.padding_mode != "zeros":
        return False
    image, places = (output, given) if layer.transposed else (given, output)
    dims = len(layer.kernel_size)
    for axis, (sides, counts) in enumerate(
        zip(image.shape[-dims:], places.shape[-dims:], strict=True)
    ):
        reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        if isinstance(layer.padding, str):
            before = reach // 2 if layer.padding == "same" else 0
        else:
            before = layer.padding[axis]
        starts = (place * layer.stride[axis] - before for place in range(counts))
        if not any(start >= 0 and start + reach < sides for start in starts):
            return True
    return False


@contextmanager
def undisturbed(network: nn.Module, device: torch.device | str) -> Iterator[None]:
    """Give a network its buffers, modes and gradients back, and PyTorch its random numbers."""
    kind = torch.device(device)
    modes = {module: module.training for module in network.modules()}
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    with torch.random.fork_rng([kind] if kind.type == "cuda" else []):
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            with torch.no_grad():
                for module, name, buffer, before in buffers:
                    buffer.copy_(before)
                    setattr(module, name, buffer)
            network.zero_grad(set_to_none=True)


@contextmanager
def in_float32(network: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Run some layers of a network in float32 whatever is around them.

    Parameters
    ----------
    network : torch.nn.Module
    names : sequence of str
        Dotted paths of the layers.
    """
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(_widened(network.get_submodule(name)))
        yield


@contextmanager
def _widened(layer: nn.Module) -> Iterator[None]:
    given, own = layer.forward, vars(layer).get("forward")

    def forward(*args: Any, **kwargs: Any) -> Any:
        first = next((a for a in args if isinstance(a, torch.Tensor)), torch.empty(0))
        with torch.autocast(first.device.type, enabled=False):
            return given(*map(widen, args), **{k: widen(v) for k, v in kwargs.items()})

    layer.forward = forward
    try:
        yield
    finally:
        if own is None:
            del layer.forward
        else:
            layer.forward = own


def widen(value: Any) -> Any:
    """Return a tensor of floating numbers in float32, and all else as it is."""
    is_low = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_low else value


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    more = f" and {len(names) - 3} more" * (len(names) > 3)
    return f"{len(names)} layer{'s' * (len(names) > 1)} ({shown}{more})"
