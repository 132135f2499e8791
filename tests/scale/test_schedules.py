"""Parts that are killed and run twice at random: the results are those of an unbroken run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import Forks
from scale_tools import NET, leftovers, make_study, results
from test_cohort_shards import asked as cohort_asked
from test_cohort_shards import kept, listed
from test_fit_shards import ASKED, made

from voxplain.group.permutation import UNIT

Words = tuple[object, ...]
Tell = Callable[[str, object], None]
pytestmark = pytest.mark.xdist_group("forks")
ONE = ("--method", "gradient")
GROUP = ("--permutations", 4 * UNIT + 51, "--model", "class", "--atlas", "none")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
ENDS = {0, 75, *(-sent for sent in SIGNALS)}
ASKED_FOR = int(os.environ.get("VOXPLAIN_SCHEDULES", "0"))
SEEDS = range(ASKED_FOR or 1)
"""A few; as many as that where someone has the time. Maps of every second one lie in stores."""
FIT = ASKED if ASKED_FOR else ASKED[2:]
"""Two networks, or one."""
MOST = 8 if ASKED_FOR else 2
"""Ends of a schedule that come early, after which every command may come to its own."""


@pytest.fixture
def tell(record_property: Tell) -> Tell:
    """Keep what a schedule came to in the report of the tests."""
    return record_property


def play(seed: int, forks: Forks, words: Words, study: Path, longest: float, tell: Tell) -> str:
    """Run parts two at a time, end some at random, run some twice, until all are done; join them.

    A part gets up to `longest` seconds: so many that it may be done, and few enough for some not
    to be. Returns what joining said; it leaves no half file and no lock.
    """
    rng = random.Random(seed)
    of = rng.choice([1, 2, 3, 5]) if ASKED_FOR else 2
    todo = [*range(1, of + 1), rng.randint(1, of)]
    rng.shuffle(todo)
    told = {"commands": 0, "kills": 0, "at once": 0}
    running: dict[int, tuple[int, float, int]] = {}
    assert forks.run(*words, "--shard", f"0/{of}") == 0
    while todo or running:
        while todo and len(running) < 2:
            number = todo.pop()
            slow = f"{rng.choice([0, 0.02, 0.05])}"
            pid = forks.start(*words, "--shard", f"{number}/{of}", SLEEPY=slow)
            told["commands"] += 1
            end = time.monotonic() + rng.uniform(0, longest)
            running[pid] = number, end, rng.choice(SIGNALS)
        pid, (number, end, sent) = min(running.items(), key=lambda item: item[1][1])
        time.sleep(max(0.0, end - time.monotonic()))
        if told["kills"] < MOST:
            os.kill(pid, sent)
        code = forks.wait(pid)
        assert code in ENDS, forks.told(pid)
        del running[pid]
        if code != 0:
            told["kills"] += 1
            told["at once"] += code == -signal.SIGKILL
            todo.insert(0, number)
    for what, count in told.items():
        tell(what, count)
    pid = forks.start(*words)
    assert forks.wait(pid) == 0, forks.told(pid)
    assert leftovers(study) == []
    return forks.told(pid)


@pytest.mark.parametrize("seed", SEEDS)
def test_explain(
    tmp_path: Path, fitted: Path, explained: Path, forks: Forks, seed: int, tell: Tell
) -> None:
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    words = ("explain", study, *NET, *ONE, *(("--maps", "store") if seed % 2 else ()))
    said = play(seed, forks, words, study, 2.5, tell)
    assert said.count("22 of 22 maps are there already") == 2
    if seed % 2:
        assert len(list((study / "maps/stores").iterdir())) == 2
        assert forks.run("export", study) == 0
        shutil.rmtree(study / "maps/stores")
    assert results(study) == results(explained)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return listed(tmp_path_factory.mktemp("listed") / "scans")


@pytest.fixture(scope="module")
def prepared(scans: Path, forks: Forks) -> Path:
    whole = scans.parent.parent / "whole"
    assert forks.run(*cohort_asked(scans, whole)) == 0
    return whole


@pytest.mark.parametrize("seed", SEEDS)
def test_cohort(
    tmp_path: Path, scans: Path, prepared: Path, forks: Forks, seed: int, tell: Tell
) -> None:
    study = tmp_path / "study"
    play(seed, forks, cohort_asked(scans, study), study, 1.5, tell)
    assert kept(study) == kept(prepared)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("bare") / "study", 20)


@pytest.fixture(scope="module")
def trained(bare: Path, forks: Forks) -> Path:
    whole = Path(shutil.copytree(bare, bare.with_name("whole")))
    assert forks.run("fit", whole, *FIT) == 0
    return whole


@pytest.mark.parametrize("seed", SEEDS)
def test_fit(
    tmp_path: Path, bare: Path, trained: Path, forks: Forks, seed: int, tell: Tell
) -> None:
    study = Path(shutil.copytree(bare, tmp_path / "study"))
    play(seed, forks, ("fit", study, *FIT), study, 4.0, tell)
    assert made(study) == made(trained)


def statistics(study: Path) -> dict[str, bytes]:
    """All that `group` found by name, without the seconds that it took."""
    found = {}
    for path in sorted((study / "group").iterdir()):
        found[path.name] = path.read_bytes()
        if path.name.endswith("_test.json"):
            told = json.loads(found[path.name]) | {"seconds": 0}
            found[path.name] = json.dumps(told).encode()
    return found


@pytest.fixture(scope="module")
def aimed(tmp_path_factory: pytest.TempPathFactory, fitted: Path, forks: Forks) -> Path:
    """One map of each scan, for one target."""
    study = Path(shutil.copytree(fitted, tmp_path_factory.mktemp("aimed") / "study"))
    assert forks.run("explain", study, *NET, *ONE, "--target", "case") == 0
    return study


@pytest.fixture(scope="module")
def tested(aimed: Path, forks: Forks) -> Path:
    whole = Path(shutil.copytree(aimed, aimed.with_name("whole")))
    assert forks.run("group", whole, *GROUP) == 0
    return whole


@pytest.mark.parametrize("seed", SEEDS)
def test_group(
    tmp_path: Path, aimed: Path, tested: Path, forks: Forks, seed: int, tell: Tell
) -> None:
    study = Path(shutil.copytree(aimed, tmp_path / "study"))
    play(seed, forks, ("group", study, *GROUP), study, 2.5, tell)
    assert statistics(study) == statistics(tested)
