"""``voxplain plan``: what a run takes, from what its pieces take."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scale_tools import NET

from voxplain.pipeline.shards.plan import MethodPlan, Plan

Run = Callable[..., tuple[int, str, str]]
GRADIENT = MethodPlan("gradient", "Gradient", "1", fold_seconds=3, map_seconds=0.5)
PLAN = Plan(
    (GRADIENT,), (20, 12), 8, start_seconds=5, open_seconds=7, mean_seconds=2, read_seconds=0.1,
    means=2, map_bytes=1000, memory_bytes=1, device_bytes=0, device="cpu",
)  # fmt: skip


def test_the_time_of_one_machine_is_that_of_its_pieces() -> None:
    assert PLAN.maps == 32
    assert PLAN.disk_bytes == 32_000
    assert PLAN.seconds() == 5 + 7 + 2 * 3 + 32 * 0.5 + 2 * 2
    two = replace(PLAN, methods=(GRADIENT, replace(GRADIENT, map_seconds=2)))
    assert two.seconds() == 5 + 7 + 4 * 3 + 32 * 2.5 + 4 * 2


def test_the_time_of_several_is_that_of_the_longest_part_and_of_joining() -> None:
    # Batches: 8, 8, 4 of the first fold, 8, 4 of the second.
    joining = 5 + 7 + 32 * 0.1 + 4
    assert PLAN.parts == 5
    assert PLAN.seconds(5) == 12 + 3 + 8 * 0.5 + joining
    assert PLAN.seconds(50) == PLAN.seconds(5)
    # Of two parts the second has a batch of 4 of one fold, and 12 scans of the other.
    assert PLAN.seconds(2) == 12 + 2 * 3 + 16 * 0.5 + joining
    whole = replace(PLAN, methods=(replace(GRADIENT, whole_folds=True),))
    assert whole.seconds(5) == 12 + 3 + 20 * 0.5 + joining


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


def test_mistakes(run: Run, tmp_path: Path) -> None:
    code, _, error = run("plan", tmp_path, *NET, "--machines", 0)
    assert (code, error) == (2, "voxplain: --machines must be 1 or more.\n")
    code, _, error = run("plan", tmp_path, *NET)
    assert code == 2
    assert "There is no cohort in" in error


@pytest.mark.parametrize("sample", [3])
def test_a_sample_is_planned_as_it_is_explained(
    run: Run, fitted: Path, tmp_path: Path, sample: int
) -> None:
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    code, shown, _ = run("plan", study, *NET, "--method", "gradient", "--sample", sample)
    assert code == 0
    assert f"{sample} maps take" in re.sub(r"\s+", " ", shown)
