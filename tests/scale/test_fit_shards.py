"""``voxplain fit STUDY --shard i/n``: trainings, one by one, wherever they are made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forks import Forks
from scale_tools import make_study

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
ASKED = (
    *("--network", "sleepy:build", "--network", "sleepy:narrow", "--device", "cpu"),
    *("--cv", 2, "--epochs", 3, "--no-baselines"),
)
TRAININGS = 6


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("bare") / "study", 20)


@pytest.fixture
def study(tmp_path: Path, bare: Path) -> Path:
    return Path(shutil.copytree(bare, tmp_path / "study"))


def made(study: Path) -> dict[str, object]:
    """Weights and predictions by name, and the scores."""
    found: dict[str, object] = {
        str(path.relative_to(study)): path.read_bytes()
        for pattern in ("*.safetensors", "predictions.tsv", "folds.tsv", "weights.json")
        for path in (study / "model").rglob(pattern)
    }
    models = json.loads((study / "summary.json").read_text())["fit"]["models"]
    scores = {name: one["accuracy"] for name, one in models.items()}
    return found | {"scores": json.dumps(scores, sort_keys=True)}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, bare: Path, forks: Forks) -> Path:
    study = Path(shutil.copytree(bare, tmp_path_factory.mktemp("unbroken") / "study"))
    pid = forks.start("fit", study, *ASKED)
    assert forks.wait(pid) == 0, forks.told(pid)
    assert not (study / "runs").exists()
    return study


def trained(study: Path) -> int:
    return len(list((study / "model").rglob("training.json")))


def test_parts_train_the_networks_of_an_unbroken_fit(run: Run, study: Path, unbroken: Path) -> None:
    for number, count in ((4, 2), (1, 3), (2, 5)):
        code, shown, error = run("fit", study, *ASKED, "--shard", f"{number}/4")
        assert (code, error) == (0, "")
        assert "the same command without --shard joins all parts" in shown
        assert trained(study) == count
        assert not (study / "summary.json").exists()
    code, _, error = run("fit", study, *ASKED)
    assert (code, error) == (0, "")
    assert trained(study) == TRAININGS
    assert made(study) == made(unbroken)
    code, shown, _ = run("status", study)
    assert "joined" in shown


def test_a_training_that_is_asked_to_end_goes_on_after_its_last_epoch(
    study: Path, unbroken: Path, forks: Forks
) -> None:
    part = ("fit", study, *ASKED, "--shard", "1/1")
    pid = forks.start(*part, SLEEPY="0.2")
    end = time.monotonic() + 60
    while not list((study / "model").rglob("checkpoint.pt")):
        assert time.monotonic() < end, forks.told(pid)
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert forks.wait(pid) == 75
    assert "ended by SIGTERM" in forks.told(pid)
    assert trained(study) < TRAININGS
    (record,) = (study / "runs").rglob("part-*.json")
    assert json.loads(record.read_text())["state"] == "stopped"
    pid = forks.start("fit", study, *ASKED)
    assert forks.wait(pid) == 0
    assert "Going on after epoch" in forks.told(pid)
    assert made(study) == made(unbroken)


def test_another_cohort_is_refused(run: Run, study: Path) -> None:
    assert run("fit", study, *ASKED, "--shard", "0/2")[0] == 0
    images = np.load(study / "cohort/images.npy", mmap_mode="r+")
    images[3, 5, 5, 5] += 1
    images.flush()
    code, _, error = run("fit", study, *ASKED, "--shard", "1/2")
    assert code == 2
    assert "The image of 03 of" in error
    assert "so nothing was written" in error
    images[3, 5, 5, 5] -= 1
    images.flush()
    table = study / "cohort/participants.tsv"
    table.write_text(table.read_text().replace("control", "CONTROL", 1).replace("CONTROL", "case"))
    for more in (("--shard", "2/2"), ()):
        code, _, error = run("fit", study, *ASKED, *more)
        assert code == 2
        assert "The participants' table of" in error
    assert trained(study) == 0


def test_a_manifest_belongs_to_a_part(run: Run, study: Path) -> None:
    code, _, error = run("fit", study, *ASKED, "--manifest", "x")
    assert (code, error) == (2, "voxplain: --manifest belongs to --shard; give both.\n")
