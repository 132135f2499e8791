"""One small demo for all tests of this folder."""

from __future__ import annotations

import pytest

from voxplain.pipeline.demo.run import DemoOptions, run_demo
from voxplain.progress import Silent
from voxplain.report.figures import style
from voxplain.results.demo import DemoResult
from voxplain.results.summary import demo_json

COARSE = 40
"""Dots per inch: nobody looks at these figures."""


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> DemoOptions:
    return DemoOptions(tmp_path_factory.mktemp("demo") / "out", subjects=20, perturbed=2, epochs=1)


@pytest.fixture(scope="session")
def result(options: DemoOptions) -> DemoResult:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(style, "DPI", COARSE)
        return run_demo(options, Silent())


@pytest.fixture(scope="session")
def summary(result: DemoResult) -> dict:
    return demo_json(result)
