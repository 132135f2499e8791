"""What is known of a network from one scan: found out when first asked for, and kept for later."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from voxplain.attribution.examine.checks import another, look, require_steady
from voxplain.attribution.examine.layers import AutoLayer, auto_layer
from voxplain.attribution.examine.trace import Trace, trace
from voxplain.attribution.network.insides import only_its_own
from voxplain.attribution.network.outputs import find_head
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn

    from voxplain.attribution.examine.checks import Scalar, Sight
    from voxplain.attribution.network.needs import Needs
    from voxplain.attribution.network.outputs import Head

__all__ = ["Ask", "Copy", "Known"]

# Volumes above this size are compared on their middle part, where the network takes it.
_LARGE = 128**3
_MIDDLE = 96


class Ask(NamedTuple):
    """What is looked at in a network, beside the scan.

    Parameters
    ----------
    layer : str or None
        Dotted path of a layer.
    needs : Needs
    score : callable or None
        From logits (N, K) to the scalars (N,) that are explained.
    """

    layer: str | None
    needs: Needs
    score: Scalar | None


class Copy(NamedTuple):
    """A faster copy of a network, and what was done to it."""

    model: nn.Module
    words: str


@dataclass(eq=False)
class Known:
    """A network, a scan, and what the one showed on the other.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it was.
    x : tensor (1, 1, X, Y, Z)
    copies : dict
        Faster copies that were found to compute the same, by how they were made.
    passed, failed : set
        Comparisons of copies with the network, as `lower` names them.
    strangers : list of torch.nn.Module
        Modules that ran with the network though they are no part of it; known after `head`.
    part : tensor (1, 1, X', Y', Z')
        What copies are compared on: of a large scan its middle, where the network takes it.
    """

    model: nn.Module
    x: torch.Tensor
    copies: dict[Any, Copy] = field(default_factory=dict)
    passed: set[Any] = field(default_factory=set)
    failed: set[Any] = field(default_factory=set)
    strangers: list[nn.Module] = field(default_factory=list)
    part: torch.Tensor = field(init=False)
    _head: Head | None = None
    _settled: set[str | None] = field(default_factory=set)
    _sights: dict[Any, Sight] = field(default_factory=dict)
    _steady: dict[Any, tuple[Head, bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part = self.x
        if self.x[0].numel() > _LARGE:
            middle = (
                slice((n - min(n, _MIDDLE)) // 2, (n + min(n, _MIDDLE)) // 2)
                for n in self.x.shape[2:]
            )
            self.part = self.x[(slice(None), slice(None), *middle)]

    @cached_property
    def calls(self) -> Trace:
        """What the network runs, and in what order."""
        return trace(self.model, self.x)

    @cached_property
    def auto_layer(self) -> AutoLayer:
        """The layer that stands for ``"auto"``."""
        return auto_layer(self.model, self.x)

    def head(self, ask: Ask) -> Head:
        """Settle on what copies are compared, and tell what the network ends in.

        Fusing and folding are local, so the middle of a large volume tells as much as all of it,
        and the given network need not hold the feature maps of the whole.
        """
        if ask.layer not in self._settled:
            with only_its_own(self.model) as strangers:
                try:
                    first = self.sight(ask, "logits")
                except NetworkError:
                    if self.part is self.x:
                        raise
                    # A linear layer that wants the whole volume's size.
                    self.part = self.x
                    self._sights.clear()
                    first = self.sight(ask, "logits")
            self.strangers += strangers
            self._head = self._head or find_head(first.logits, self.calls.last)
            self._settled.add(ask.layer)
        return "logits" if ask.needs.numbers or self._head is None else self._head

    def batch(self, scan: str) -> torch.Tensor:
        """Give the scan, or what is made of it, as the network is shown it.

        Parameters
        ----------
        scan : {"scan", "another", "beside", "darker"}
            ``beside`` is the scan with another one in one batch.

        Returns
        -------
        tensor (1 or 2, 1, X', Y', Z')
        """
        x = self.part
        if scan == "beside":
            return torch.cat([x, another(x)])
        return {"scan": lambda: x, "another": lambda: another(x), "darker": lambda: x / 2}[scan]()

    def sight(self, ask: Ask, head: Head, scan: str = "scan") -> Sight:
        """Look at the network as given on a scan; see `look`."""
        key = (scan, ask.layer, ask.needs.gradient, head, ask.score)
        if key not in self._sights:
            self._sights[key] = look(
                self.model, self.batch(scan), ask.layer, ask.needs, head, ask.score
            )
        return self._sights[key]

    def steady(self, x: torch.Tensor, numbers: bool, beside: bool) -> tuple[Head, bool]:
        """Run the network as given until it is known how it may be run.

        Parameters
        ----------
        x : tensor (1, 1, X', Y', Z')
            The scan, or its `part`.
        numbers : bool
            Whether outputs are read as they are.
        beside : bool
            Whether scans will run side by side.

        Returns
        -------
        head : {"logits", "softmax", "sigmoid"}
        alone : bool
            Whether it must be given one scan at a time.

        Raises
        ------
        NetworkError
            See `require_steady`.
        """
        key = (x.shape, numbers, beside)
        if key not in self._steady:
            with only_its_own(self.model), probe(self.model) as p, torch.no_grad():
                first = p.logits(x)
                head: Head = "logits" if numbers else find_head(first, self.calls.last)
                alone = require_steady(p, x, first, beside, self.calls.draws)
            self._steady[key] = head, alone
        return self._steady[key]
