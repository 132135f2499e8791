from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module

import pytest
from matplotlib.figure import Figure

from voxplain.cli import main

Run = Callable[..., tuple[int, str, str]]


DRAWN = {
    "voxplain.pipeline.explain.study.judging.judge": 100,
    "voxplain.pipeline.fit.scores.bootstrap": 200,
    "voxplain.pipeline.fit.scores.permutation_p": 200,
}
"""Samples by chance, of which the command takes thousands."""


@cache
def _drawn() -> dict[tuple[object, ...], bytes]:
    return {}


def _drawn_once(
    figure: Figure, kind: str, dpi: int, *rest: object, save: Callable[..., bytes]
) -> bytes:
    """Draw a figure unless one of its size and parts was drawn for the same function before."""
    asked = sys._getframe(2).f_code
    key = (kind, dpi, asked, tuple(figure.get_size_inches()), len(figure.findobj()))
    if key not in _drawn():
        _drawn()[key] = save(figure, kind, dpi, *rest)
    return _drawn()[key]


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Draw coarse figures and few samples; tests/report, trust and fit have their proof."""
    style = import_module("voxplain.report.figures.style")
    monkeypatch.setattr(style, "DPI", 40)
    monkeypatch.setattr("voxplain.report.figures.brain.planes._PIXEL_MM", 3.0)
    if "report" not in request.module.__name__:
        monkeypatch.setattr(style, "_saved", partial(_drawn_once, save=style._saved))
    for place, draws in DRAWN.items():
        module, _, name = place.rpartition(".")
        few = partial(getattr(import_module(module), name), draws=draws)
        monkeypatch.setattr(place, few)
    for name in ("judgement", "singly"):
        monkeypatch.setattr(f"voxplain.trust.truth.{name}.CHANCE_DRAWS", 100)
    for place in ("asking.DRAWS", "between._DRAWS"):
        monkeypatch.setattr(f"voxplain.pipeline.trust.maps.{place}", 20)
    monkeypatch.setattr("voxplain.pipeline.trust.maps.asking._SCANS", 4)


@pytest.fixture
def run(call_main: Run) -> Run:
    """Run the command line: ``run(\"methods\") -> (exit code, output, errors)``."""
    return partial(call_main, main, "voxplain")
