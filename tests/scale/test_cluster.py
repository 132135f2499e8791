"""``--workers`` and ``--dask``: the parts of a run on Dask, in threads of this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scale_tools import NET, results

from voxplain.attribution import Engine
from voxplain.errors import StoppedError, StudyError
from voxplain.pipeline.explain.study import in_parts
from voxplain.pipeline.explain.study.in_hand import NetworkInHand
from voxplain.pipeline.explain.study.parts import StudyRun
from voxplain.pipeline.shards import cluster
from voxplain.pipeline.shards.parts import Part, Workers
from voxplain.progress import Silent

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Workers are threads, which start in no time; returns the addresses of the last ones."""
    distributed = pytest.importorskip("distributed")
    addresses: list[str] = []

    def started(env: dict[str, str], **asked: Any) -> Any:
        made = distributed_cluster(processes=False, **asked)
        for server in (made.scheduler, *made.workers.values()):
            heard = [one.getsockname()[0] for one in server.http_server._sockets.values()]
            assert heard == ["127.0.0.1"]
        addresses[:] = [worker.address for worker in made.workers.values()]
        return made

    distributed_cluster = distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", started)
    return addresses


def test_workers_give_the_bytes_of_an_unbroken_run_though_one_fails(
    run: Run,
    fitted: Path,
    explained: Path,
    tmp_path: Path,
    threads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from distributed import get_worker

    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    make, load = in_parts._make_part, StudyRun.load
    tried: list[tuple[str, str]] = []
    loaded: list[int] = []

    def fails_at_first(opened: Any, *rest: Any) -> None:
        part = str(opened.run.part)
        tried.append((part, get_worker().address))
        if part == "2/6" and len([one for one, _ in tried if one == part]) == 1:
            raise OSError("stale file handle")
        make(opened, *rest)

    def counted(self: StudyRun, number: int, fold: Any) -> Any:
        loaded.append(number)
        return load(self, number, fold)

    monkeypatch.setattr(in_parts, "_make_part", fails_at_first)
    monkeypatch.setattr(StudyRun, "load", counted)
    code, shown, error = run("explain", study, *NET, "--method", "gradient", "--workers", 2)
    assert (code, error) == (0, "")
    (first, second) = (worker for part, worker in tried if part == "2/6")
    assert {first, second} == {*threads}
    assert f"Part 2/6 failed on {first}: stale file handle" in shown
    assert sorted({part for part, _ in tried}) == [f"{i}/6" for i in range(1, 7)]
    assert {*loaded} == {1, 2}
    assert results(study) == results(explained)
    (place,) = (study / "runs").iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["joined.json", "manifest.json"]


def test_a_network_is_kept_until_that_of_another_fold_is_asked_for() -> None:
    loaded: list[int] = []
    run: Any = SimpleNamespace(
        study=SimpleNamespace(folder=Path()),
        manifest=SimpleNamespace(name="explain-1"),
        load=lambda number, fold: loaded.append(number) or fold,
    )
    network, engine = NetworkInHand(), Engine("cpu")
    for number in (1, 1, 2, 2, 1):
        fold: Any = f"fold {number}"
        with network.of(run, number, fold, engine) as (held, _):
            assert held == fold
    assert loaded == [1, 2, 1]
    network.drop()


def fails(part: Part, log: Path) -> None:
    (log / f"{part.number}-{len(list(log.iterdir()))}").touch()
    if part.number == 2:
        raise ZeroDivisionError


def test_a_part_that_fails_everywhere_is_named_when_the_others_are_made(
    tmp_path: Path, threads: list[str]
) -> None:
    with pytest.raises(StudyError, match=r"^1 of 3 parts failed 3 times each: 2/3 on inproc"):
        cluster.make_parts(partial(fails, log=tmp_path), 3, Workers(2), Silent())
    made = sorted(path.name.partition("-")[0] for path in tmp_path.iterdir())
    assert made == ["1", "2", "2", "2", "3"]
    assert str(Path.cwd()) in sys.path


def asks_to_end(part: Part) -> None:
    if part.number == 1:
        os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)


@pytest.mark.usefixtures("threads")
def test_a_request_to_end_is_heard_while_workers_work() -> None:
    with pytest.raises(StoppedError, match=r"^ended by SIGUSR1; each worker lost the batch"):
        cluster.make_parts(asks_to_end, 40, Workers(2), Silent())


