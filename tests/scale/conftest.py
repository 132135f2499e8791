from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from forks import Forks
from scale_tools import HERE, NET, make_study

from voxplain.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(call_main: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in the folder of the stand-in network."""
    monkeypatch.chdir(HERE)
    monkeypatch.setattr("voxplain.report.figures.style.DPI", 40)
    monkeypatch.setattr("voxplain.report.figures.brain.planes._PIXEL_MM", 3.0)
    return partial(call_main, main, "voxplain")


@pytest.fixture(scope="session")
def forks(forks: Forks) -> Forks:
    return forks.at(HERE)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Path:
    """A study of 44 scans, on which the stand-in was trained; to be copied."""
    study = make_study(tmp_path_factory.mktemp("scale") / "study", 44)
    pid = forks.start(
        *("fit", study, *NET, "--cv", 2, "--epochs", 1, "--no-final", "--no-baselines")
    )
    assert forks.wait(pid) == 0, forks.told(pid)
    return study


@pytest.fixture(scope="session")
def explained(tmp_path_factory: pytest.TempPathFactory, fitted: Path, forks: Forks) -> Path:
    """The same, explained by one method at once."""
    study = Path(shutil.copytree(fitted, tmp_path_factory.mktemp("unbroken") / "study"))
    pid = forks.start("explain", study, *NET, "--method", "gradient")
    assert forks.wait(pid) == 0, forks.told(pid)
    return study
