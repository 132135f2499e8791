"""Look into a network without leaving a trace."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from voxplain.attribution.network.failures import failure, no_gradient, out_of_memory
from voxplain.attribution.network.layouts import Layout, Surroundings, layout_of
from voxplain.attribution.network.names import layer_name
from voxplain.attribution.network.outputs import as_logits
from voxplain.errors import InputError, NetworkError, VoxplainError
from voxplain.kernels import sound_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxplain.attribution.network.outputs import Head
    from voxplain.attribution.network.target import Chosen, Score, Target

__all__ = ["Probe", "probe"]


@dataclass(eq=False)
class Probe:
    """A network in eval mode with frozen parameters, and what a kernel may know around it.

    Parameters
    ----------
    model : torch.nn.Module
        From (N, 1, X, Y, Z) to logits.
    layer : str or None
        Dotted path of the hooked layer.
    voxel_size : tuple of 3 floats, mm
        Edge lengths of a voxel of the batch.
    report : callable
        Takes the part of the batch's work that is done, 0 to 1.
    batch_size : int
        Volumes that one pass may take, for kernels that run many changed copies of a batch.
    head : {"logits", "softmax", "sigmoid"}
        What the network ends in; see `voxplain.attribution.network.outputs.find_head`.
    alone : bool
        Whether each volume goes through the network by itself, because it does not keep the
        samples of a batch apart.
    output : object
        What the network gave at its last call, before it was brought to logits.
    layout : Layout or None
        How the hooked layer's output holds its feature maps, once the network has run.
    """

    model: nn.Module
    layer: str | None = None
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    report: Callable[[float], None] = field(default=lambda done: None)
    batch_size: int = 8
    head: Head = "logits"
    alone: bool = False
    output: object = None
    _recorded: torch.Tensor | None = None
    _attached: bool = False
    _around: Surroundings = field(init=False)
    layout: Layout | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._around = Surroundings(self.model, 0, (1, 1, 1))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        x : tensor (N, 1, X, Y, Z)

        Returns
        -------
        tensor (N, K)

        Raises
        ------
        NetworkError
            If the network cannot take the shape, or its output is not logits.
        InputError
            If an output is not finite.
        """
        if self.alone and len(x) > 1:
            return torch.cat([self.logits(one) for one in torch.split(x, 1)])
        self._recorded = None
        self._around = Surroundings(self.model, len(x), (x.shape[2], x.shape[3], x.shape[4]))
        name = type(self.model).__name__
        try:
            # A view would let an in-place first layer write into the caller's batch.
            self.output = self.model(x.clone(memory_format=torch.preserve_format))
        except (VoxplainError, Warning):
            raise
        except Exception as error:
            # The network is anybody's code, and may fail in any way.
            if out_of_memory(error):
                raise
            raise NetworkError(failure(self.model, x, error)) from error
        logits = as_logits(self.output, name, len(x), self.head)
        if not torch.isfinite(logits).all():
            raise InputError(
                f"{name} gives NaN or infinite logits on this input; check its weights and the "
                "scale of the intensities."
            )
        return logits

    @property
    def activation(self) -> torch.Tensor:
        """Feature maps of the hooked layer at its last call, tensor (N, C, X', Y', Z').

        It is a leaf of the graph: its gradient is the layer's own, and what comes before it
        keeps no graph; see `attached`.
        """
        if self._recorded is None:
            raise NetworkError(f"Layer {self.layer!r} was not run by the network.")
        return self._recorded

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Leave the hooked layer in the input's graph for the time being.

        Gradients then pass the layer on their way to the input, and `activation` can itself be
        differentiated with respect to the input.
        """
        self._attached = True
        try:
            yield
        finally:
            self._attached = False

    @contextmanager
    def part(self, number: int, parts: int) -> Iterator[None]:
        """Report the work done inside as one of several equal parts.

        Parameters
        ----------
        number : int
            From 0.
        parts : int
        """
        whole = self.report
        self.report = lambda done: whole((number + done) / parts)
        try:
            yield
        finally:
            self.report = whole

    def gradient(self, score: torch.Tensor, wrt: torch.Tensor) -> torch.Tensor:
        """Differentiate one scalar per sample.

        Parameters
        ----------
        score : tensor (N,)
        wrt : tensor (N, ...)

        Returns
        -------
        tensor (N, ...)

        Raises
        ------
        NetworkError
            If the score does not depend on the tensor.
        """
        found: tuple[torch.Tensor | None, ...] = (None,)
        if score.requires_grad:
            try:
                found = torch.autograd.grad(score.sum(), wrt, allow_unused=True)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                raise NetworkError(no_gradient(self.model, error)) from error
        if found[0] is None:
            what = f"layer {self.layer!r}" if wrt is self._recorded else "the input"
            raise NetworkError(
                f"The output of {type(self.model).__name__} has no gradient with respect to "
                f"{what}; the network detaches it or does not use it."
            )
        return found[0]

    def input_gradient(
        self, x: torch.Tensor, target: Target, kind: Score = "logit"
    ) -> tuple[torch.Tensor, Chosen]:
        """Differentiate the explained scalar with respect to the input.

        Parameters
        ----------
        x : tensor (N, 1, X, Y, Z)
        target : Target
        kind : {"logit", "margin"}

        Returns
        -------
        gradient : tensor (N, 1, X, Y, Z)
        chosen : Chosen
        """
        leaf = x.detach().clone().requires_grad_()
        logits = self.logits(leaf)
        chosen = target.choose(logits)
        return self.gradient(chosen.score(logits, kind), leaf), chosen

    def _note(self, module: nn.Module, args: object, output: object) -> None:
        self._around.note(module, args, output)

    def _record(self, module: nn.Module, args: object, output: object) -> torch.Tensor:
        self.layout = None
        if isinstance(output, torch.Tensor):
            self.layout = layout_of(module, output.shape, self._around)
        layout = self.layout
        if layout is None or not isinstance(output, torch.Tensor):
            shape = getattr(output, "shape", None)
            given = f"type {type(output).__name__}" if shape is None else f"shape {tuple(shape)}"
            raise NetworkError(
                f"Layer {self.layer!r} gives an output of {given}; choose a layer that gives "
                f"feature maps (N, C, X, Y, Z) of the batch's {self._around.batch} volumes or "
                "their patches' tokens (N, T, C), or 'auto'."
            )
        if self._attached:
            self._recorded = layout.maps(output)
            return layout.output(self._recorded, output)
        # An in-place operation after the layer changes what is handed on, not the record.
        maps = layout.maps(output.detach())
        self._recorded = maps.requires_grad_(torch.is_grad_enabled())
        return layout.output(self._recorded, output.detach())


@contextmanager
def probe(
    model: nn.Module,
    layer: str | nn.Module | None = None,
    *,
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0),
    report: Callable[[float], None] | None = None,
    batch_size: int = 8,
    head: Head = "logits",
    alone: bool = False,
) -> Iterator[Probe]:
    """Open a network for explanation and put everything back on the way out.

    The network runs in eval mode with frozen parameters. Training flags, ``requires_grad`` flags,
    hooks and buffers, such as running statistics, are restored, also when the network raises.

    Parameters
    ----------
    model : torch.nn.Module
    layer : str, torch.nn.Module or None
        Dotted path of the layer whose activation is recorded, or the module itself;
        `auto_layer` finds one. Of a module that is called several times,
        the last call counts.
    voxel_size : tuple of 3 floats, mm
    report : callable, optional
        Takes the part of the work that is done, 0 to 1.
    batch_size : int, default=8
        Volumes that one pass may take.
    head, alone
        See `Probe`.

    Yields
    ------
    Probe
    """
    # A frozen TorchScript module has no such flag.
    training = [(m, m.training) for m in model.modules() if hasattr(m, "training")]
    frozen = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = [(b, b._version, b.clone()) for b in model.buffers() if not is_lazy(b)]
    name = None if layer is None else layer_name(model, layer)
    p = Probe(model, name, voxel_size, report or (lambda done: None), batch_size, head, alone)
    handles = []
    try:
        model.eval()
        for parameter, _ in frozen:
            parameter.requires_grad_(False)
        if name is not None:
            # The grids of convolutions tell what tokens stand for.
            handles = [
                module.register_forward_hook(p._note)
                for module in model.modules()
                if isinstance(module, nn.Conv3d)
            ]
            handles.append(model.get_submodule(name).register_forward_hook(p._record))
        with torch.inference_mode(False), torch.enable_grad(), sound_norms(model):
            yield p
    finally:
        for handle in handles:
            handle.remove()
        for parameter, flag in frozen:
            parameter.requires_grad_(flag)
        for module, flag in training:
            module.training = flag
        for buffer, version, value in buffers:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(value)
