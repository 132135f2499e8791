"""One small demo for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest

from voxplain.grid import KAN2020_GRID
from voxplain.phantom import Scenario
from voxplain.pipeline.demo import judge, learn, run
from voxplain.pipeline.demo import summary as summary_facts
from voxplain.pipeline.demo.run import DemoOptions, run_demo
from voxplain.progress import Silent
from voxplain.report.figures import style
from voxplain.report.figures.brain import planes
from voxplain.results.demo import DemoResult
from voxplain.results.summary import demo_json

COARSE = 40
"""Dots per inch: nobody looks at these figures."""
DRAWS = 30
"""Random maps of each null level; of how many the demo draws, tests/trust has the proof."""


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> DemoOptions:
    return DemoOptions(tmp_path_factory.mktemp("demo") / "out", subjects=20, perturbed=2, epochs=1)


@cache
def drawn(name: str) -> Callable[..., object]:
    """Draw when called first; what is asked for later is what was drawn then."""
    draw, made = getattr(run, name), []

    def once(*arguments: object) -> object:
        if not made:
            made.append(draw(*arguments))
        return made[0]

    return once


GRID = KAN2020_GRID.recut(5)
"""Of the same extent as the demo's own, with a fifth of its voxels."""


def make_small(patched: pytest.MonkeyPatch) -> None:
    """Make coarse scans and figures, the latter once, and few random maps."""
    coarse = partial(learn.make_phantom, scenario=Scenario(grid=GRID))
    patched.setattr(learn, "make_phantom", coarse)
    for name in ("demo_pictures", "demo_viewer"):
        patched.setattr(run, name, drawn(name))
    patched.setattr(style, "DPI", COARSE)
    patched.setattr(planes, "_PIXEL_MM", 3.0)
    for name in ("chance_of", "chance_interval", "agreement"):
        patched.setattr(judge, name, partial(getattr(judge, name), draws=DRAWS))
    scores = partial(summary_facts.classification_scores, draws=200)
    patched.setattr(summary_facts, "classification_scores", scores)


@pytest.fixture(scope="session")
def result(options: DemoOptions) -> DemoResult:
    with pytest.MonkeyPatch.context() as patched:
        make_small(patched)
        return run_demo(options, Silent())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what a test runs as small as the demo of all tests."""
    make_small(monkeypatch)


@pytest.fixture(scope="session")
def summary(result: DemoResult) -> dict:
    return demo_json(result)
