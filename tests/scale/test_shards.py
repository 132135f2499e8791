"""``voxplain explain STUDY --shard i/n``: parts, and what they must be of."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale_tools import GRID, NET, results
from sleepy import build

from voxplain.attribution import Engine, iter_explain
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StoppedError
from voxplain.pipeline.shards import manifest as manifests
from voxplain.pipeline.shards.parts import Part
from voxplain.study import Study
from voxplain.volume import Volume

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
MANY = (
    *("--method", "gradient", "--method", "recommended", "--method", "meaningful-perturbation"),
    *("--option", "meaningful-perturbation:optimiser.iterations=2"),
    *("--option", "meaningful-perturbation:cohort=true", "--target", "own"),
)
ONE = ("--method", "gradient")


@pytest.fixture
def study(tmp_path: Path, fitted: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "study"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, fitted: Path, forks: object) -> Path:
    """All methods, explained at once."""
    study = Path(shutil.copytree(fitted, tmp_path_factory.mktemp("unbroken") / "study"))
    pid = forks.start("explain", study, *NET, *MANY)  # type: ignore[attr-defined]
    assert forks.wait(pid) == 0, forks.told(pid)  # type: ignore[attr-defined]
    assert not (study / "runs").exists()
    return study


@given(st.integers(0, 200), st.integers(1, 60))
def test_parts_are_the_whole_each_unit_once(count: int, of: int) -> None:
    units = list(range(count))
    parts = [Part(number, of).cut(units) for number in range(1, of + 1)]
    assert [unit for part in parts for unit in part] == units
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert list(Part(0, of).cut(units)) == []


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_give_the_bytes_of_an_unbroken_run(
    run: Run, study: Path, unbroken: Path, order: tuple[int, ...]
) -> None:
    for number in order:
        code, shown, error = run("explain", study, *NET, *MANY, "--shard", f"{number}/3")
        assert (code, error) == (0, "")
        assert "the same command without --shard joins all parts" in shown
        assert not (study / "group").exists()
    code, shown, error = run("explain", study, *NET, *MANY)
    assert (code, error) == (0, "")
    assert shown.count("22 of 22 maps are there already") == 6
    assert results(study) == results(unbroken)
    (place,) = (study / "runs").iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["joined.json", "manifest.json"]


def test_joining_makes_what_is_missing_whatever_is_lost(
    run: Run, study: Path, unbroken: Path
) -> None:
    shutil.copytree(unbroken / "maps", study / "maps")
    rng = np.random.default_rng(1)
    sidecars = sorted((study / "maps").rglob("*_statmap.json"))
    assert len(sidecars) == 44 * 3
    for path in rng.choice(np.array(sidecars, dtype=object), 30, replace=False):
        path.unlink()
    assert run("explain", study, *NET, *MANY, "--shard", "2/3")[0] == 0
    assert run("explain", study, *NET, *MANY)[0] == 0
    assert results(study) == results(unbroken)


def test_a_run_is_named_by_what_it_is_made_of(run: Run, study: Path) -> None:
    code, shown, _ = run("explain", study, *NET, *ONE, "--shard", "0/4")
    found = re.search(r"(explain-[0-9a-f]{16}) is fixed", shown)
    assert code == 0
    assert found is not None
    assert not (study / "maps").exists()
    told = json.loads((study / f"runs/{found[1]}/manifest.json").read_text())
    cohort = open_store(study / "cohort")
    assert sum(len(scans) for scans in told["scans"]) == 44
    assert [row for fold in told["folds"] for row in fold["rows"]] != list(range(44))
    subject, _ = told["scans"][1][3]
    assert subject == cohort.subjects[told["folds"][1]["rows"][3]]
    part = ("--shard", "1/4", "--manifest", found[1])
    assert run("explain", study, *NET, *ONE, *part)[0] == 0
    record = json.loads((study / f"runs/{found[1]}/part-0001-of-0004.json").read_text())
    assert (record["state"], record["done"], record["total"]) == ("done", 8, 8)
    code, _, error = run("explain", study, *NET, "--method", "smoothgrad", *part)
    assert code == 2
    assert "What is asked" in error
    assert "changed after the run" in error


def test_a_manifest_that_was_touched_counts_for_nothing(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "_PATIENCE", 0)
    run("explain", study, *NET, *ONE, "--shard", "0/4")
    (path,) = (study / "runs").rglob("manifest.json")
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    part = ("--shard", "1/4", "--manifest", path.parent.name)
    code, _, error = run("explain", study, *NET, *ONE, *part)
    assert code == 2
    assert f"has no run {path.parent.name} with a whole manifest" in error


def test_a_late_manifest_is_waited_for(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifests.Manifest({"command": "explain", "asked": {"seed": 0}})
    keeper = Study(study, "voxplain study", "0")
    keeper.write_bytes(f"runs/{made.name}/manifest.json", b"")
    waits = []

    def appear(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            made.write(keeper)

    monkeypatch.setattr(manifests.time, "sleep", appear)
    found = manifests.find_manifest(keeper, {"seed": 0}, made.name)
    assert found is not None
    assert found.content == made.content
    assert len(waits) == 3


def _swap_rows(study: Path) -> None:
    table = study / "cohort/participants.tsv"
    lines = table.read_text().splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    table.write_text("\n".join(lines) + "\n")


def _other_image(study: Path) -> None:
    images = np.load(study / "cohort/images.npy", mmap_mode="r+")
    images[:, 3, 3, 3] += 1
    images.flush()


def _other_weights(study: Path) -> None:
    place = "model/sleepy-build/repeat-01"
    for path in (study / place).glob("fold-*/weights.safetensors"):
        content = bytearray(path.read_bytes())
        content[-4:] = np.float32(np.frombuffer(content[-4:], "<f4")[0] * 1.0001).tobytes()
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (_swap_rows, "The participants' table of"),
        (_other_image, "The image of"),
        (_other_weights, "The network in model/sleepy-build/repeat-01/fold-01 of"),
    ],
)
def test_what_was_edited_is_refused_and_nothing_is_written(
    run: Run, study: Path, edit: Callable[[Path], None], what: str
) -> None:
    assert run("explain", study, *NET, *ONE, "--shard", "2/2")[0] == 0
    before = results(study)
    edit(study)
    code, _, error = run("explain", study, *NET, *ONE, "--shard", "1/2")
    assert code == 2
    assert what in error
    assert "so nothing was written; put back what it was, or delete" in error
    code, _, error = run("explain", study, *NET, *ONE)
    assert code == 2
    assert what in error
    assert results(study) == before
    shutil.rmtree(study / "runs")
    assert run("explain", study, *NET, *ONE, "--shard", "1/2")[0] == 0
    told = json.loads(next((study / "runs").rglob("part-*.json")).read_text())
    assert told["state"] == "done"


def test_a_part_that_fails_says_why(run: Run, study: Path) -> None:
    assert run("explain", study, *NET, *ONE, "--shard", "0/2")[0] == 0
    _other_image(study)
    run("explain", study, *NET, *ONE, "--shard", "2/2")
    told = json.loads(next((study / "runs").rglob("part-*.json")).read_text())
    assert told["state"] == "failed"
    assert told["why"].startswith("The image of ")
    assert told["done"] == 0


def test_a_joined_run_is_in_no_other_runs_way(run: Run, study: Path) -> None:
    run("explain", study, *NET, *ONE, "--shard", "1/1")
    assert run("explain", study, *NET, *ONE)[0] == 0
    _swap_rows(study)
    # Rows and images belong together, so that this is another, odd, cohort: a run of its own.
    code, _, error = run("explain", study, *NET, *ONE, "--shard", "1/1")
    assert (code, error) == (0, "")
    assert len([*(study / "runs").iterdir()]) == 2


def test_who_works_alone_lets_nobody_in(run: Run, study: Path) -> None:
    store = os.open(study / "cohort/store.json", os.O_RDWR)
    try:
        flock(store, LOCK_EX)
        for more in ((), ("--shard", "1/2")):
            code, _, error = run("explain", study, *NET, *ONE, *more)
            assert code == 2
            assert "Another voxplain command is at work in" in error
        flock(store, LOCK_SH)
        assert run("explain", study, *NET, *ONE)[0] == 2
        assert run("explain", study, *NET, *ONE, "--shard", "1/2")[0] == 0
    finally:
        os.close(store)
    assert run("explain", study, *NET, *ONE)[0] == 0


@pytest.mark.parametrize("text", ["3", "4/3", "1/0", "-1/2", "a/b", "1/2/3"])
def test_parts_that_are_none(run: Run, tmp_path: Path, text: str) -> None:
    code, _, error = run("explain", tmp_path, *NET, "--shard", text)
    assert code == 2
    assert f"{text!r} was given" in error


@pytest.mark.parametrize(
    "options",
    [("--image", "x", "--out", "y", "--weights", "w", "--shard", "1/2"), ("x", "--manifest", "m")],
)
def test_parts_are_of_a_study(run: Run, options: tuple[str, ...]) -> None:
    code, _, error = run("explain", *NET, *options)
    assert code == 2
    assert "--shard makes a part of a study" in error


def test_some_maps_are_bit_for_bit_those_of_all() -> None:
    rng = np.random.default_rng(3)
    scans = [Volume(rng.normal(size=GRID.shape).astype(np.float32), GRID, f"{i}") for i in range(7)]
    torch.manual_seed(0)
    network, engine = build().eval(), Engine("cpu", batch_size=3)
    asked = {"method": "smoothgrad", "engine": engine, "seed": 4}
    whole = list(iter_explain(network, scans, **asked))
    seen: list[tuple[float, int]] = []
    some = iter_explain(
        network, scans, **asked, only=[5, 1], on_progress=lambda *told: seen.append(told)
    )
    for found, position in zip(some, (1, 5), strict=True):
        assert found.subject == f"{position}"
        assert found.values.tobytes() == whole[position].values.tobytes()
    assert seen[0] == (0, 2)
    assert seen[-1] == (2, 2)
    both = [build().eval(), network]
    mean = list(iter_explain(both, scans, **asked))
    (one,) = iter_explain(both, scans, **asked, only=[4])
    assert one.values.tobytes() == mean[4].values.tobytes()
    for wrong in ([7], [-1], ["a"], [1.0]):
        with pytest.raises(InputError, match="only must hold positions of the 7 volumes"):
            iter_explain(network, scans, **asked, only=wrong)


def test_a_request_to_end_is_heard_between_batches() -> None:
    import signal

    from voxplain.pipeline.shards.stopping import stoppable

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    with stoppable() as stop:
        stop()
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        with pytest.raises(StoppedError, match="ended by SIGUSR1 after a whole batch"):
            stop()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before
