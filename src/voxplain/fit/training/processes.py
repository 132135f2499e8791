"""Several processes that train one network together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import distributed, nn

from voxplain.errors import InputError

__all__ = ["Processes", "helping", "joined"]


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is.

    Each takes its share of every batch; gradients, losses and the statistics of batch norm are
    those of the whole batch, so that the result is that of one process up to rounding and the draws
    of dropout.

    Parameters
    ----------
    rank, count : int
        From 0, and how many there are.
    device : str
        Where this one computes.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this one writes files and talks."""
        return self.rank == 0

    def sum_gradients(self, network: nn.Module) -> None:
        """Add up the gradients of all processes, in place."""
        if self.count == 1:
            return
        given = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in given])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [g.numel() for g in given])
        for gradient, part in zip(given, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def totals(self, *values: float) -> list[float]:
        """Add up numbers over all processes."""
        if self.count == 1:
            return list(values)
        made = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(made)
        return cast("list[float]", made.tolist())

    @contextmanager
    def shared_norms(self, network: nn.Module) -> Iterator[None]:
        """Let batch norms take their statistics over the batches of all processes, in place.

        `nn.SyncBatchNorm` is for GPUs alone. Afterwards they are what they were.
        """
        norms = [
            module
            for module in network.modules()
            if self.count > 1
            and isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)
            and type(module) in (nn.BatchNorm2d, nn.BatchNorm3d)
        ]
        for norm in norms:
            vars(norm)["forward"] = partial(_normalised, norm)
        try:
            yield
        finally:
            for norm in norms:
                del vars(norm)["forward"]


def _normalised(norm: nn.BatchNorm2d | nn.BatchNorm3d, values: torch.Tensor) -> torch.Tensor:
    """Normalise (N, C, ...) by the statistics of the whole batch, of all processes."""
    if not norm.training:
        return type(norm).forward(norm, values)
    x = values.float()
    over = [0, *range(2, x.dim())]
    number = x.new_tensor(float(x.numel() // x.shape[1]))
    whole = _summed(number)
    mean = _summed(x.sum(over)) / whole
    shape = (1, -1, *[1] * (x.dim() - 2))
    variance = _summed(((x - mean.view(shape)) ** 2).sum(over)) / whole
    if norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            weight = norm.momentum if norm.momentum is not None else 0.1
            norm.running_mean.lerp_(mean.to(norm.running_mean), weight)
            unbiased = variance * (whole / (whole - 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var), weight)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
    made = (x - mean.view(shape)) * torch.rsqrt(variance.view(shape) + norm.eps)
    if norm.weight is not None and norm.bias is not None:
        made = made * norm.weight.view(shape) + norm.bias.view(shape)
    return made.to(values.dtype)


def _summed(values: torch.Tensor) -> torch.Tensor:
    """Add up over all processes, gradients included."""
    # Not every build of torch has it, and training alone does not need it.
    from torch.distributed.nn.functional import all_reduce

    out: torch.Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return out


def helping() -> bool:
    """Tell whether `torchrun` started this process to help another, which writes and talks."""
    return int(os.environ.get("RANK", "0")) > 0


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` has started, if it has.

    Parameters
    ----------
    device : str
        ``"cuda"`` gives each process of a machine a GPU of its own.

    Yields
    ------
    Processes

    Raises
    ------
    InputError
        If there are more processes on the machine than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device)
        return
    if device == "cuda":
        place = int(os.environ.get("LOCAL_RANK", "0"))
        if place >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started more processes than this machine has GPUs "
                f"({torch.cuda.device_count()}); lower --nproc-per-node."
            )
        torch.cuda.set_device(place)
        device = f"cuda:{place}"
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, device)
    finally:
        distributed.destroy_process_group()
