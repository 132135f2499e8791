"""Does ``torch.compile`` pay for a cohort of 20? ``python -m benchmarks.compiled``.

Prints what its warm-up costs, what a pass takes afterwards, and after how many volumes it would
have caught up with voxplain's own faster copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rich.console import Console
from torch import nn

from voxplain.attribution.fast.lowering import lower
from voxplain.nets import MRINet

COHORT, BATCH, ROUNDS = 20, 4, 5


def main() -> None:
    """Measure forward passes, and forward passes with an input gradient."""
    torch.manual_seed(0)
    network = MRINet().eval().requires_grad_(False)
    x = torch.rand(BATCH, 1, 58, 70, 58)
    faster = lower(network, x[:1]).model.eval().requires_grad_(False)
    console = Console()
    for what, run in (("forward", _forward), ("forward and gradient", _gradient)):
        own, _ = _timed(lambda run=run: run(faster, x))
        compiled = torch.compile(network)
        each, first = _timed(lambda run=run, compiled=compiled: run(compiled, x))
        gain = (own - each) / BATCH
        needed = f"after {first / gain:.0f} volumes" if gain > 0 else "never"
        console.print(
            f"{what}: voxplain {1000 * own / BATCH:.0f} ms per volume; compiled "
            f"{1000 * each / BATCH:.0f} ms after a warm-up of {first:.1f} s; it pays {needed}, and "
            f"a cohort has {COHORT}.",
            highlight=False,
        )


def _forward(model: nn.Module | Callable[..., torch.Tensor], x: torch.Tensor) -> None:
    with torch.no_grad():
        model(x)


def _gradient(model: nn.Module | Callable[..., torch.Tensor], x: torch.Tensor) -> None:
    leaf = x.clone().requires_grad_()
    torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return the least seconds of several runs, and those of the very first."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times[1:]), times[0]


if __name__ == "__main__":
    main()
