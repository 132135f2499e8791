"""Maps of studies that are not as usual, from what is explained to what the report reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_pipeline_seldom import GRID, Heard, asked, cohort_of, study_of, toy
from torch import nn

from voxplain.attribution import Engine
from voxplain.cohort.store.origins import Origin
from voxplain.errors import InputError, NetworkError, StoppedError, StudyError, VoxplainWarning
from voxplain.images.files import ImageFile
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.scans import regions as scan_regions
from voxplain.pipeline.explain.scans.reading import Scan
from voxplain.pipeline.explain.study import parts, plan
from voxplain.pipeline.explain.study.parts import Opened, StudyRun, opened_run
from voxplain.pipeline.explain.study.targets import rule_of
from voxplain.pipeline.export import ExportOptions, export_maps
from voxplain.pipeline.fit import run as fitting
from voxplain.pipeline.fit.permuted import PermutedOptions, train_permuted
from voxplain.pipeline.group.sample.participants import with_columns
from voxplain.pipeline.maps import Question, voxels_sha256
from voxplain.pipeline.regions import own
from voxplain.pipeline.report.regions import regions_of
from voxplain.pipeline.shards.manifest import Manifest
from voxplain.pipeline.writing import MapWriter
from voxplain.progress import Silent
from voxplain.provenance import Provenance
from voxplain.results.study import MeanMap
from voxplain.study import Study


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(GRID.shape)), 2)).eval()


def a_fold(**told: Any) -> Any:
    usual = {"class_names": ("a", "b"), "outcome": "label", "rows": [*range(6)], "load": network}
    return SimpleNamespace(**usual | told)


def a_map(subject: str, values: np.ndarray | None = None) -> AttributionMap:
    told = Provenance("gradient", {}, "own", None, "N", "0", "float32", "cpu", 0, {}, {})
    values = np.ones(GRID.shape, np.float32) if values is None else values
    return AttributionMap(values, GRID, subject, "gradient", "a", "logit", "positive: for", told)


# Explaining a study


def test_some_scans_of_a_fold_are_held_against_their_hashes_too(tmp_path: Path) -> None:
    cohort = cohort_of()
    known = [[cohort[i].subject, voxels_sha256(cohort[i])] for i in (4, 2, 0)]
    known[2][1] = "another"
    manifest = Manifest({"command": "explain", "folds": [{"rows": [4, 2, 0]}], "scans": [known]})
    scans = StudyRun(Study(tmp_path, "voxplain study", "0"), cohort, manifest, {}).scans(1)
    assert [one.subject for one in scans[:2]] == ["4", "2"]
    with pytest.raises(StudyError, match=r"The image of 0 .*changed after the run"):
        scans[1:][1]


def test_a_layer_that_the_networks_of_a_study_lack_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_of(tmp_path, cohort_of())
    monkeypatch.setattr(parts, "networks_of_folds", lambda *_: [a_fold()])
    options = replace(asked(methods=("gradient",), layer="2"), out=tmp_path)
    with (
        pytest.raises(InputError, match=r"Unknown layer '2'; there are: 0, 1"),
        opened_run(options),
    ):
        pass


@pytest.mark.parametrize(("long", "batches"), [(0.0, 1), (1e9, 2)])
def test_a_method_that_takes_long_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, long: float, batches: int
) -> None:
    class Steps(Silent):
        seen: list[str] = []  # noqa: RUF012

        @contextmanager
        def step(self, title: str, total: float) -> Iterator[Callable[[float], None]]:
            self.seen.append(title)
            yield lambda done: None

    monkeypatch.setattr(plan, "_LONG", long)
    monkeypatch.setattr(Steps, "seen", [])
    cohort = cohort_of(2)
    run: Any = SimpleNamespace(
        cohort=cohort, rows=[[0, 1]], batch=1, given={"gradient": {}},
        scans=lambda fold: [cohort[0], cohort[1]], load=lambda fold, fitted: [network()],
    )  # fmt: skip
    options = replace(asked(methods=("gradient",)), target="own")
    opened = Opened(options, run, [a_fold(rows=[0, 1])], "own")
    (timed,), _ = plan._methods(opened, 0, Engine("cpu", batch_size=1), Steps())
    assert Steps.seen == ["Gradient, measured"] * batches
    assert (timed.name, timed.example.subject) == ("gradient", "0")


def test_classes_and_units_are_asked_of_what_has_them() -> None:
    age, options = a_fold(class_names=(), outcome="age"), asked(methods=("gradient",))
    assert rule_of(options, age) == "age"
    with pytest.raises(InputError, match=r"mrinet of this study predicts age, a number, which has"):
        rule_of(replace(options, target="own"), age)
    with pytest.raises(InputError, match=r"tells classes apart \(a, b\), which have no unit"):
        rule_of(replace(options, unit="years"), a_fold())
    assert rule_of(replace(options, target=1), a_fold()) == "b"


def test_a_map_that_goes_while_others_are_made_is_told(tmp_path: Path) -> None:
    study, volumes, model = Study(tmp_path, "voxplain study", "0"), cohort_of(3), network()
    asked_ = Question("gradient", 0, network="n")
    writer = MapWriter(study, model, volumes, asked_, Engine("cpu"), Silent())
    paths: dict[int, Path] = {}
    writer.write(lambda i, map_, path: paths.update({i: path}))
    study.remove(paths[0].relative_to(tmp_path).as_posix())

    def lose(position: int, map_: AttributionMap, path: Path) -> None:
        assert position == 0
        study.remove(paths[1].relative_to(tmp_path).as_posix())

    with pytest.raises(StudyError, match=r"^The map of 1 in .* went while it was waited for; see"):
        writer.write(lose)


def test_maps_are_exported_of_studies_that_have_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no study; give one that 'voxplain explain' has made"):
        export_maps(ExportOptions(tmp_path), Silent())
    study = study_of(tmp_path, cohort_of())
    with pytest.raises(InputError, match=r"has no maps; make them with 'voxplain explain"):
        export_maps(ExportOptions(tmp_path), Silent())
    study.write_map(a_map("gone"), "Gradient", {}, 0.1, "n")
    with pytest.raises(InputError, match=r"has no maps of 'sub-1'; make them with"):
        export_maps(ExportOptions(tmp_path, subjects=("sub-1",)), Silent())


def test_a_map_of_a_scan_that_has_left_the_cohort_has_no_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, cohort_of())
    study.write_map(a_map("gone"), "Gradient", {}, 0.1, "n")
    monkeypatch.setattr("voxplain.pipeline.explain.study.own_grid.read_origins", lambda _: [])
    with pytest.raises(InputError, match=r"has no scan gone, so that nobody knows its grid; "):
        export_maps(ExportOptions(tmp_path, grid="input"), Silent())


# Fits and designs


@pytest.mark.parametrize(
    ("error", "count"), [(NetworkError("It blew up."), 1), (StoppedError("Asked to end."), 2)]
)
def test_what_ends_a_whole_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, count: int
) -> None:
    """The failure of the only network, and the wish that the work ends, name no failed network."""

    def fail(*_: object) -> Any:
        raise error

    learner = SimpleNamespace(name="mrinet", held_out=fail)
    monkeypatch.setattr(fitting, "ready_learners", lambda *_: [(learner, ("N", 1))] * count)
    options: Any = SimpleNamespace(device="cpu", final=False)
    setting, heard = SimpleNamespace(folds=[None]), Heard()
    with pytest.raises(type(error), match=f"^{error}$"):
        fitting._trained(options, Study(tmp_path, "s", "0"), setting, heard, lambda: None)  # type: ignore[arg-type]
    assert heard.said == []


def test_labels_of_a_fitted_network_need_enough_permutations(tmp_path: Path) -> None:
    """Two of each class have six arrangements, one of them as they are."""
    study = study_of(tmp_path, cohort_of(4))
    told = {"networks": ["mrinet"], "outcome": "label", "group": "auto", "seed": 0}
    study.write_json("summary.json", {"fit": {"options": told}})
    rows = "".join(f"sub-{i}\t1\t{i // 2 + 1}\n" for i in range(4))
    study.write_text("model/folds.tsv", f"scan\trepeat\tfold\n{rows}")
    with pytest.raises(InputError, match=r"\b5\b"):
        train_permuted(PermutedOptions(tmp_path, 19, ("mrinet",), blocks="none"), Silent())


def test_columns_of_a_design_are_numbers_where_all_of_them_are(tmp_path: Path) -> None:
    path = tmp_path / "design.tsv"
    path.write_text("participant_id\tdose\tsite\nsub-1\t2.5\tA\n3\tn/a\t7\n")
    table = pd.DataFrame({"participant_id": ["sub-1", "2", "3"]})
    found = with_columns(table, path)
    np.testing.assert_array_equal(found["dose"], [2.5, np.nan, np.nan])
    assert found["site"].fillna("-").tolist() == ["A", "-", "7"]


# Regions


def own_regions(monkeypatch: pytest.MonkeyPatch, atlases: dict[int, Any]) -> tuple[Any, Heard]:
    """Own segmentations of four scans, by row, some with what is odd about them."""

    def row_of(image: ImageFile) -> int:
        return int(image.path.name)

    def find(image: ImageFile) -> ImageFile:
        if row_of(image) not in atlases:
            raise InputError(f"Beside {image} lies no segmentation.")
        return image

    def read(image: ImageFile) -> Any:
        if row_of(image) % 2:
            warnings.warn(f"{image} has a region of no name.", VoxplainWarning, stacklevel=1)
        return atlases[row_of(image)]

    monkeypatch.setattr(own, "segmentation_of", find)
    monkeypatch.setattr(own, "own_atlas", read)
    heard = Heard()
    origins = [Origin(ImageFile(Path(str(i))), GRID) for i in range(4)]
    return own.OwnRegions(cohort_of(4), origins, 0, heard), heard


def whole() -> Any:
    return replace(toy(), labels=np.ones(GRID.shape, np.int32), names={1: "Hull"})


def test_a_study_of_which_no_scan_has_a_segmentation(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^Beside 0 lies no segmentation\.$"):
        own_regions(monkeypatch, {})


def test_what_is_odd_in_own_segmentations_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = replace(whole(), grid=GRID.moved(np.array([900.0, 0, 0])))
    found, heard = own_regions(monkeypatch, {0: whole(), 1: whole(), 2: outside, 3: toy()})
    assert (heard.said, found.told()["without"]) == ([], [])
    values = np.full(GRID.shape, 2.0, np.float32)
    tables = [found.table(row, values, "a") for row in range(4)]
    assert [one is None for one in tables] == [False, False, True, False]
    assert tables[0].frame.set_index("region").loc["Hull", "mean"] == 2
    found.tell()
    assert heard.said == [
        "1 has a region of no name. (and 1 more)",
        "Own segmentations: those of '2', '3' cover less than 30 % of the brain.",
    ]
    found.tell()
    assert len(heard.said) == 2


def test_scans_without_a_segmentation_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found, heard = own_regions(monkeypatch, {1: whole(), 2: whole()})
    assert heard.said == [
        "Own segmentations: beside 2 scans ('0', '3') lies none; left out.",
        "1: 1 has a region of no name.",
    ]
    assert found.table(3, np.ones(GRID.shape, np.float32), "a") is None
    assert found.told()["scans"] == 2


def test_the_map_of_a_scan_is_summed_up_by_its_own_place_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_regions, "find_atlas", lambda name: whole())
    scans = [Scan(tmp_path, one, one, None, ()) for one in cohort_of(2)]
    options = replace(asked(methods=("gradient",)), atlases=("AAL",))
    regions = scan_regions.ScanRegions(options, scans, Silent())
    study = Study(tmp_path, "voxplain study", "0")
    (told,) = regions.write(study, scans[1], a_map("1"), "maps/one")
    assert told["table"] == "maps/one_atlas-Toy_regions.tsv"
    table = pd.read_csv(tmp_path / told["table"], sep="\t").set_index("region")
    assert table.loc["Hull", "mean"] == 1


def test_a_region_of_one_participant_has_no_interval() -> None:
    head = "class\tregion\tmean\tsd\tpeak\tdensity\tshare\trank\tparticipants\n"
    rows = "all\tA\t2\t1\t3\t1\t0.5\t1\t4\nall\tB\t2\tn/a\t3\t1\t0.5\t2\t1\n"
    one = MeanMap("gradient", "Gradient", "a", 4, "m", "logit", tables=(("toy", "t.tsv"),))
    held: Any = SimpleNamespace(find_file=lambda name: name, read_text=lambda name: head + rows)
    maps: Any = SimpleNamespace(
        place=SimpleNamespace(atlas=None), means=[one], study=held, participants=lambda _: 4,
        label=lambda _: "Gradient",
    )  # fmt: skip
    (listed,) = regions_of(maps, {})
    first, second = listed.values
    # Student's t of three degrees of freedom: 3.182 standard errors of a half.
    assert (first.low, first.high) == pytest.approx((2 - 3.182 / 2, 2 + 3.182 / 2), abs=1e-3)
    assert (second.region, second.low, second.high) == ("B", None, None)
