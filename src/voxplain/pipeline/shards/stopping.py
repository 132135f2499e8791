"""Requests to end, as a scheduler sends them: the batch is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from voxplain.errors import StoppedError

__all__ = ["Stop", "stoppable"]

_ASKING = ("SIGTERM", "SIGUSR1")


class Stop:
    """Whether a signal has asked for the end; called between batches, it raises `StoppedError`."""

    def __init__(self) -> None:
        self.asked = ""

    def __call__(self) -> None:
        """Raise StoppedError if the end was asked for.

        Raises
        ------
        StoppedError
        """
        if self.asked:
            raise StoppedError(
                f"ended by {self.asked} after a whole batch; what was made is kept, and the same "
                "command goes on."
            )


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Take SIGTERM and SIGUSR1 as requests to end between two batches.

    A second SIGTERM ends the process at once, as it does everywhere. In a thread that may handle no
    signals, none is handled.

    Yields
    ------
    Stop
        To be called between batches.
    """
    stop = Stop()
    before = {}

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.asked and number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.asked = signal.Signals(number).name

    if threading.current_thread() is threading.main_thread():
        for name in _ASKING:
            if (number := getattr(signal, name, None)) is not None:
                before[number] = signal.signal(number, heard)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