def test_a_worker_takes_a_gpu_of_its_own() -> None:
    class Client:
        def run(self, *asked: Any) -> dict[str, str | None]:
            return {
                "tcp://a:1": "0,1", "tcp://a:2": "0,1", "tcp://a:3": "2", "tcp://b:7": "0,1",
                "tcp://b:8": None,
            }  # fmt: skip

    assert cluster._gpus(Client()) == {
        "tcp://a:1": 0, "tcp://a:2": 1, "tcp://a:3": 0, "tcp://b:7": 0, "tcp://b:8": 0,
    }  # fmt: skip


def test_workers_are_missed_only_where_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that leave with their last part are not waited for."""

    class Client:
        def wait_for_workers(self, count: int, timeout: float) -> None:
            del count, timeout
            raise TimeoutError

    client: Any = Client()
    monkeypatch.setattr("distributed.wait", lambda *_, **__: SimpleNamespace(done={"a part"}))
    assert cluster._ended(client, []) == ["a part"]

    def nothing_ends(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("distributed.wait", nothing_ends)
    with pytest.raises(StudyError, match=r"^Dask has no workers there; start some"):
        cluster._ended(client, [])
    monkeypatch.setattr(Client, "wait_for_workers", lambda *_, **__: None)
    assert cluster._ended(client, []) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workers", 0), "--workers must be 1 or more; 0 was given."),
        (("--workers", 2, "--dask", "tcp://a:1"), "exclude each other"),
        (("--workers", 2, "--shard", "1/2"), "exclude each other"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    for command in ("explain", "fit"):
        code, _, error = run(command, tmp_path, *NET, *words)
        assert code == 2
        assert said in error


def test_without_dask_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxplain.cli.options.shards.find_spec", lambda name: None)
    code, _, error = run("explain", tmp_path, *NET, "--workers", 2)
    assert code == 2
    assert error.startswith("voxplain: --workers and --dask need Dask; install it with: pip inst")


def test_single_scans_are_explained_here(run: Run) -> None:
    alone = ("--image", "i", "--out", "o", "--weights", "w", "--workers", 2)
    code, _, error = run("explain", *NET, *alone)
    assert code == 2
    assert "--workers and --dask are for a study; single scans are explained here." in error


def test_tests_of_groups_and_verdicts_are_shared_out_too(
    run: Run, fitted: Path, tmp_path: Path, threads: list[str]
) -> None:
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    assert run("explain", study, *NET, "--method", "gradient", "--target", "case")[0] == 0
    whole = Path(shutil.copytree(study, tmp_path / "whole"))
    test = ("--permutations", 500, "--statistic", "voxel", "--atlas", "none")
    off = (
        *("sanity", "deletion", "faithfulness", "stability", "repeats", "agreement", "confounded"),
        *("spike-in", "null-maps", "null-calls", "encoding", "layer", "reproduced"),
    )
    rules = tmp_path / "rules.toml"
    rules.write_text("\n".join(f"[{name}]\noff = true" for name in off))
    judge = ("--budget", "1m", "--rules", rules, "--device", "cpu")
    assert run("group", whole, *test)[0] == 0
    code, shown, error = run("group", study, *test, "--workers", 2)
    assert (code, error) == (0, "")
    assert "3 parts on 2 workers" in shown
    assert len(threads) == 2
    names = ("_stat-t_statmap.nii.gz", "_effects.tsv", "_clusters.tsv")
    made = {
        path.name: path.read_bytes()
        for path in (study / "group").iterdir()
        if path.name.endswith((".nii.gz", ".tsv"))
    }
    assert any(name.endswith(names) for name in made)
    assert made == {name: (whole / "group" / name).read_bytes() for name in made}
    code, _, _ = run("trust", whole, *judge)
    found, shown, error = run("trust", study, *judge, "--workers", 2)
    assert (found, error) == (code, "")
    assert "parts on 2 workers" in shown
    told = [json.loads((one / "trust.json").read_text()) for one in (whole, study)]
    assert told[0]["methods"] == told[1]["methods"]
    assert told[0]["study"] == told[1]["study"]
    code, _, error = run("trust", study, "--weights", "a.pt", *NET[:2], "--workers", 2)
    assert code == 2
    assert "share out the tests of a fitted study" in error
