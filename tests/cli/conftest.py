from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module

import pytest

from voxplain.cli import main

Run = Callable[..., tuple[int, str, str]]


DRAWN = {
    "voxplain.pipeline.explain.judging.judge": 100,
    "voxplain.pipeline.fit.scores.bootstrap": 200,
    "voxplain.pipeline.fit.scores.permutation_p": 200,
}
"""Samples by chance, of which the command takes thousands."""


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw coarse figures and few samples; tests/report, trust and fit have their proof."""
    monkeypatch.setattr("voxplain.report.figures.style.DPI", 60)
    for place, draws in DRAWN.items():
        module, _, name = place.rpartition(".")
        few = partial(getattr(import_module(module), name), draws=draws)
        monkeypatch.setattr(place, few)
    for name in ("judgement", "singly"):
        monkeypatch.setattr(f"voxplain.trust.truth.{name}.CHANCE_DRAWS", 100)
    monkeypatch.setattr("voxplain.pipeline.trust.networks._DRAWS", 25)


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
