"""``voxplain cohort ... --shard i/n``: scans prepared wherever there is room, and joined."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from forks import Forks

from voxplain.cohort.find.sources import from_table
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.store.journal import Journal
from voxplain.cohort.store.reader import PLAN, open_store
from voxplain.grid import Grid
from voxplain.pipeline.cohort import parts
from voxplain.pipeline.cohort.parts import cohort_part, whole_cohort
from voxplain.pipeline.cohort.run import CohortOptions
from voxplain.pipeline.shards.parts import Part
from voxplain.progress import Silent
from voxplain.study.locks import at_work

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
AFFINE = np.array([[-6.0, 0, 0, 90], [0, 6, 0, -126], [0, 0, 6, -72], [0, 0, 0, 1]])
SHAPE = (31, 37, 31)
SCANS = 8
GRID = Grid(SHAPE, AFFINE)


def listed(folder: Path) -> Path:
    """Eight ellipsoids with texture, and their table; the women's are smaller."""
    at = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3] - [0, -18, 9]
    rows = ["participant_id\timage\tsex"]
    folder.mkdir()
    for i in range(SCANS):
        size = np.array([62, 80, 62]) * (0.96 + 0.06 * (i % 2) + 0.004 * i)
        inside = np.linalg.norm(at / size, axis=-1) < 1
        texture = np.random.default_rng(i).integers(50, 150, SHAPE)
        nib.save(nib.Nifti1Image((inside * texture).astype(np.int16), AFFINE), folder / f"{i}.nii")
        rows.append(f"0{i}\t{i}.nii\t{'FM'[i % 2]}")
    (folder / "scans.tsv").write_text("\n".join(rows))
    return folder / "scans.tsv"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return listed(tmp_path / "scans")


def asked(table: Path, out: Path) -> tuple[object, ...]:
    return ("cohort", "table", table, "--label", "sex", "--out", out, "--workers", 1)


def kept(study: Path) -> dict[str, bytes]:
    """All that a cohort is, but for the seconds that it took."""
    found = {
        name: (study / name).read_bytes()
        for name in ("cohort/images.npy", "cohort/participants.tsv", "participants.tsv")
    }
    told = json.loads((study / "cohort.json").read_text())
    store = json.loads((study / "cohort/store.json").read_text())
    return found | {"told": json.dumps(told | {"seconds": 0}), "store": json.dumps(store)}


def test_parts_in_any_order_make_the_cohort_of_an_unbroken_run(
    run: Run, table: Path, tmp_path: Path
) -> None:
    whole, study = tmp_path / "whole", tmp_path / "study"
    assert run(*asked(table, whole))[0] == 0
    assert not (whole / "runs").exists()
    for number in (3, 1):
        code, shown, error = run(*asked(table, study), "--shard", f"{number}/4")
        assert (code, error) == (0, "")
        assert "the same command without --shard joins all parts" in shown
    assert len(Journal(study / "cohort").read()) == 4
    assert not (study / "cohort/store.json").exists()
    code, shown, _ = run("status", study)
    assert "2 parts" in shown
    assert "4 of 4" in shown
    code, shown, error = run(*asked(table, study))
    assert (code, error) == (0, "")
    assert "4 scans are kept, they were done before." in shown
    assert "Preparing 4 scans" in shown
    assert kept(study) == kept(whole)
    names = sorted(path.name for path in (study / "cohort").iterdir())
    assert names == ["images.npy", "journal.jsonl", "participants.tsv", "plan.json", "store.json"]
    assert "joined" in run("status", study)[1]
    assert "8 scans are kept" in run(*asked(table, study))[1]


