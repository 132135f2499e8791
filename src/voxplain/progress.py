"""How a long run tells where it stands, whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Advance", "Progress"]

Advance = Callable[..., None]
"""Called with the amount done, and optionally ``note=`` with a few words."""


class Progress(Protocol):
    """What a pipeline asks of whoever shows its progress."""

    def say(self, text: str) -> None:
        """Show one line that stays."""

    def step(self, name: str, total: float) -> AbstractContextManager[Advance]:
        """Open a long step of a known size."""
