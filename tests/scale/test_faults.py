"""Disks that fail under a part: a sentence, nothing half, and the same bytes in the end."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scale_tools import NET, results

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota is used up",
    errno.EIO: "the disk does not answer",
    errno.ESTALE: "the shared file system has lost it",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
}


def test_a_disk_that_fails_again_and_again_costs_time_alone(
    run: Run, fitted: Path, explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("explain", *NET, "--method", "gradient")
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    assert run(*asked, study, "--shard", "1/1")[0] == 0
    shutil.rmtree(study / "maps")
    fsync, left = os.fsync, [0]
    for turn, (number, sentence) in enumerate(FAULTS.items()):
        # Each comes a little later than the last; a map is four calls: two files, two folders.
        left[0] = 16 + turn

        def failing(handle: int, number: int = number) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(number, os.strerror(number))
            fsync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", failing)
            code, _, error = run(*asked, study, "--shard", "1/1")
        assert code == 2
        assert sentence in error
        assert error.count("\n") == 1
        assert not list(study.rglob("*.partial"))
    made = len(list((study / "maps").rglob("*_statmap.json")))
    assert 0 < made < 44
    code, shown, error = run(*asked, study)
    assert (code, error) == (0, "")
    assert f"{min(made, 22)} of 22 maps are there already" in shown
    assert results(study) == results(explained)


def test_a_map_that_is_not_to_be_seen_yet_is_made_again_and_equal(
    run: Run, fitted: Path, tmp_path: Path
) -> None:
    study = Path(shutil.copytree(fitted, tmp_path / "study"))
    asked = ("explain", study, *NET, "--method", "gradient")
    assert run(*asked, "--shard", "1/1")[0] == 0
    before = results(study)
    late = sorted((study / "maps").rglob("*_statmap.nii.gz"))
    late[3].write_bytes(b"")
    late[30].write_bytes(late[30].read_bytes()[:100])
    late[40].unlink()
    code, shown, error = run(*asked)
    assert (code, error) == (0, "")
    assert "44 of 44" not in shown
    after = results(study)
    assert {name: after[name] for name in before} == before
