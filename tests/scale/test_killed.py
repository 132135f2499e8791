"""Parts that are killed, preempted, run twice: the results are those of an explained run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from forks import Forks
from scale_tools import NET, results

ONE = ("--method", "gradient")
pytestmark = pytest.mark.xdist_group("forks")


@pytest.fixture
def study(tmp_path: Path, fitted: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "study"))


def leftovers(study: Path) -> list[str]:
    """Half files and locks."""
    return [
        str(path)
        for path in study.rglob("*")
        if path.name.endswith(".partial") or "lock" in path.name or path.name.startswith(".nfs")
    ]


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


def schedule(seed: int, study: Path, forks: Forks, layout: Sequence[str]) -> dict[str, int]:
    """Run parts two at a time, kill some at random, run some twice, until all are done."""
    rng = random.Random(seed)
    of = rng.choice([1, 2, 3, 5])
    todo = [*range(1, of + 1), rng.randint(1, of)]
    rng.shuffle(todo)
    told = {"commands": 0, "kills": 0, "at once": 0}
    running: dict[int, tuple[int, float, int]] = {}
    assert forks.run("explain", study, *NET, *ONE, "--shard", f"0/{of}") == 0
    while todo or running:
        while todo and len(running) < 2:
            number = todo.pop()
            pid = forks.start(
                *("explain", study, *NET, *ONE, *layout, "--shard", f"{number}/{of}"),
                SLEEPY=f"{rng.choice([0, 0.02, 0.05])}",
            )
            told["commands"] += 1
            # So long that it may be done, and short enough for some not to be.
            running[pid] = number, time.monotonic() + rng.uniform(0, 2.5), rng.choice(SIGNALS)
        pid, (number, end, sent) = min(running.items(), key=lambda item: item[1][1])
        time.sleep(max(0.0, end - time.monotonic()))
        if told["kills"] < 8:
            os.kill(pid, sent)
        code = forks.wait(pid)
        assert code in {0, 75, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1}, forks.told(pid)
        del running[pid]
        if code != 0:
            told["kills"] += 1
            told["at once"] += code == -signal.SIGKILL
            todo.insert(0, number)
    return told


SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)


SCHEDULES = int(os.environ.get("VOXPLAIN_SCHEDULES", "1"))
"""A few; as many as that where someone has the time. Maps of every second one lie in stores."""


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_schedules_of_kills(
    study: Path,
    explained: Path,
    forks: Forks,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    layout = ("--maps", "store") if seed % 2 else ()
    for what, count in schedule(seed, study, forks, layout).items():
        record_property(what, count)
    pid = forks.start("explain", study, *NET, *ONE, *layout)
    assert forks.wait(pid) == 0
    assert forks.told(pid).count("22 of 22 maps are there already") == 2
    assert leftovers(study) == []
    if layout:
        assert len(list((study / "maps/stores").iterdir())) == 2
        assert forks.run("export", study) == 0
        shutil.rmtree(study / "maps/stores")
    assert results(study) == results(explained)
