"""One small demo for all tests of this folder."""

from __future__ import annotations

import pytest

from voxplain.pipeline.demo.run import DemoOptions, run_demo
from voxplain.progress import Silent
from voxplain.report.figures import style

COARSE = 40
"""Dots per inch: nobody looks at these figures."""


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> DemoOptions:
    return DemoOptions(tmp_path_factory.mktemp("demo") / "out", subjects=20, perturbed=2, epochs=1)


@pytest.fixture(scope="session")
def summary(options: DemoOptions) -> dict:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(style, "DPI", COARSE)
        return run_demo(options, Silent())
