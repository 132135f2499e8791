"""The same study with a file for each map and with stores: nothing that is found differs."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scale_tools import GRID, NET, results

from voxplain.images.writing import nifti_bytes
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.group.sample.maps import catalogue
from voxplain.pipeline.group.setting import _digits
from voxplain.pipeline.trust.opening import TrustOptions, open_case
from voxplain.progress import Silent
from voxplain.study import Study

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
MANY = ("--method", "gradient", "--method", "input-x-gradient", "--target", "case")
STORE = ("--maps", "store")
BLOCK = 16


@pytest.fixture(autouse=True)
def small_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxplain.study.batches.SCANS_OF_A_STORE", BLOCK)


@pytest.fixture
def study(tmp_path: Path, fitted: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "study"))


@pytest.fixture
def atlas(tmp_path: Path) -> str:
    labels = np.zeros(GRID.shape, np.float32)
    labels[4:12, 4:20, 4:20], labels[12:20, 4:20, 4:20] = 1, 2
    (tmp_path / "atlas.nii.gz").write_bytes(nifti_bytes(labels, GRID))
    (tmp_path / "names.txt").write_text("1 one\n2 two\n")
    return f"{tmp_path / 'atlas.nii.gz'},{tmp_path / 'names.txt'}"


def stores_of(study: Path) -> list[str]:
    return sorted(path.name for path in (study / "maps/stores").iterdir())


def opened(folder: Path) -> Study:
    return Study(folder, "voxplain study", "0")


def test_both_layouts_give_the_same(
    run: Run, study: Path, tmp_path: Path, atlas: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path(shutil.copytree(study, tmp_path / "plain"))
    assert run("explain", plain, *NET, *MANY, "--atlas", atlas)[0] == 0
    for number in (2, 1):
        assert run("explain", study, *NET, *MANY, *STORE, "--shard", f"{number}/2")[0] == 0
    # Two folds of 22 scans: a block of two batches and one of one, by two methods.
    assert len(stores_of(study)) == 8
    assert not [name for name in stores_of(study) if "batch" in name]
    code, shown, error = run("explain", study, *NET, *MANY, *STORE, "--atlas", atlas)
    assert (code, error) == (0, "")
    assert shown.count("22 of 22 maps are there already") == 4
    assert not list((study / "maps").glob("sub-*"))
    tables = sorted(path.name for path in (plain / "group").glob("*_regions.*"))
    assert tables
    for name in tables:
        assert (study / "group" / name).read_bytes() == (plain / "group" / name).read_bytes()

    both = opened(study), opened(plain)
    subjects = [f"{i:02d}" for i in range(44)]
    found = [catalogue(one, subjects, None).of("input-x-gradient", None, GRID) for one in both]
    arrays = [one.array(np.ones(GRID.shape, bool), 4.0, Silent()) for one in found]
    np.testing.assert_array_equal(*arrays)
    # What is too large for memory lies on the disk of the study.
    monkeypatch.setattr("voxplain.pipeline.group.sample.maps._IN_MEMORY", 0)
    spilled = found[0].array(np.ones(GRID.shape, bool), 4.0, Silent())
    assert not spilled.flags.owndata
    np.testing.assert_array_equal(spilled, arrays[0])
    cases = [open_case(TrustOptions(one.folder)) for one in both]
    for method in ("gradient", "input-x-gradient"):
        mine, theirs = (case.methods[method] for case in cases)
        assert len(mine.maps) == 44
        for a, b in zip(mine.maps, theirs.maps, strict=True):
            assert {**a.sidecar, "Seconds": 0} == {**b.sidecar, "Seconds": 0}
            assert (a.row, a.fold) == (b.row, b.fold)
        assert cases[0].maps_sha256(method) == cases[1].maps_sha256(method)

    code, shown, _ = run("export", study, "--subject", "sub-03", "--method", "gradient")
    assert (code, "\n1 map written:" in shown) == (0, True)
    assert len(list(study.glob("maps/sub-*/*"))) == 2
    assert "\n87 maps written, 1 were there already:" in run("export", study)[1]
    stored = {name: content for name, content in results(study).items() if "stores" not in name}
    assert stored == results(plain)
    # What is made anew takes the place of stores and of files.
    old = stores_of(study)
    shown = run("explain", study, *NET, *MANY, *STORE, "--seed", "1")[1]
    assert shown.count("was there, made otherwise (seed), and was made anew") == 4
    assert not list(study.glob("maps/sub-*/*"))
    assert len(stores_of(study)) == 8
    assert not {*old} & {*stores_of(study)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--subject", "99"), "has no maps of '99'"),
        (("--method", "gradient", "--subject", "03", "--subject", "x"), "has no map of x; give"),
        (("--method", "gradients"), "Did you mean 'gradient'?"),
        (("--network", "other"), "Unknown network of maps in"),
        (("--grid", "mine"), "--grid must be network or input; 'mine' was given"),
        (("--grid", "input", "--out", "y"), "omit --out"),
        (("--grid", "input"), "were made (test), not read from files"),
        (("--out", "/dev/null"), "a part of the path is a file"),
    ],
)
def test_what_cannot_be_exported(
    run: Run, exported: Path, options: tuple[str, ...], sentence: str
) -> None:
    code, _, error = run("export", exported, *options)
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, fitted: Path, forks: object) -> Path:
    study = Path(shutil.copytree(fitted, tmp_path_factory.mktemp("stored") / "study"))
    asked = ("explain", study, *NET, "--method", "gradient", *STORE)
    assert forks.run(*asked) == 0  # type: ignore[attr-defined]
    return study


def test_studies_that_have_no_maps(run: Run, fitted: Path, tmp_path: Path) -> None:
    assert "has no maps; make them with 'voxplain explain" in run("export", fitted)[2]
    assert "is no study; give one that" in run("export", tmp_path)[2]


def test_stores_are_for_large_studies_unless_asked_for(run: Run, tmp_path: Path) -> None:
    asked = ScanOptions("mrinet", (), (), tmp_path)
    assert [asked.stored(count) for count in (2, 199, 200, 10_000)] == [False, False, True, True]
    assert replace(asked, maps="store").stored(2)
    assert not replace(asked, maps="nifti").stored(10_000)
    code, _, error = run("explain", tmp_path, *NET, "--maps", "zip")
    assert (code, "--maps must be nifti or store; 'zip' was given" in error) == (2, True)
    single = ("--image", "x", "--out", "y", "--weights", "w", *STORE)
    assert "--maps is for a study" in run("explain", *NET, *single)[2]


def test_a_disk_that_fails_costs_a_batch_at_most(
    run: Run, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path(shutil.copytree(study, tmp_path / "plain"))
    asked = ("explain", *NET, "--method", "gradient", *STORE)
    assert run(*asked, plain)[0] == 0
    assert run(*asked, study, "--shard", "0/1")[0] == 0
    fsync, left, before = os.fsync, [0], 0
    # A batch is two calls, file and folder, and so is the block that it completes.
    for turn, number in enumerate((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.ESTALE)):
        left[0] = 6 + turn

        def failing(handle: int, number: int = number) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(number, os.strerror(number))
            fsync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", failing)
            code, _, error = run(*asked, study, "--shard", "1/1")
        assert (code, error.count("\n")) == (2, 1)
        assert not list(study.rglob("*.partial"))
        made = len(opened(study).list_sidecars())
        assert made >= before
        before = made
    assert 8 <= made < 44
    assert run(*asked, study)[:1] == (0,)
    assert stores_of(study) == stores_of(plain)
    for one in (study, plain):
        assert run("export", one)[0] == 0
        shutil.rmtree(one / "maps/stores")
    assert results(study) == results(plain)


def test_arrangements_of_many_scans_are_written_out() -> None:
    # There are as many of them as orders of all scans.
    assert _digits(10**5000 + 7) == "1" + "0" * 4999 + "7"
    assert _digits(70) == "70"
