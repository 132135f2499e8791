"""Two commands in one study: the second is refused in a sentence, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

import pytest

from voxplain.errors import StudyError
from voxplain.pipeline.shards.alone import alone

Run = Callable[..., tuple[int, str, str]]
COMMANDS = {
    "group": (),
    "trust": ("--budget", "1m"),
    "trust --weights": ("--network", "sleepy:build", "--weights", "w.safetensors"),
    "report": (),
    "reclassify": ("--network", "sleepy:build"),
    "features": ("--network", "sleepy:build"),
    "fit": ("--network", "sleepy:build", "--permuted-labels", 19),
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "cohort").mkdir()
    for name in ("cohort/store.json", "dataset_description.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.fixture(params=[LOCK_EX, LOCK_SH], ids=["alone", "a part"])
def another(study: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Another command, or a part of a run, is at work."""
    held = os.open(study / "cohort/store.json", os.O_RDWR)
    flock(held, request.param)
    yield
    os.close(held)


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_command_is_refused(run: Run, study: Path, command: str) -> None:
    code, shown, error = run(command.partition(" ")[0], study, *COMMANDS[command])
    assert (code, shown) == (2, "")
    assert f"Another voxplain command is at work in {study}, or parts of a run are" in error
    names = sorted(str(path.relative_to(study)) for path in study.rglob("*"))
    assert names == ["cohort", "cohort/store.json", "dataset_description.json"]


def test_whoever_has_ended_is_in_nobodys_way(study: Path, tmp_path: Path) -> None:
    with alone(study):
        with pytest.raises(StudyError, match="Another voxplain command is at work"), alone(study):
            pass
        # Elsewhere, and where there is no cohort, one may work.
        with alone(tmp_path / "elsewhere"):
            pass
    with pytest.raises(ZeroDivisionError, match="by zero"), alone(study):
        1 / 0  # noqa: B018
    with alone(study):
        assert [path.name for path in (study / "cohort").iterdir()] == ["store.json"]
