"""Networks that explained a scan together: as one that answers, and one by one to explain."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Together", "members_of", "together"]


class Together(nn.Module):
    """The mean of what several networks answer.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Each from (N, 1, X, Y, Z) to logits (N, C).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean logits, tensor (N, C)."""
        return torch.stack([one(x) for one in self.members]).mean(0)


def together(members: Sequence[nn.Module]) -> nn.Module:
    """Join networks, one alone as it is."""
    return members[0] if len(members) == 1 else Together(members).eval()


def members_of(network: nn.Module) -> list[nn.Module]:
    """Return the networks whose maps are averaged: those that were joined, or the one."""
    return list(network.members) if isinstance(network, Together) else [network]
