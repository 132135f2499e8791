"""How to repeat a study: the commands that its report writes do what was done."""

from __future__ import annotations

import json
import shlex
import types
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voxplain.errors import InputError
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.run import GroupFound
from voxplain.report.pages.study.repeat import commands, repeat
from voxplain.report.pages.study.shown import Shown
from voxplain.results.fit import FitResult
from voxplain.results.study import GroupTest, StudyFound

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GroupOptions]:
    """What ``voxplain group`` is asked for by a command line."""
    seen: list[GroupOptions] = []

    def take(options: GroupOptions, *_: Any) -> GroupFound:
        seen.append(options)
        return GroupFound({}, {}, {})

    monkeypatch.setattr("voxplain.pipeline.group.run.group_study", take)

    def ask(*arguments: object) -> GroupOptions:
        code, _, error = run(*arguments)
        assert (code, error) == (0, "")
        return seen[-1]

    return ask


def test_commands_name_files_without_their_folders() -> None:
    options = {"table": "/data/ann/s/design.tsv", "outcome": "age"}
    fit = types.SimpleNamespace(options=options | {"networks": ("/home/ann/net.py:Net",)})
    found = StudyFound("s", "s", fit=cast("FitResult", fit), beside="/data/ann")
    assert commands(found)[0] == (
        "voxplain fit s --network net.py:Net --outcome age --table s/design.tsv"
    )


def repeated(*tests: GroupOptions, beside: str = "") -> list[list[str]]:
    made = [
        GroupTest(f"group/{i}-{method}", method, "case", {"options": one.told()}, {})
        for i, one in enumerate(tests)
        for method in ("Gradient", "SmoothGrad")
    ]
    found = StudyFound("s", "a study", tests=tuple(made), beside=beside)
    lines = [shlex.split(one) for one in commands(found)]
    assert lines.pop() == ["voxplain", "report", "a study"]
    assert all(line[:3] == ["voxplain", "group", "a study"] for line in lines)
    return lines


EVERYTHING = (
    "--model age+class --contrast 'case > control' --blocks 'site, family:whole' --method gradient "
    "--method smoothgrad --target case --network mrinet --only site=A --statistic size "
    "--statistic tfce --permutations 99 --fast --fwhm 7.5 --cluster-p 0.01 --atlas AAL3 "
    "--atlas HCPEx --move-atlas --latex --table design.tsv "
    "--null untrained --null-networks 25 --transform {subject}.h5 --fold-means --conjunction "
    "--seed 5 --device cpu"
)


@pytest.mark.parametrize(
    "line", ["", EVERYTHING, "--only class=case", "--fast", "--null labels", "--atlas none"]
)
def test_a_test_is_asked_for_again_with_every_option(
    asked: Callable[..., GroupOptions], line: str
) -> None:
    before = asked("group", "a study", *shlex.split(line))
    (again,) = repeated(before)
    assert asked(*again[1:]) == before


def test_what_is_as_by_default_is_not_written_and_calls_stand_once(
    asked: Callable[..., GroupOptions],
) -> None:
    plain, fast = asked("group", "a study"), asked("group", "a study", "--fast")
    assert repeated(plain, fast) == [
        ["voxplain", "group", "a study"],
        ["voxplain", "group", "a study", "--fast"],
    ]


def test_other_studies_are_named_again(asked: Callable[..., GroupOptions], tmp_path: Path) -> None:
    studies = [part for i in range(19) for part in ("--null-study", str(tmp_path / str(i)))]
    before = asked("group", "a study", "--null", "labels", *studies)
    (again,) = repeated(before, beside=str(tmp_path))
    assert asked(*again[1:]) == replace(before, null_studies=tuple(Path(str(i)) for i in range(19)))


def test_maps_are_asked_for_again_with_their_options() -> None:
    run = {
        "network": "mrinet",
        "target": "own",
        "seed": 3,
        "group": {"gradient": [], "region-shapley": []},
        "options": {
            "layer": "auto",
            "option": ["region-shapley:regions=AAL"],
            "sample": 20,
            "atlas": ["AAL", "a b.nii,names.txt"],
            "move_atlas": True,
            "precision": "auto",
        },
    }
    line, _ = commands(StudyFound("s", "s", explain={"runs": [run]}))
    assert line == (
        "voxplain explain s --network mrinet --target own --method gradient --method "
        "region-shapley --option region-shapley:regions=AAL --sample 20 --atlas AAL --atlas "
        "'a b.nii,names.txt' --move-atlas --seed 3"
    )


PLACES = {
    "fit": "voxplain.pipeline.fit.parts.fit_study",
    "reclassify": "voxplain.pipeline.reclassify.run.reclassify",
    "trust": "voxplain.pipeline.trust.run.run_trust",
}
FIT = (
    "--network mrinet --network sfcn --outcome age --cv 3 --repeats 2 --group site --table "
    "'a table.tsv' --confound age --confound site --no-final --no-baselines --seed 4 "
)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("fit", ""),
        ("fit", f"{FIT} --epochs 1 --batch-size 2 --learning-rate 0.01 --parts 2 --patience 3"),
        ("fit", "--precision exact --class-weights --augment noise"),
        ("fit", "--schedule kan2020 --augment flip,affine --out other"),
        ("fit", "--schedule kan2020"),
        ("fit", "--augment none"),
        ("reclassify", ""),
        (
            "reclassify",
            "--network sfcn --method grad-cam --share 0.25 --soft --fwhm 6 --explained 5 "
            "--no-retrain --paper --cv 4 --group none --epochs 1 --seed 8 --out other",
        ),
        ("trust", "--budget 1h --method gradient --method lrp --network sfcn --power 50,100"),
    ],
)
def test_other_commands_are_asked_for_again_with_every_option(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, line: str
) -> None:
    seen: list[Any] = []

    def take(options: Any, *_: Any) -> None:
        seen.append(options)
        raise InputError("enough")

    monkeypatch.setattr(PLACES[command], take)
    assert run(command, "a study", *shlex.split(line))[0] == 2
    before = seen.pop()
    told = json.loads(json.dumps(asdict(before), default=str))
    given = {"network": before.network, "method": before.method} if command == "reclassify" else {}
    part = SimpleNamespace(options=told, budget=getattr(before, "budget", ""), **given)
    written = "other" if "--out other" in line else "a study"
    again, _ = commands(StudyFound("s", written, **{command: part}))
    assert run(*shlex.split(again)[1:])[0] == 2
    assert seen.pop() == before


def test_feature_maps_are_asked_for_again() -> None:
    told = {"network": "mrinet", "layer": "features.relu1", "fold": 2}
    line, _ = commands(StudyFound("s", "a study", features=told))
    assert line == ("voxplain features 'a study' --network mrinet --layer features.relu1 --fold 2")


def test_tests_whose_options_were_not_kept_are_not_repeated() -> None:
    old = GroupTest("group/one", "Gradient", "case", {}, {})
    found = StudyFound("s", "s", tests=(old,))
    assert commands(found) == ["voxplain report s"]
    said, *_ = repeat(found, Shown())
    assert "Tests by an earlier version, which kept no options, are left out." in str(said)
    said, *_ = repeat(StudyFound("s", "s"), Shown())
    assert "earlier version" not in str(said)
