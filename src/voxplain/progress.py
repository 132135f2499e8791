"""How a long run tells where it stands, whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "Silent", "adding"]

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


def adding(advance: Advance) -> Callable[[float], None]:
    """Return what is called with the amount that was done since the last call."""
    done = 0.0

    def add(more: float) -> None:
        nonlocal done
        done += more
        advance(done)

    return add
