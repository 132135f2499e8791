"""Parts that are killed, preempted, run twice: the results are those of an explained run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from forks import Forks
from scale_tools import NET, leftovers, results

ONE = ("--method", "gradient")
pytestmark = pytest.mark.xdist_group("forks")


@pytest.fixture
def study(tmp_path: Path, fitted: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "study"))


def maps_in(study: Path) -> int:
    return len(list((study / "maps").rglob("*_statmap.json")))


def wait_for_maps(study: Path, count: int) -> None:
    end = time.monotonic() + 60
    while maps_in(study) < count:
        assert time.monotonic() < end, "no map came"
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_request_to_end_finishes_the_batch(
    study: Path, explained: Path, forks: Forks, name: str
) -> None:
    part = ("explain", study, *NET, *ONE, "--shard", "1/1")
    pid = forks.start(*part, SLEEPY="0.1")
    wait_for_maps(study, 1)
    os.kill(pid, getattr(signal, name))
    assert forks.wait(pid) == 75
    assert f"ended by {name} after a whole batch" in forks.told(pid)
    made = maps_in(study)
    assert made in {8, 16, 22, 30, 38}
    (record,) = (study / "runs").rglob("part-*.json")
    told = json.loads(record.read_text())
    assert (told["state"], told["done"]) == ("stopped", made)
    pid = forks.start(*part)
    assert forks.wait(pid) == 0
    assert f"{min(made, 22)} of 22 maps are there already" in forks.told(pid)
    assert forks.run("explain", study, *NET, *ONE) == 0
    assert results(study) == results(explained)


def test_a_second_request_ends_at_once(study: Path, forks: Forks) -> None:
    pid = forks.start("explain", study, *NET, *ONE, SLEEPY="0.1")
    wait_for_maps(study, 1)
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.02)
    os.kill(pid, signal.SIGTERM)
    assert forks.wait(pid) in {-signal.SIGTERM, 75}


def test_one_command_shuts_another_out_until_it_is_killed(study: Path, forks: Forks) -> None:
    pid = forks.start("explain", study, *NET, *ONE, SLEEPY="0.1")
    wait_for_maps(study, 1)
    second = forks.start("explain", study, *NET, *ONE)
    assert forks.wait(second) == 2
    assert "Another voxplain command is at work in" in forks.told(second)
    os.kill(pid, signal.SIGKILL)
    assert forks.wait(pid) == -signal.SIGKILL
    assert forks.run("explain", study, *NET, *ONE) == 0
    assert maps_in(study) == 44
    assert leftovers(study) == []