def test_an_edited_table_is_refused_by_parts_and_by_who_joins(
    run: Run, table: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    _, shown, _ = run(*asked(table, study), "--shard", "0/2")
    name = next(word for word in shown.split() if word.startswith("cohort-"))
    assert run(*asked(table, study), "--shard", "1/2", "--manifest", name)[0] == 0
    before = Journal(study / "cohort").read()
    table.write_text(table.read_text().replace("1.nii\tM", "1.nii\tF"))
    for part in (("--shard", "2/2"), ("--shard", "2/2", "--manifest", name), ()):
        code, _, error = run(*asked(table, study), *part)
        assert code == 2
        assert "The list of scans, or the table that comes with it," in error
        assert "changed after the run cohort-" in error
    assert Journal(study / "cohort").read() == before
    table.write_text(table.read_text().replace("7.nii", "6.nii"))
    code, _, error = run(*asked(table, study), "--shard", "2/2")
    assert "holds a cohort made by other scans" in error


@pytest.mark.parametrize(("sent", "code", "state"), [
    (signal.SIGKILL, -signal.SIGKILL, "running"), (signal.SIGUSR1, 75, "stopped"),
])  # fmt: skip
def test_a_part_that_ends_early_loses_one_scan_at_most(
    sent: int, code: int, state: str, run: Run, table: Path, tmp_path: Path, forks: Forks
) -> None:
    study = tmp_path / "study"
    part = (*asked(table, study), "--shard", "1/1")
    pid = forks.start(*part)
    end = time.monotonic() + 60
    # The file is there before its first row is.
    journal = study / "cohort/journal-0001-of-0001.jsonl"
    while not (journal.exists() and journal.stat().st_size):
        assert time.monotonic() < end, forks.told(pid)
        time.sleep(0.001)
    os.kill(pid, sent)
    ended = forks.wait(pid)
    done = len(Journal(study / "cohort").read())
    # A process may be done before it hears.
    assert ended == code or done == SCANS
    assert done >= 1
    (record,) = (study / "runs").rglob("part-*.json")
    told = json.loads(record.read_text())
    assert told["state"] == state or done == SCANS
    assert done - told["done"] <= 1
    _, shown, _ = run(*part)
    assert f"{done} scans are kept" in shown
    assert run(*asked(table, study))[0] == 0
    assert run("cohort", "check", study)[0] == 0
    assert not list(study.rglob("*.partial*"))


def test_a_row_that_is_not_what_a_part_wrote_is_made_again(
    run: Run, table: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    run(*asked(table, study), "--shard", "1/1")
    images = np.load(study / "cohort/images.partial.npy", mmap_mode="r+")
    wanted = images.copy()
    images[2] = 0
    images.flush()
    _, shown, _ = run(*asked(table, study))
    assert "Preparing 1 scan" in shown
    assert np.array_equal(np.load(study / "cohort/images.npy"), wanted)


def test_an_array_of_another_size_is_begun_anew(run: Run, table: Path, tmp_path: Path) -> None:
    whole, study = tmp_path / "whole", tmp_path / "study"
    run(*asked(table, study), "--shard", "1/2")
    array = study / "cohort/images.partial.npy"
    array.write_bytes(array.read_bytes()[:-4])
    _, shown, _ = run(*asked(table, study))
    assert "Preparing 8 scans" in shown
    run(*asked(table, whole))
    assert kept(study) == kept(whole)


def test_parts_work_together_and_who_joins_works_alone(
    run: Run, table: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    run(*asked(table, study), "--shard", "0/2")
    with at_work(study / "cohort" / PLAN, together=True, busy="busy"):
        assert run(*asked(table, study), "--shard", "1/2")[0] == 0
        code, _, error = run(*asked(table, study))
        assert code == 2
        assert "Another voxplain command is at work" in error
    with at_work(study / "cohort" / PLAN, together=False, busy="busy"):
        code, _, error = run(*asked(table, study), "--shard", "2/2")
        assert "Another voxplain command is at work" in error
    assert run(*asked(table, study))[0] == 0
    assert len(open_store(study / "cohort")) == SCANS


def test_a_cohort_is_submitted_as_any_long_command(run: Run, table: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    words = ("slurm", "--dry-run", "--parts", 4)
    code, _, error = run("submit", *words, *asked(table, study))
    assert (code, error) == (0, "")
    (script,) = study.glob("runs/cohort-*/parts.sh")
    text = script.read_text()
    assert "#SBATCH --array=1-4" in text
    assert f"cohort table {table} --label sex" in text
    assert f"--manifest {script.parent.name} --shard" in text
    assert "4 parts" in run("status", study)[1]
    for wrong in ("--shard", "--manifest"):
        code, _, error = run("submit", *words, *asked(table, study), wrong, "1/2")
        assert code == 2
        assert "takes cohort or explain or fit or group or trust" in error


def test_half_files_of_killed_parts_go_when_the_cohort_is_made(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only those of the store: a part also tells how far it is."""
    told = from_table(table, "sex"), CohortOptions(tmp_path / "study", Recipe("small", GRID), 1)
    name = cohort_part(*told, Part(0, 1), Silent())
    runs = tmp_path / "study/runs" / name
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
    # Process 1 is there, and the one of the largest number is not.
    for pid in (1, 2**31 - 1):
        (runs / f".{host}.{pid}.abc.partial").write_bytes(b"{")
    monkeypatch.setattr(parts, "make_cohort", lambda *_: {"scans": SCANS})
    assert whole_cohort(*told, Silent()) == {"scans": SCANS}
    assert [path.name for path in runs.rglob("*.partial")] == [f".{host}.1.abc.partial"]
