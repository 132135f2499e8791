"""How a long run tells where it stands, whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "Silent"]

Advance = Callable[..., None]
"""Called with the amount done, and optionally ``note=`` with a few words."""


class Progress(Protocol):
    """What a pipeline asks of whoever shows its progress."""

    def say(self, text: str) -> None:
        """Show one line that stays."""

    def step(self, name: str, total: float) -> _Step:
        """Open a long step of a known size."""


class _Step(Protocol):
    def __enter__(self) -> Advance: ...

    def __exit__(self, *error: object) -> bool | None: ...


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Ignore the line."""

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[Advance]:
        """Open a step that nobody sees."""
        yield lambda done, note="": None
