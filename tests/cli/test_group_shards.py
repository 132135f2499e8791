"""``voxplain group --shard i/n``: arrangements shared out, and the test of an unbroken run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_group_command import _maps, _study, _write

from voxplain.group.permutation import UNIT, PreparedTest
from voxplain.pipeline.group import parts
from voxplain.pipeline.group.null.pieces import pieces_of
from voxplain.study import Study
from voxplain.study.locks import at_work

Run = Callable[..., tuple[int, str, str]]
ARRANGEMENTS = 2 * UNIT + 51
ASKED = ("--permutations", ARRANGEMENTS, "--model", "class + age", "--atlas", "none")
ASKED += ("--statistic", "voxel", "--statistic", "size", "--statistic", "mass")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two methods."""
    folder = tmp_path_factory.mktemp("bare") / "study"
    _write(_study(folder), _maps(1), range(24), method="occlusion")
    return folder


@pytest.fixture
def study(tmp_path: Path, bare: Path) -> Path:
    return Path(shutil.copytree(bare, tmp_path / "study"))


def found(study: Path) -> dict[str, bytes]:
    """Maps and tables by name, and what is told of the tests, but for its seconds."""
    files: dict[str, bytes] = {}
    for path in sorted((study / "group").iterdir()):
        files[path.name] = path.read_bytes()
        if path.name.endswith("_test.json"):
            told = json.loads(files[path.name]) | {"seconds": 0}
            files[path.name] = json.dumps(told).encode()
    return files


def pieces(study: Path) -> list[Path]:
    return sorted((study / "runs").glob("group-*/null-*.safetensors"))


def test_arrangements_are_cut_where_digits_stay() -> None:
    assert [len(one) for one in pieces_of(ARRANGEMENTS)] == [UNIT, UNIT, 51]
    assert [one.start for one in pieces_of(2 * UNIT)] == [0, UNIT]
    assert pieces_of(0) == []
    # Products of whole maps take 32 arrangements at once.
    assert UNIT % 32 == 0


def test_parts_give_the_bytes_of_an_unbroken_run(
    run: Run, bare: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(bare, tmp_path / "whole"))
    assert run("group", whole, *ASKED)[0] == 0
    assert not (whole / "runs").exists()
    for number, count in ((4, 2), (1, 3)):
        code, shown, error = run("group", study, *ASKED, "--shard", f"{number}/4")
        assert (code, error) == (0, "")
        assert "the same command without --shard joins all parts" in shown
        assert len(pieces(study)) == count
    assert "3 of 3" in run("status", study)[1]
    # A piece that is cut short is found again.
    pieces(study)[0].write_bytes(pieces(study)[0].read_bytes()[:-9])
    again = run("group", study, *ASKED, "--shard", "2/6")
    assert again[0] == 0
    made: list[range] = []
    find = PreparedTest.null
    monkeypatch.setattr(
        PreparedTest, "null",
        lambda self, progress, of, part=None: made.append(part) or find(self, progress, of, part),
    )  # fmt: skip
    assert run("group", study, *ASKED)[0] == 0
    assert sum(len(one) for one in made) < 2 * ARRANGEMENTS
    assert found(study) == found(whole)
    assert "joined" in run("status", study)[1]
    assert not pieces(study)


def test_what_changed_since_the_run_was_fixed_is_refused(run: Run, study: Path) -> None:
    _, shown, _ = run("group", study, *ASKED, "--shard", "0/2")
    name = next(word for word in shown.split() if word.startswith("group-"))
    assert run("group", study, *ASKED, "--shard", "1/2", "--manifest", name)[0] == 0
    before = pieces(study)
    _write(Study(study, "voxplain study", "0"), _maps(5), range(2), method="occlusion")
    for more in (("--shard", "2/2"), ("--shard", "2/2", "--manifest", name), ()):
        code, _, error = run("group", study, *ASKED, *more)
        assert code == 2
        assert "A map, or what a test is asked, of" in error
        assert "changed after the run group-" in error
    assert pieces(study) == before
    assert not (study / "group").exists()


def test_what_is_in_parts_and_what_is_not(run: Run, study: Path) -> None:
    for more in (("--means-only",), ("--null", "untrained")):
        code, _, error = run("group", study, *ASKED, "--shard", "1/2", *more)
        assert code == 2
        assert "--shard and --workers share out arrangements of the subjects" in error
    with at_work(study / "cohort/store.json", together=True, busy="busy"):
        assert run("group", study, *ASKED, "--shard", "1/6")[0] == 0
        code, _, error = run("group", study, *ASKED)
        assert code == 2
        assert "Another voxplain command is at work" in error
    code, _, error = run("submit", "slurm", "--dry-run", "--parts", 3, "group", study, *ASKED)
    assert (code, error) == (0, "")
    (script,) = study.glob("runs/group-*/parts.sh")
    assert f"--manifest {script.parent.name} --shard" in script.read_text()


def test_a_part_that_is_asked_to_end_keeps_its_pieces(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    write = parts.NullPieces.write

    def last(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGUSR1)

    with monkeypatch.context() as patched:
        patched.setattr(parts.NullPieces, "write", last)
        code, _, error = run("group", study, *ASKED, "--shard", "1/1")
    assert code == 75
    assert "ended by SIGUSR1" in error
    assert len(pieces(study)) == 1
    assert run("group", study, *ASKED, "--shard", "1/1")[0] == 0
    assert len(pieces(study)) == 6
