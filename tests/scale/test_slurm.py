"""``voxplain submit slurm`` and ``voxplain status``, on a SLURM that is played."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_slurm import Slurm, install
from forks import LINE, Forks
from scale_tools import HERE, NET, results

from voxplain.pipeline.shards import slurm as jobs

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
ONE = ("--method", "gradient")
RESOURCES = jobs.Resources(("voxplain",), "/home/me")


@pytest.fixture
def study(tmp_path: Path, fitted: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "my study's $(touch hacked) 100%"))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    folder = tmp_path / "slurm"
    folder.mkdir()
    environment = install(folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Slurm(environment, seed=0)


def only_run(study: Path) -> Path:
    (found,) = (study / "runs").iterdir()
    return found


def test_what_is_submitted_gives_the_bytes_of_an_unbroken_run(
    run: Run,
    study: Path,
    cluster: Slurm,
    explained: Path,
    forks: Forks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable} -SE\n" + (HERE / "stand_in.py").read_text())
    python.chmod(0o755)
    monkeypatch.setenv("FORKS", str(forks.log / LINE))
    monkeypatch.setattr(sys, "executable", str(python))
    asked = ("explain", study, *NET, *ONE)
    code, shown, error = run("submit", "slurm", "--parts", 2, "--time", "1:00:00", *asked)
    assert (code, error) == (0, "")
    assert "Submitted: 2 parts as job 100, joined by job 101." in shown
    script, *_ = cluster.jobs()["100"][1:]
    assert cluster.jobs()["101"][1:3] == ["--dependency=afterok:100", "--kill-on-invalid-dep=yes"]
    assert Path(script) == only_run(study) / "parts.sh"
    code, shown, _ = run("status", study)
    assert "2 parts waiting" in re.sub(r"\s+", " ", shown)
    monkeypatch.setenv("SLEEPY", "0.2")
    codes = cluster.run("100", most_kills=1)
    monkeypatch.delenv("SLEEPY")
    logs = "".join(path.read_text() for path in only_run(study).glob("part-*.log"))
    assert codes == [0] * 3, logs
    assert cluster.kills == 1
    assert len(cluster.ran) > 2
    code, shown, _ = run("status", study)
    assert "2 parts done 44 of 44" in re.sub(r"\s+", " ", shown)
    assert cluster.run("101", most_kills=1) == [0], (only_run(study) / "join.log").read_text()
    found, wanted = results(study), results(explained)
    assert {*found} == {*wanted}
    # Jobs draw at full resolution, the tests do not.
    assert all(found[name] == wanted[name] for name in wanted if not name.endswith(".png"))
    code, shown, _ = run("status", study)
    assert "all joined" in re.sub(r"\s+", " ", shown)
    assert not list(HERE.glob("hacked*"))


def recorded(script: str, tmp_path: Path, **environment: str) -> tuple[int, list[list[str]], str]:
    """Run a script whose program writes down its words, and ends as ``CODE`` says."""
    stub = tmp_path / "voxplain"
    stub.write_text(
        '#!/bin/bash\nprintf "%s\\0" "$@" END >> "$RECORD"\n'
        'env | grep -E "^(TMPDIR|OMP_)" > "$RECORD.env"\n[ -d "$TMPDIR" ] || exit 3\n'
        "exit $CODE\n"
    )
    stub.chmod(0o755)
    record = tmp_path / "record"
    place = tmp_path / "job.sh"
    place.write_text(script)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    own = {"RECORD": str(record), "CODE": "0", "TMPDIR": str(tmp_path), "PATH": path}
    slurm = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_JOB_ID": "7", "SLURM_JOB_ID": "9"}
    done = subprocess.run(
        ["bash", str(place)], env=os.environ | own | slurm | environment, check=False
    )
    words = record.read_bytes().decode().split("\0")[:-1] if record.exists() else []
    calls: list[list[str]] = [[]]
    for word in words:
        if word == "END":
            calls.append([])
        else:
            calls[-1].append(word)
    told = Path(f"{record}.env")
    return done.returncode, calls[:-1], told.read_text() if told.exists() else ""


NASTY = ["explain", "a b'c\"d;rm -rf $HOME `id` $(id)\n#x", "--unit", "*", "--seed", "-1"]


def test_words_reach_the_command_as_they_were_typed(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch $(id) '"
    own = jobs.Resources(("voxplain",), str(tmp_path), scratch=str(scratch), cpus=3)
    script = jobs.array_script(own, "explain-0", "/s", NASTY, 5)
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    code, calls, told = recorded(script, tmp_path, SLURM_CPUS_PER_TASK="3")
    assert code == 0
    assert calls == [[*NASTY, "--manifest", "explain-0", "--shard", "2/5"]]
    assert f"TMPDIR={scratch}/voxplain-9" in told
    assert "OMP_NUM_THREADS=3" in told
    assert list(scratch.iterdir()) == []
    (tmp_path / "record").unlink()
    code, calls, _ = recorded(jobs.join_script(own, "explain-0", "/s", NASTY), tmp_path)
    assert (code, calls) == (0, [NASTY])


def test_a_container_sees_the_study_and_the_working_folder(tmp_path: Path) -> None:
    own = jobs.Resources(
        ("python",), "/home/my self", container="/img/vox plain.sif", bind=("/data",), gpus="1"
    )
    assert own.words("/st udy") == [
        *("apptainer", "exec", "--nv", "--bind", "/home/my self", "--bind", "/st udy"),
        *("--bind", "/data", "--pwd", "/home/my self", "/img/vox plain.sif", "voxplain"),
    ]
    with pytest.raises(Exception, match="cannot bind a path with a comma or colon"):
        own.words("/a,b")


@pytest.mark.parametrize(
    ("code", "restarts", "requeues", "ends"),
    [(0, 0, 0, 0), (75, 0, 1, 0), (75, 20, 0, 75), (2, 0, 0, 2), (137, 0, 0, 137)],
)
def test_a_part_goes_back_into_the_queue_when_it_was_asked_to_end(
    tmp_path: Path, cluster: Slurm, code: int, restarts: int, requeues: int, ends: int
) -> None:
    own = jobs.Resources(("voxplain",), str(tmp_path))
    script = jobs.array_script(own, "explain-0", "/s", ["explain"], 5)
    found, calls, _ = recorded(script, tmp_path, CODE=str(code), SLURM_RESTART_COUNT=str(restarts))
    assert (found, len(calls)) == (ends, 1)
    asked = cluster.state / "requeued"
    assert (asked.read_text().split() if asked.exists() else []) == ["7_2"] * requeues


def test_what_the_jobs_ask_for(tmp_path: Path) -> None:
    own = jobs.Resources(
        ("voxplain",), "/h", "4:00:00", "16G", "gpu:1", None, "long", "me", "low", "a100|h100",
        cpus=4, at_once=20, warn=120, before=("module load apptainer",),
    )  # fmt: skip
    script = jobs.array_script(own, "explain-0", "/s 50%", ["explain"], 400)
    head = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert set(head) == {
        "#SBATCH --job-name=explain-0", '#SBATCH --output="/s 50%%/runs/explain-0/part-%a.log"',
        "#SBATCH --open-mode=append", "#SBATCH --time=4:00:00", "#SBATCH --mem=16G",
        "#SBATCH --gres=gpu:1", "#SBATCH --partition=long", "#SBATCH --account=me",
        "#SBATCH --qos=low", "#SBATCH --constraint=a100|h100", "#SBATCH --cpus-per-task=4",
        "#SBATCH --array=1-400%20", "#SBATCH --requeue", "#SBATCH --signal=B:USR1@120",
    }  # fmt: skip
    assert script.index("module load apptainer") < script.index("cd -- /h")
    join = jobs.join_script(own, "explain-0", "/s", ["explain"])
    assert "--gres" not in join
    assert "--array" not in join
    bare = jobs.array_script(RESOURCES, "explain-0", "/s", ["explain"], 4)
    assert not re.search("--(mem|time|gres|gpus|partition|account)", bare)


@pytest.mark.parametrize("value", ["a b", "x\n#SBATCH --uid=0", "$(id)", "'", ""])
def test_no_option_can_write_a_line_of_its_own(value: str) -> None:
    with pytest.raises(jobs.InputError, match="no blanks or quotes"):
        jobs.Resources(("voxplain",), "/h", partition=value)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_folders_that_no_job_script_can_name(name: str) -> None:
    with pytest.raises(jobs.InputError, match="cannot name a log in a folder with quotes"):
        jobs.array_script(RESOURCES, "explain-0", f"/{name}", ["explain"], 4)


def test_a_dry_run_writes_and_submits_nothing(run: Run, study: Path, cluster: Slurm) -> None:
    code, shown, _ = run("submit", "slurm", "--dry-run", "explain", study, *NET, *ONE)
    assert code == 0
    assert "Nothing was submitted (--dry-run). To submit:" in shown
    assert cluster.jobs() == {}
    assert (only_run(study) / "parts.sh").read_text().startswith("#!/bin/bash\n#SBATCH")
    assert not (study / "maps").exists()


def test_what_slurm_refuses_is_told(run: Run, study: Path, cluster: Slurm) -> None:
    (cluster.state / "refuse").touch()
    code, _, error = run("submit", "slurm", "explain", study, *NET, *ONE)
    assert code == 2
    assert "parts.sh: sbatch: error: Invalid account or partition." in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fly", "x"), "voxplain submit takes cohort or explain or fit or group or trust"),
        (("explain", "x", "--shard", "1/2"), "without --shard and --manifest"),
        (("--parts", "1001", "explain", "x"), "--parts must be from 1 to 1000"),
        (("--cpus", "0", "explain", "x"), "--cpus must be 1 or more; 0 was given"),
        (("--mem", "1 G", "explain", "x"), "--mem goes into a line of a job script"),
        (("explain", "/nowhere", *NET), "There is no cohort in /nowhere"),
    ],
)
def test_mistakes(run: Run, words: tuple[str, ...], message: str) -> None:
    code, _, error = run("submit", "slurm", *words)
    assert code == 2
    assert message in error


def test_waiting_outlasts_a_squeue_that_times_out(
    cluster: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxplain.cli import submit

    pauses: list[float] = []
    monkeypatch.setattr(submit, "sleep", pauses.append)
    submit._wait(["100", "101"])
    assert pauses == [30, 45]


def test_status_says_what_became_of_each_part(run: Run, study: Path, cluster: Slurm) -> None:
    assert run("submit", "slurm", "--parts", 9, "explain", study, *NET, *ONE)[0] == 0
    place = only_run(study)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, now = socket.gethostname(), time.time()
    told = [
        ("done", here, 1, now, ""),
        ("done", here, 1, now, ""),
        ("failed", here, 1, now, "the disk is full"),
        ("running", here, os.getpid(), now, ""),
        ("running", here, gone.pid, now, ""),
        ("running", "node7", 1, now - 10, ""),
        ("running", "node8", 1, now - 7200, ""),
        ("stopped", "node9", 1, now, "ended by SIGUSR1"),
    ]
    for number, (state, host, pid, when, why) in enumerate(told, start=1):
        record = {
            **{"state": state, "host": host, "pid": pid, "told": when, "why": why, "job": ""},
            **{"done": 3, "total": 5, "began": now},
        }
        (place / f"part-{number:04d}-of-0009.json").write_text(json.dumps(record))
    (cluster.state / "sacct").write_text("100_9|OUT_OF_MEMORY\n100_6|RUNNING\n100|x\n")
    code, shown, _ = run("status", study)
    assert code == 0
    rows = re.sub(r"\s+", " ", shown)
    assert "2 parts done 6 of 10" in rows
    for part, state, why in [
        *(("3/9", "failed", "full"), ("4/9", "running", ""), ("5/9", "lost", "its process")),
        *(("6/9", "running", ""), ("7/9", "lost", "no word"), ("8/9", "stopped", "SIGUSR1")),
        ("9/9", "failed", "memory"),
    ]:
        assert f"{part} {state}" in rows
        assert why in rows
    code, shown, _ = run("status", study, "--all")
    assert "1/9 done 3 of 5" in re.sub(r"\s+", " ", shown)


def test_status_of_a_study_without_runs(run: Run, tmp_path: Path) -> None:
    code, _, error = run("status", tmp_path)
    assert code == 2
    assert f"{tmp_path} has no run in parts" in error
