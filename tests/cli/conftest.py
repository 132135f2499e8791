from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from voxplain.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw coarse figures: nobody looks at them, and tests/report has their proof."""
    monkeypatch.setattr("voxplain.report.figures.style.DPI", 60)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: ``run(\"methods\") -> (exit code, output, errors)``."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["voxplain", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call
