"""Sanity: whether a map changes when what the network has learned is thrown away."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import InputError
from voxplain.trust.agreement import Agreement
from voxplain.trust.comparison import Comparison

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Explain",
    "Randomisation",
    "averaged",
    "learned_layers",
    "randomisation",
    "randomised",
]

Explain = Callable[["nn.Module"], ArrayLike]
"""From a network to its map of the scan in question, array (X, Y, Z)."""

Order = Literal["cascade", "independent"]


def learned_layers(model: nn.Module) -> tuple[str, ...]:
    """Name the modules that hold parameters of their own, from the output to the input.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    tuple of str
        Dotted paths, in the reverse of the order in which the network's author wrote them.
    """
    named = [name for name, module in model.named_modules() if list(module.parameters(False))]
    return tuple(reversed(named))


def randomised(
    model: nn.Module, seed: int, order: Order = "cascade", layers: Sequence[str] | None = None
) -> Iterator[tuple[str, nn.Module]]:
    """Throw away what layers have learned, one after another.

    A layer is initialised anew by its own ``reset_parameters``; parameters of a module that has
    none are shuffled.

    Parameters
    ----------
    model : torch.nn.Module
        Not touched.
    seed : int
    order : {"cascade", "independent"}, default="cascade"
        Whether the layers above stay thrown away, or are as they were.
    layers : sequence of str, optional
        In the order in which they are thrown away; `learned_layers` by default.

    Yields
    ------
    layer : str
    copy : torch.nn.Module

    Raises
    ------
    InputError
        If the order is unknown, or a layer is not there or has learned nothing.
    """
    if order not in ("cascade", "independent"):
        raise InputError(f"order must be 'cascade' or 'independent'; {order!r} was given.")
    known = learned_layers(model)
    if not known:
        raise InputError(f"{type(model).__name__} has no parameters to randomise.")
    names = known if layers is None else tuple(layers)
    for name in names:
        if name not in known:
            raise InputError(
                f"The network has no layer {name!r} with parameters of its own; there are: "
                f"{', '.join(known)}."
            )
    current = copy.deepcopy(model)
    for number, name in enumerate(names):
        if order == "independent":
            current = copy.deepcopy(model)
        _reset(current.get_submodule(name), seed + number)
        yield name, copy.deepcopy(current)


def _reset(module: nn.Module, seed: int) -> None:
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            return
        for parameter in module.parameters(recurse=False):
            shuffled = torch.randperm(parameter.numel()).to(parameter.device)
            parameter.copy_(parameter.flatten()[shuffled].view_as(parameter))


@dataclass(frozen=True)
class Randomisation:
    """Agreement of a map with those of networks that lost what layers had learned.

    Parameters
    ----------
    order : {"cascade", "independent"}
    layers : tuple of str
        From the output to the input.
    agreements : tuple of Agreement
        After each was thrown away, with its null level: maps as smooth, with the same envelope.
    """

    order: Order
    layers: tuple[str, ...]
    agreements: tuple[Agreement, ...]

    @property
    def insensitive_to(self) -> tuple[str, ...]:
        """Layers after whose loss the map agreed beyond chance, by rank, with what it was."""
        pairs = zip(self.layers, self.agreements, strict=True)
        return tuple(name for name, a in pairs if a.spearman > a.spearman_95)

    @property
    def passed(self) -> bool:
        """Whether the map of the last network of a cascade, wholly random, is another.

        Of independent layers, whether that is so for at least one.
        """
        if self.order == "cascade":
            last = self.agreements[-1]
            return not last.spearman > last.spearman_95
        return len(self.insensitive_to) < len(self.layers)


def randomisation(
    explain: Explain,
    model: nn.Module,
    how: Comparison,
    order: Order = "cascade",
    layers: Sequence[str] | None = None,
) -> Randomisation:
    """Compare a map with those of the network with layers thrown away (Adebayo et al. 2018).

    The similarity is the rank correlation inside the brain, beside that of random maps: neither a
    background of zeros nor an envelope that both maps have from the scan counts. A method passes
    if it sees the loss; noise passes too, so the test can only fail a method (Binder et al. 2023,
    CVPR).

    Parameters
    ----------
    explain : callable
        From a network to its map of one scan for a settled class, array (X, Y, Z); a signed map or
        its strength.
    model : torch.nn.Module
    how : Comparison
        With an envelope that holds the scan: else methods that multiply by it fail for that alone.
    order : {"cascade", "independent"}, default="cascade"
    layers : sequence of str, optional
        See `randomised`; the last makes the cascade complete.

    Returns
    -------
    Randomisation
    """
    original = explain(model)
    found = [
        (name, how.of(explain(changed), original))
        for name, changed in randomised(model, how.seed, order, layers)
    ]
    return Randomisation(order, tuple(n for n, _ in found), tuple(a for _, a in found))


def averaged(
    explain: Callable[[nn.Module, NDArray[np.float32]], ArrayLike],
    image: ArrayLike,
    noise: float = 0.1,
    repeats: int = 20,
    seed: int = 0,
) -> Explain:
    """Average maps over noisy copies of the image (sMPRT; Hedström et al. 2024, arXiv 2405.02383).

    Noise in the map itself makes any two maps differ; averaged out, what differs is the network.

    Parameters
    ----------
    explain : callable
        From a network and an image, array (X, Y, Z), to a map.
    image : array (X, Y, Z)
        0 in the background, where no noise is added.
    noise : float, default=0.1
        Standard deviation, in those of the image outside its background.
    repeats : int, default=20
    seed : int, default=0

    Returns
    -------
    callable
        For `randomisation`.
    """
    scan = np.asarray(image, dtype=np.float32)
    there = scan != 0
    scale = noise * float(scan[there].std()) if there.any() else 0.0

    def of(model: nn.Module) -> ArrayLike:
        rng = np.random.default_rng(seed)
        total = np.zeros(scan.shape)
        for _ in range(repeats):
            added = scale * rng.standard_normal(scan.shape, dtype=np.float32)
            total += np.asarray(explain(model, scan + added * there))
        return total / repeats

    return of
