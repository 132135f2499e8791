"""What must be known of a network before its first map: that it is one function of one scan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from voxplain.attribution.network.failures import out_of_memory
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn

    from voxplain.attribution.network.needs import Needs
    from voxplain.attribution.network.outputs import Head
    from voxplain.attribution.network.probe import Probe

Scalar = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["Scalar", "Sight", "agree", "another", "look", "require_steady"]

# Largest difference of outputs and activations, relative to how far two scans differ in them, and
# least correlation of gradients; with convolutions in bfloat16, and without.
_TOLERANCE = {False: 2e-3, True: 5e-2}
_CORRELATION = {False: 0.95, True: 0.9}
_GAIN = {False: 0.05, True: 0.15}
# Of outputs that should be the same up to the order of sums, relative to their size.
_ROUNDING = 2e-5


@dataclass(frozen=True, eq=False)
class Sight:
    """What a network shows of itself on some scans.

    Parameters
    ----------
    logits : tensor (N, K)
    activation : tensor (N, C, X', Y', Z') or None
        Of the layer that was asked for.
    gradients : tuple of tensor (N, ...)
        Of one score with respect to the input, the layer or both; empty where none was needed or
        the network has none.
    """

    logits: torch.Tensor
    activation: torch.Tensor | None
    gradients: tuple[torch.Tensor, ...]

    def first(self) -> Sight:
        """Keep the first scan."""
        activation = None if self.activation is None else self.activation[:1]
        return Sight(self.logits[:1], activation, tuple(g[:1] for g in self.gradients))


def another(x: torch.Tensor) -> torch.Tensor:
    """Make another scan of the same shape: turned over, and twice as bright."""
    return 2 * x.flip((2, 3))


def look(
    model: nn.Module,
    x: torch.Tensor,
    layer: str | None,
    needs: Needs,
    head: Head = "logits",
    score: Scalar | None = None,
) -> Sight:
    """Run a network, and differentiate one score of it where the method will.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor (N, 1, X, Y, Z)
    layer : str or None
    needs : Needs
    head : {"logits", "softmax", "sigmoid"}
    score : callable, optional
        From logits (N, K) to the scalars (N,) that will be explained; a sum of all outputs, each
        with a weight of its own, where that is not known.

    Returns
    -------
    Sight
    """
    with probe(model, layer, head=head) as p:
        leaf = x.detach().clone().requires_grad_(needs.gradient)
        with p.attached() if needs.gradient and layer else nullcontext():
            logits = p.logits(leaf)
        wrt = [leaf] * needs.gradient + ([p.activation] if layer else [])
        gradients = _gradients((score or _all)(logits), [t for t in wrt if t.requires_grad])
        return Sight(logits.detach(), p.activation.detach() if layer else None, gradients)


def _all(logits: torch.Tensor) -> torch.Tensor:
    count = logits.shape[1]
    ramp = torch.arange(count, dtype=logits.dtype, device=logits.device) - (count - 1) / 2
    return logits @ ramp if count > 1 else logits[:, 0]


def _gradients(score: torch.Tensor, wrt: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    if not wrt or not score.requires_grad:
        return ()
    try:
        found = torch.autograd.grad(score.sum(), wrt, allow_unused=True)
    except RuntimeError:
        # Whoever needs the gradient will say that there is none.
        return ()
    return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(found, wrt, strict=True))


def agree(before: Sight, after: Sight, other: torch.Tensor | None, bfloat16: bool) -> bool:
    """Tell whether two networks are the same function, as far as a scan or two can show.

    Parameters
    ----------
    before : Sight
        Of the network as given, on a scan.
    after : Sight
        Of the other network, on the same scan.
    other : tensor (1, K) or None
        Output of the network as given on another scan. Outputs are held against how far two scans
        differ, and not against their size: an age of 60 years tells nothing of a year.
    bfloat16 : bool
        Whether convolutions were rounded to bfloat16.

    Returns
    -------
    bool
    """
    if before.logits.shape != after.logits.shape or len(before.gradients) != len(after.gradients):
        return False
    z = before.logits
    spread = z.abs().max() if other is None else (z - other).abs().max()
    rounding = _ROUNDING * float(z.abs().max()) + 1e-6
    if (z - after.logits).abs().max() > _TOLERANCE[bfloat16] * spread + rounding:
        return False
    if before.activation is not None and after.activation is not None:
        a, b = before.activation, after.activation
        if a.shape != b.shape or (a - b).abs().max() > _TOLERANCE[bfloat16] * a.abs().max() + 1e-6:
            return False
    pairs = zip(before.gradients, after.gradients, strict=True)
    return all(_alike(a, b, bfloat16) for a, b in pairs)


def _alike(a: torch.Tensor, b: torch.Tensor, bfloat16: bool) -> bool:
    x, y = a.flatten().double(), b.flatten().double()
    size = float(x.norm())
    if size == 0:
        return float(y.norm()) == 0
    gain = float(y.norm()) / size
    correlation = float(x @ y) / max(size * float(y.norm()), 1e-300)
    return correlation >= _CORRELATION[bfloat16] and abs(gain - 1) <= _GAIN[bfloat16]


def require_steady(
    p: Probe, x: torch.Tensor, first: torch.Tensor, beside: bool = True, draws: bool = False
) -> bool:
    """Run a network on a scan beside another, and again where that changes the scan's output.

    Parameters
    ----------
    p : Probe
        Of the network.
    x : tensor (1, 1, X, Y, Z)
    first : tensor (1, K)
        Its logits for the scan.
    beside : bool
        Whether scans will run side by side; else the scan runs again by itself.
    draws : bool
        Whether it was seen to draw random numbers; it is then run more often.

    Returns
    -------
    bool
        Whether it must be given one scan at a time: a scan's output depends on its neighbour, or
        two scans cannot be run at once.

    Raises
    ------
    NetworkError
        If the same scan gets another output.
    """
    apart = beside and _mixes(p, x, first)
    for _ in range(3 if draws else int(apart or not beside)):
        if not _same(first, p.logits(x), 0):
            raise NetworkError(
                f"{type(p.model).__name__} gives another output each time it is run on the same "
                "scan, also in eval mode; let what is random in it, such as F.dropout, depend on "
                "self.training."
            )
    return apart


def _mixes(p: Probe, x: torch.Tensor, first: torch.Tensor) -> bool:
    try:
        both = p.logits(torch.cat([x, another(x)]))
    except NetworkError:
        return True
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        # Batches will shrink to one scan, which has no neighbour.
        return False
    return not _same(first, both[:1], float((both[0] - both[1]).abs().max()))


def _same(a: torch.Tensor, b: torch.Tensor, spread: float) -> bool:
    if a.shape != b.shape:
        return False
    return float((a - b).abs().max()) <= 1e-3 * spread + _ROUNDING * float(a.abs().max()) + 1e-6
