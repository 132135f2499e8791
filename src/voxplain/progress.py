"""How a long run tells where it stands, whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "Silent"]

Advance = Callable[..., None]
"""Called with the amount done, and optionally ``note=`` with a few words."""


class Progress(Protocol):
    """What a pipeline asks of whoever shows its progress."""

    def say(self, text: str) -> None:
        """Show one line that stays."""

    def step(self, name: str, total: float) -> AbstractContextManager[Advance]:
        """Open a long step of a known size."""


class Silent:
    """Progress of a process that helps another, which talks for both."""

    def say(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[Advance]:
        """Show nothing of a long step."""
        yield lambda done, note="": None
