"""Progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from voxplain import console as module
from voxplain.console import BarProgress, LineProgress, make_progress


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(t) for t in range(0, 1000, 6))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    shown = io.StringIO()
    progress = make_progress(Console(file=shown, width=40))
    assert isinstance(progress, LineProgress)
    with progress.step("A long step with a long name, longer than the console", 4) as advance:
        advance(1, note="loss 0.5")
        advance(2)
        advance(4)
    lines = shown.getvalue().splitlines()
    assert "\x1b" not in shown.getvalue()
    assert lines[0] == "A long step with a long name, longer than the console ..."
    assert lines[1].endswith(" 25 %, 18.0 s left  loss 0.5")
    assert lines[2].endswith(" 50 %, 12.0 s left")
    assert lines[3].endswith("done in 24.0 s")
    assert len(lines) == 4


def test_on_a_terminal_there_are_bars() -> None:
    shown = io.StringIO()
    progress = make_progress(Console(file=shown, force_terminal=True, width=100))
    assert isinstance(progress, BarProgress)
    with progress.step("Training", 2) as advance:
        advance(1, note="loss [0.5]")
    assert "\x1b" in shown.getvalue()
    assert "Training: done in" in shown.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert module._duration(seconds) == text
