"""What is shown on a terminal: text as it is, never read as markup, and progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voxplain.progress import Advance

__all__ = ["BarProgress", "LineProgress", "make_console", "make_progress"]

_SECONDS_BETWEEN_LINES = 5.0


def make_console() -> Console:
    """Make a console that shows names of files, people and classes letter by letter.

    Brackets are no markup, ``:smile:`` is no picture, and numbers have no colours; this holds for
    tables and their titles too.
    """
    return Console(markup=False, emoji=False, highlight=False)


class _Speaker:
    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


class BarProgress(_Speaker):
    """Live bars: what, how far, time left."""

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[Advance]:
        """Show a bar that fills up to `total`."""
        began = time.monotonic()
        columns = (
            TextColumn("{task.description:<34}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(name, total=total, note="")

            def advance(done: float, note: str = "") -> None:
                bars.update(task, completed=done, note=note)

            yield advance
        self.say(f"{name}: done in {_duration(time.monotonic() - began)}")


class LineProgress(_Speaker):
    """Plain lines for logs: a line at the start, one every few seconds, one at the end."""

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[Advance]:
        """Print how far the step is, seldom enough for a log."""
        began = last = time.monotonic()
        self.say(f"{name} ...")

        def advance(done: float, note: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < _SECONDS_BETWEEN_LINES or not 0 < done < total:
                return
            last = now
            left = (now - began) * (total - done) / done
            tail = f"  {note}" if note else ""
            self.say(f"{name}: {100 * done / total:3.0f} %, {_duration(left)} left{tail}")

        yield advance
        self.say(f"{name}: done in {_duration(time.monotonic() - began)}")


def make_progress(console: Console) -> BarProgress | LineProgress:
    """Choose bars for a terminal and lines for anything else."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
