"""What commands say where there is nothing, or more than usual, to be said."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from voxplain.cohort.find.listing import Listing
from voxplain.errors import StudyError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.maps import AttributionMap
from voxplain.pipeline.demo.judge import group_maps
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import OutputRecord
from voxplain.pipeline.explain.scans import networks
from voxplain.pipeline.explain.study import run as explaining
from voxplain.pipeline.explain.study import tables
from voxplain.pipeline.report.options import ReportOptions
from voxplain.pipeline.report.run import Reported, _read, write_report
from voxplain.progress import Silent
from voxplain.provenance import Provenance
from voxplain.report.pages.demo_findings import _method_words
from voxplain.results.trust import Measurement, TrustResult
from voxplain.study import Study
from voxplain.volume import Cohort

Run = Callable[..., tuple[int, str, str]]
GRID = Grid((4, 5, 6), np.diag([8.0, 8, 8, 1]))


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_oasis_is_read_as_it_was_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def read(*told: Any) -> Listing:
        warnings.warn("Some were fetched before.", VoxplainWarning, stacklevel=1)
        seen.append(told)
        return Listing(pd.DataFrame(), (), ("f", "m"), "")

    monkeypatch.setattr("voxplain.cohort.find.sources.from_oasis", read)
    monkeypatch.setattr("voxplain.cli.cohort._make", lambda listing, **told: seen.append(listing))
    code, shown, error = run("cohort", "oasis", "folder", "--subjects", 7, "--out", "out")
    assert (code, error) == (0, "")
    assert "Some were fetched before." in shown
    assert seen[0] == (Path("folder"), "mf", None, 7)
    assert seen[1].class_names == ("f", "m")


def test_enough_folds_need_no_remark(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    score = SimpleNamespace(mean=0.912, ci=(0.8, 1.0))
    judged = SimpleNamespace(scores={"accuracy": score, "roc_auc": SimpleNamespace(mean=0.95)})
    for folds, remarked in ((10, False), (2, True)):
        made = SimpleNamespace(conditions={"whole images": judged}, folds=folds)
        monkeypatch.setattr("voxplain.pipeline.reclassify.run.reclassify", lambda *_, m=made: m)
        code, shown, _ = run("reclassify", "study", "--no-retrain", "--paper")
        assert code == 0
        assert "0.912" in shown
        assert ("folds" in shown.replace("held-out", "")) == remarked
        assert "The masks know the held-out scans" in shown


def test_a_report_that_lacks_nothing_names_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Study(tmp_path, "voxplain study", "0")
    for missing in ((), ("Regions",)):
        done = Reported(Path("s/report.html"), 1.25, missing, 0, 0)
        monkeypatch.setattr("voxplain.pipeline.report.run.write_report", lambda *_, d=done: d)
        code, shown, _ = run("report", tmp_path)
        assert code == 0
        assert ("Not run yet: Regions." in shown) == bool(missing)
        assert "Written: s/report.html (1.2 MB)" in shown


def test_what_no_rule_judges_is_told_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aside = Measurement("power", None, None, "From 100 scans on.")
    found = TrustResult("n", "It knows.", (), (), (aside,), "3", (), 9, 3, "1m", 1.0, {}, {})
    monkeypatch.setattr("voxplain.pipeline.trust.run.run_trust", lambda *_: found)
    code, shown, _ = run("trust", tmp_path)
    assert code == 4
    assert "• From 100 scans on." in shown
    rules = tmp_path / "rules.json"
    rules.write_text("[1, 2]")
    code, _, error = run("trust", tmp_path, "--rules", rules)
    assert code == 2
    assert "must name tests; a list or a value was given" in error


def a_map(target: str, value: float = 1.0) -> AttributionMap:
    told = Provenance("gradient", {}, "own", None, "N", "0", "float32", "cpu", 0, {}, {})
    values = np.full(GRID.shape, value, np.float32)
    return AttributionMap(values, GRID, "1", "gradient", target, "logit", "positive: for", told)


def test_a_class_that_was_never_explained_has_no_mean_map() -> None:
    made: Any = SimpleNamespace(maps=[a_map("a", 1.0), a_map("a", 3.0)])
    found = group_maps({"gradient": made}, ("a", "b"))
    assert [*found] == [("gradient", "a")]
    assert found["gradient", "a"].values == pytest.approx(np.full(GRID.shape, 2.0))


def test_a_map_that_adds_up_is_said_to() -> None:
    told = {"citation": "A 2017", "unit": "logit", "sign": "positive: for", "passes": 1}
    method: Any = SimpleNamespace(**told, complete=True, seconds_per_subject=2.0, subjects=3)
    assert "adds up to the difference that it explains." in _method_words(method)
    method.complete = False
    assert "adds up" not in _method_words(method)


def test_the_report_of_one_network_shows_its_maps_alone(tmp_path: Path) -> None:
    study = Study(tmp_path, "voxplain study", "0")
    told = [
        {"target": "a", "scans": 3, "map": f"group/{i}.nii.gz", "rule": "own", "network": name,
         "unit": "logit"}
        for i, name in enumerate(("one", "two"))
    ]  # fmt: skip
    for one in told:
        study.write_bytes(str(one["map"]), b"a map")
    study.write_json("explain.json", {"network": "two", "group": {"gradient": told}})
    found = {
        name: [one.network for one in _read(study, ReportOptions(tmp_path, name)).means]
        for name in (None, "one", "three")
    }
    assert found == {None: ["one", "two"], "one": ["one"], "three": []}


def test_a_study_without_a_cohort_has_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Study(tmp_path, "voxplain study", "0")
    done = write_report(ReportOptions(tmp_path, figures=False), Silent())
    assert "Trust tests" in done.missing
    assert "The study holds no cohort and no network yet." in done.page.read_text(encoding="utf-8")

    def shut(path: Path) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", shut)
    with pytest.raises(StudyError, match=r"cannot be written: the disk does not answer"):
        Study(tmp_path, "voxplain study", "0")


def test_sidecars_that_are_of_no_map_are_passed_over(tmp_path: Path) -> None:
    study = Study(tmp_path, "voxplain study", "0")
    study.write_map(a_map("a"), "Gradient", {"row": 1}, 0.1, "n")
    study.write_json("maps/sub-2/sub-2_desc-Gradient_statmap.json", {"Method": "gradient"})
    assert [told["Subject"] for _, told in study.all_maps()] == ["1"]


@dataclass(frozen=True)
class AFold:
    rows: list[int]
    place: str = ""


def test_a_fold_of_which_no_map_is_wanted_loads_no_network() -> None:
    def refuse(*_: object) -> Any:
        raise AssertionError("The network was loaded.")

    run_: Any = SimpleNamespace(rows=[[0], [1]], wanted=lambda *_: [], load=refuse)
    options = SimpleNamespace(methods=("gradient",))
    one: Any = SimpleNamespace(run=run_, options=options, fold_of=[0, 0, 0], first={}, folds={})
    explaining.StudyMeans.take_fold(one, 2, AFold([1, 2]), Silent())
    assert one.fold_of == [0, 2, 2]


def cohort() -> Cohort:
    images = np.random.default_rng(0).normal(size=(3, *GRID.shape)).astype(np.float32)
    table = pd.DataFrame({"participant_id": list("012"), "label": ["a", "b", "a"]})
    return Cohort(table, ("a", "b"), GRID, lambda i: images[i])


def test_doubts_about_an_atlas_and_a_network_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubt(*_: object, **__: object) -> list[Any]:
        warnings.warn("It is doubtful.", VoxplainWarning, stacklevel=1)
        return []

    monkeypatch.setattr(tables, "place_atlases", doubt)
    heard = Heard()
    tables.StudyRegions(
        Study(tmp_path, "voxplain study", "0"), cohort(), ("AAL",),
        latex=False, move=False, seed=0, progress=heard,
    )  # fmt: skip
    assert heard.said == ["It is doubtful."]

    def logits(*_: object) -> np.ndarray:
        warnings.warn("One output.", VoxplainWarning, stacklevel=1)
        return np.zeros((3, 2), np.float32)

    engine: Any = SimpleNamespace(logits=logits)
    options = ScanOptions("mrinet", (Path("w"),), (), tmp_path)
    twice: Any = [None, None]
    found = networks.predict_scans(options, OutputRecord(), twice, [cohort()[0]] * 3, engine, heard)
    assert len(found.of_scans) == 3
    assert heard.said[1:] == ["One output."]


def test_a_command_that_asks_for_its_help_alone_is_not_submitted(run: Run) -> None:
    code, shown, error = run("submit", "slurm", "--parts", 2, "explain", "--help")
    assert code == 2
    assert error == ("voxplain: explain was given nothing to do; see voxplain explain --help.\n")
    assert "Usage: voxplain explain" in shown
