"""``voxplain plan``: what a run takes, from what its pieces take."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scale_tools import NET

from voxplain.attribution import Engine
from voxplain.errors import InputError
from voxplain.grid import KAN2020_GRID
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study import gpus, plan
from voxplain.pipeline.shards.plan import MethodPlan, Plan

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
GRADIENT = MethodPlan("gradient", "Gradient", "1", fold_seconds=3, map_seconds=0.5)
PLAN = Plan(
    (GRADIENT,), (20, 12), 8, start_seconds=5, open_seconds=7, again_seconds=3, end_seconds=1,
    mean_seconds=2, read_seconds=0.1, means=2, map_bytes=1000, files=64, memory_bytes=1,
    device_bytes=0, device="cpu",
)  # fmt: skip


def test_the_time_of_one_machine_is_that_of_its_pieces() -> None:
    assert PLAN.maps == 32
    assert PLAN.disk_bytes == 32_000
    assert PLAN.seconds() == 5 + 7 + 2 * 3 + 32 * 0.5 + 1 + 2 * 2
    two = replace(PLAN, methods=(GRADIENT, replace(GRADIENT, map_seconds=2)))
    assert two.seconds() == 5 + 7 + 4 * 3 + 32 * 2.5 + 1 + 4 * 2


def test_the_time_of_several_is_that_of_the_longest_part_and_of_joining() -> None:
    # Batches: 8, 8, 4 of the first fold, 8, 4 of the second.
    fixing, joining = 5 + 7, 5 + 3 + 32 * 0.1 + 1 + 4
    begin = fixing + 5 + 3
    assert PLAN.parts == 5
    assert PLAN.seconds(5) == begin + 3 + 8 * 0.5 + joining
    assert PLAN.seconds(50) == PLAN.seconds(5)
    # Of two parts the second has a batch of 4 of one fold, and 12 scans of the other.
    assert PLAN.seconds(2) == begin + 2 * 3 + 16 * 0.5 + joining
    whole = replace(PLAN, methods=(replace(GRADIENT, whole_folds=True),))
    assert whole.seconds(5) == begin + 3 + 20 * 0.5 + joining


def test_a_plan_is_told_and_nothing_is_left(run: Run, fitted: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    asked = ("--method", "gradient", "--method", "smoothgrad", "--target", "own")
    code, shown, error = run("plan", study, *NET, *asked, "--machines", 3, "--machines", 20)
    assert (code, error) == (0, "")
    rows = re.sub(r"\s+", " ", shown)
    assert "Gradient 1 forward and 1 backward 44 " in rows
    assert re.search(r"On cpu, 1 machine: [^;]+; 3 machines: [^;]+; 20 machines: ", rows)
    assert "(more than 6 have nothing to do)" in rows
    assert "88 maps take" in rows
    assert "in 176 files" in rows
    assert not (study / "runs").exists()
    after = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    assert after == before


def test_a_gpu_that_is_not_here_is_told_by_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = json.loads((ROOT / "benchmarks/results-cuda.json").read_text())["rows"]
    (told,) = (
        row["ms_per_image"]
        for row in rows
        if (row["method"], row["tool"], row["batch"]) == ("gradient", "voxplain", 8)
    )
    assert gpus.GPUS["h100"] == pytest.approx(told / 1000)
    # On noise of a small grid, which takes no time.
    monkeypatch.setattr(gpus, "KAN2020_GRID", KAN2020_GRID.recut(7.0))
    clock = itertools.count(0, 4.0)
    monkeypatch.setattr(gpus.time, "perf_counter", lambda: next(clock))
    assert gpus.gpu_ratio("h100", Engine("cpu")) == pytest.approx(8 * told / 1000 / 4)
    with pytest.raises(InputError, match="Unknown GPU 'h200'; there are: h100"):
        gpus.gpu_ratio("h200", Engine("cpu"))


def test_mistakes(run: Run, tmp_path: Path) -> None:
    code, _, error = run("plan", tmp_path, *NET, "--machines", 0)
    assert (code, error) == (2, "voxplain: --machines must be 1 or more.\n")
    code, _, error = run("plan", tmp_path, *NET)
    assert code == 2
    assert "There is no cohort in" in error


@pytest.mark.parametrize("sample", [3])
def test_a_sample_is_planned_as_it_is_explained(
    run: Run, fitted: Path, tmp_path: Path, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxplain.pipeline.explain.study.plan.gpu_ratio", lambda name, engine: 1e-6)
    monkeypatch.setattr("voxplain.pipeline.explain.study.plan._start_seconds", lambda: 4.0)
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    code, shown, _ = run(
        "plan", study, *NET, "--method", "gradient", "--sample", sample, "--gpu", "h100"
    )
    assert code == 0
    assert "On h100, 1 machine: " in shown
    assert "times what the paper's network takes on that GPU" in re.sub(r"\s+", " ", shown)
    assert f"{sample} maps take" in re.sub(r"\s+", " ", shown)


def test_files_are_counted_as_they_will_lie() -> None:
    class Run:
        rows = (range(450), range(200), range(0))
        cohort = range(650)
        batch = 8

    def options(maps: str | None) -> ScanOptions:
        return ScanOptions("n", (), (), Path(), methods=("gradient", "grad-cam"), maps=maps)

    # Stores of 25 batches, 200 scans: three of the first fold, one of the second.
    assert plan._files(options(None), Run()) == 2 * (3 + 1)
    assert plan._files(options("nifti"), Run()) == 2 * 2 * 650
