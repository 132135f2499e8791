"""Many passes over changed copies of a batch, grouped to the engine's batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Score

__all__ = ["each_gradient", "logits_of_passes"]


def logits_of_passes(
    probe: Probe, change: Callable[[int], torch.Tensor], passes: int, count: int
) -> torch.Tensor:
    """Run the network on changed copies of a batch.

    Parameters
    ----------
    probe : Probe
    change : callable
        Takes the number of the pass and gives the changed batch, tensor (N, 1, X, Y, Z).
    passes : int
    count : int
        N, the volumes of the batch.

    Returns
    -------
    tensor (passes, N, K)
    """
    rows = []
    with torch.no_grad():
        for numbers in _grouped(probe, passes, count):
            made = torch.cat([change(i) for i in numbers])
            rows.append(_apart(probe.logits(made), count))
            probe.report((numbers[-1] + 1) / passes)
    return torch.cat(rows)


def each_gradient(
    probe: Probe,
    change: Callable[[int], torch.Tensor],
    passes: int,
    chosen: Chosen,
    kind: Score = "logit",
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Differentiate the explained scalar at changed copies of a batch.

    Parameters
    ----------
    probe : Probe
    change : callable
        Takes the number of the pass and gives the changed batch, tensor (N, 1, X, Y, Z).
    passes : int
    chosen : Chosen
        Target of each of the N volumes.
    kind : {"logit", "margin"}

    Yields
    ------
    number : int
        Of the pass, in order.
    gradient : tensor (N, 1, X, Y, Z)
    score : tensor (N,)
        The explained scalar.
    """
    count = len(change(0))
    for numbers in _grouped(probe, passes, count):
        made = torch.cat([change(i) for i in numbers]).detach().requires_grad_()
        score = chosen.repeat(len(numbers)).score(probe.logits(made), kind)
        gradients = _apart(probe.gradient(score, made), count)
        yield from zip(numbers, gradients, _apart(score.detach(), count), strict=True)
        probe.report((numbers[-1] + 1) / passes)


def _grouped(probe: Probe, passes: int, count: int) -> Iterator[range]:
    step = max(1, probe.batch_size // count)
    for start in range(0, passes, step):
        yield range(start, min(start + step, passes))


def _apart(stacked: torch.Tensor, count: int) -> torch.Tensor:
    return stacked.reshape(-1, count, *stacked.shape[1:])
