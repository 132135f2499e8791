"""What joins the rooms, asked for what studies seldom hold: one sentence, or the right answer."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxplain.atlas import Atlas
from voxplain.attribution import Engine
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.numbers import Output
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError, NetworkError, StudyError, VoxplainWarning
from voxplain.fit import Fold, Outcome
from voxplain.grid import Grid
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import TestOptions, permutation_test
from voxplain.nets import WeightsRecord
from voxplain.phantom import division
from voxplain.phantom.patterns import Interaction, Suppression
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import OutputRecord, Outputs, read_output_record
from voxplain.pipeline.explain.record import with_earlier_groups, with_earlier_scans
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.explain.scans.networks import _require_one_size
from voxplain.pipeline.explain.study.judging import StudyJudge
from voxplain.pipeline.explain.study.untrained import fixed_target
from voxplain.pipeline.explain.study.variation import options_again
from voxplain.pipeline.features import FeatureOptions, compare_features
from voxplain.pipeline.fit import baselines, fitted
from voxplain.pipeline.fit.kept import TrainingRecord
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.permuted import PermutedOptions, train_permuted
from voxplain.pipeline.group.null import device
from voxplain.pipeline.group.null import largest as nulls
from voxplain.pipeline.group.sample.participants import scan_table
from voxplain.pipeline.phantom import PhantomOptions
from voxplain.pipeline.planting import find_region
from voxplain.pipeline.reclassify import run as reclassify
from voxplain.pipeline.regions import placing
from voxplain.pipeline.regions.tables import write_regions
from voxplain.pipeline.report import reading, scans, scenery
from voxplain.pipeline.report.maps import StudyMaps
from voxplain.pipeline.streams import Some, with_remarks
from voxplain.pipeline.truth import OwnTruths, Truth, read_truth
from voxplain.progress import Silent
from voxplain.study import Study
from voxplain.volume import Cohort

GRID = Grid((8, 9, 7), np.diag([8.0, 8, 8, 1]))
HERE = Path("here")


def cohort_of(count: int = 6, names: tuple[str, ...] = ("a", "b"), **columns: object) -> Cohort:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, *GRID.shape)).astype(np.float32) + 3
    table = pd.DataFrame(
        {
            "participant_id": [f"{i}" for i in range(count)],
            "label": [names[i % len(names)] for i in range(count)],
            **columns,
        }
    )
    return Cohort(table, names, GRID, lambda i: images[i])


def study_of(folder: Path, cohort: Cohort) -> Study:
    study = Study(folder, "voxplain study", "0")
    write_store(folder / "cohort", cohort, "test")
    return study


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


# Explaining


def asked(**told: Any) -> ScanOptions:
    return ScanOptions("mrinet", (HERE / "w.pt",), told.pop("images", ()), HERE, **told)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"images": (HERE, HERE), "masks": (HERE,), "preset": "kan2020"}, "1 masks were given for"),
        ({"images": (HERE,), "masks": (HERE,)}, "A mask is used by a preset alone"),
        ({"sample": 0}, "--sample must be 1 or more scans; 0 was given"),
        ({"classes": 0}, "--classes must be 1 or more; 0 was given"),
        ({"task": "guess"}, "--task must be auto, classification or regression; 'guess'"),
        ({"unit": " "}, "--unit must be a word such as years; an empty one was given"),
        ({"unit": "years", "class_names": ("a", "b")}, "give one or the other"),
        ({"bins": "42:42"}, "--bins must be the outer edges"),
        ({"options": ("steps=4",)}, "--option 'steps=4' is not method:name=value"),
    ],
)  # fmt: skip
def test_options_of_explain_that_cannot_be(told: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        asked(**told)
    assert said in str(refused.value)


def test_bins_are_read_as_edges_or_values() -> None:
    assert asked(bins="42:82").centres(4) == (47.0, 57.0, 67.0, 77.0)
    assert asked(bins="1,2.5,9").centres(3) == (1.0, 2.5, 9.0)


def records(folder: Path, *contents: dict[str, Any] | None, **told: Any) -> OutputRecord:
    paths = []
    for i, content in enumerate(contents):
        paths.append(folder / f"w{i}.pt")
        paths[-1].write_bytes(b"...")
        if content is not None:
            paths[-1].with_suffix(".json").write_text(json.dumps(content))
    options = replace(asked(**told), weights=tuple(paths))
    return read_output_record(options, [{} for _ in paths])


SEX = {"task": "classification", "class_names": ["f", "m"]}
AGE = {"task": "regression", "name": "age", "unit": "years", "scale": [50.0, 4.0]}


def test_what_weights_remember_of_their_outputs(tmp_path: Path) -> None:
    found = records(tmp_path, SEX, SEX)
    assert (found.names, found.notes) == (("f", "m"), (f"classes as named in {tmp_path}/w0.json",))
    other = records(tmp_path, SEX, class_names=("woman", "man"))
    assert other.names == ("woman", "man")
    assert other.notes[0].endswith("names the classes otherwise (0 f, 1 m); yours are used")
    same = records(tmp_path, SEX, class_names=("f", "m"))
    assert (same.names, same.notes) == (("f", "m"), ())
    number = records(tmp_path, AGE)
    assert (number.unit, number.names) == ("years", None)
    told = records(tmp_path, AGE, task="classification")
    assert (told.unit, told.names) == (None, None)
    with pytest.raises(InputError, match=r"name different classes or numbers; explain these"):
        records(tmp_path, SEX, AGE)
    with pytest.raises(InputError, match=r"says that the output is age, a number; leave them out"):
        records(tmp_path, AGE, class_names=("a", "b"), task="auto")


def test_outputs_that_do_not_fit_what_is_said() -> None:
    said = OutputRecord(None, "years", ())
    with pytest.raises(InputError, match=r"--classes 3 was given, and the network has 2 outputs;"):
        Outputs.of(asked(classes=3), OutputRecord(), 2)
    with pytest.raises(InputError, match=r"has one output, which is a number by itself"):
        Outputs.of(asked(bins="42:82"), said, 1)
    with pytest.raises(InputError, match=r"has 4 outputs, which are not one number; if they are"):
        Outputs.of(asked(unit="years"), said, 4)
    bins = WeightsRecord(unit="years", name="age", bins=(40.0, 50, 60, 70))
    found = Outputs.of(asked(unit="years"), replace(said, records=(bins,)), 4)
    certain = np.array([[0.0, 0, 50, 0]], np.float32)
    (told,) = found.read([certain])
    assert told["prediction"] == pytest.approx(60)
    assert found.words(told) == "60.0 years (age)"


def test_networks_of_several_sizes_are_not_one_ensemble() -> None:
    with pytest.raises(NetworkError, match=r"different numbers of outputs \(1 and 2\)"):
        _require_one_size([np.zeros((3, 2)), np.zeros((3, 1))])


def a_call(weights: str = "w", **told: Any) -> dict[str, Any]:
    network = {"name": "n", "weights": "p", "weights_sha256": [weights]}
    return {"network": network, "layer": {}, "seconds_per_map": {}, **told}


def scan(subject: str, **maps: str) -> dict[str, Any]:
    return {"subject": subject, "maps": {name: {"map": path} for name, path in maps.items()}}


def test_calls_before_stay_beside_a_call() -> None:
    groups = {"network": "n", "group": {"gradient": [{"map": "group/a"}]}}
    other = a_call("others", scans=[scan("1", lrp="b")])
    before = a_call(scans=[scan("1", gradient="a", old="z"), scan("2", gradient="c")])
    now = a_call(scans=[scan("1", smoothgrad="d", old="z")])
    found = with_earlier_scans({"runs": [groups, other, before]}, now)
    # Another network's call is kept, and does not stand beside these maps.
    assert found["runs"] == [
        groups,
        other,
        a_call(scans=[scan("1", gradient="a"), scan("2", gradient="c")]),
        now,
    ]
    maps = {one["subject"]: [*one["maps"]] for one in found["scans"]}
    assert maps == {"1": ["gradient", "smoothgrad", "old"], "2": ["gradient"]}
    result = {"group": {"lrp": [{"map": "group/b"}]}}
    joined = with_earlier_groups({"runs": [other, groups]}, dict(result))
    assert joined["runs"] == [other, groups, result]
    assert joined["group"] == {"lrp": [{"map": "group/b"}], "gradient": [{"map": "group/a"}]}
    assert with_earlier_groups({}, dict(result))["runs"] == [result]


def test_options_are_read_back_from_sidecars() -> None:
    cohort = cohort_of()
    assert options_again("gradient", {"score": "logit"}, cohort) == {"score": "logit"}
    with pytest.raises(InputError, match=r"The option start of meaningful-perturbation was an arr"):
        options_again("meaningful-perturbation", {"start": "array (3, 3, 3)"}, cohort)
    given = with_regions({"regions": "AAL"}, [cohort[0]])
    told = describe_options(make_method("region-ablation", given | {"cell": 30.0}))
    again = make_method("region-ablation", options_again("region-ablation", told, cohort))
    assert describe_options(again) == told


def test_three_classes_have_no_t_map(tmp_path: Path) -> None:
    truth = Truth(np.ones(GRID.shape, bool), np.ones(GRID.shape, bool), None)
    names = ("a", "b", "c")
    study = Study(tmp_path, "voxplain study", "0")
    judge = StudyJudge(study, cohort_of(12, names), truth, [0, 1] * 6, 0)
    assert judge._t_maps is None
    two = StudyJudge(study, cohort_of(12), truth, [0, 0, 1, 1] * 3, 0)
    assert two._t_maps is not None
    assert sum(sum(part.counts) for part in two._t_maps.values()) == 12


def test_a_study_of_zeros_has_no_brain() -> None:
    empty = replace(cohort_of(), load=lambda i: np.zeros(GRID.shape, np.float32))
    with pytest.raises(InputError, match=r"zero everywhere; there is no brain to test"):
        brain_of(empty, range(6), Silent())


def test_some_of_some_scans() -> None:
    some = Some(cohort_of(), [4, 2, 0, 1])
    assert [one.subject for one in some[1:3]] == ["2", "0"]


def test_warnings_of_others_are_passed_on_with_maps() -> None:
    def stream() -> Iterator[Any]:
        warnings.warn("Subject 1: It is odd.", VoxplainWarning, stacklevel=1)
        warnings.warn("Of others.", UserWarning, stacklevel=1)
        yield "a map"

    with pytest.warns(UserWarning, match=r"^Of others\.$"):
        found = list(with_remarks(stream()))
    assert found == [("a map", ["It is odd."])]


# Truth and phantoms


def test_a_truth_of_a_scan_lies_in_its_brain_or_nowhere(tmp_path: Path) -> None:
    support, brain = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    support[0, 0, 0], brain[2:6, 2:6, 2:6] = True, True
    image = np.where(brain, 100.0, 0).astype(np.float32)
    study = Study(tmp_path, "voxplain study", "0")
    assert read_truth(tmp_path) is None
    study.write_volume("phantom/template_desc-effect_mask", support, GRID)
    assert read_truth(tmp_path) is None
    study.write_volume("phantom/template_desc-brain_mask", brain, GRID)
    truth = read_truth(tmp_path)
    assert truth is not None
    cohort = cohort_of(2)
    own = OwnTruths(tmp_path, cohort, truth).of(0, image)
    assert own is not None
    # A mark outside the brain is looked for in the brain and there.
    assert (own.brain == (brain | support)).all()
    nothing = Truth(np.zeros(GRID.shape, bool), brain, None)
    assert OwnTruths(tmp_path, cohort, nothing).of(0, image) is None


def test_what_divides_no_group_is_passed_over() -> None:
    assert division._numbers(pd.Series(["n/a"] * 4)).shape == (4, 0)
    # Words of which nearly every one is another make no groups.
    assert division._numbers(pd.Series(list("abcdefghijkl"), name="x")).shape == (12, 0)
    assert division._numbers(pd.Series(["1", "2", "3", "4"])).std() == pytest.approx(1)


@pytest.mark.parametrize("kind", [Interaction, Suppression])
def test_patterns_are_described_with_the_best_observer(kind: Any) -> None:
    effect = kind()
    said = effect.describe()
    assert f"right {100 * effect.bayes_accuracy:.1f} % of the time" in said
    for name in effect.regions:
        assert name in said


def test_families_of_a_phantom_are_as_large_as_was_asked() -> None:
    assert PhantomOptions(HERE, family_size=3).asked().family_size == 3
    assert PhantomOptions(HERE, voxel_size=12.0).asked().grid.voxel_size == pytest.approx(
        (12, 12, 12), abs=0.2
    )
    with pytest.raises(InputError, match=r"strength must lie from 0 to below 1; 1.5 was given"):
        PhantomOptions(HERE, strength=1.5).asked()


def test_an_effect_in_scans_that_are_not_aligned_is_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "voxplain.pipeline.planting"
    monkeypatch.setattr(f"{place}.read_steps", lambda _: [{"step": "align", "how": "centre"}])
    with (
        pytest.warns(VoxplainWarning, match=r"are not aligned to MNI152, so that AAL's regions"),
        pytest.raises(InputError),
    ):
        find_region(tmp_path, "Nowhere", "AAL", cohort_of(), 0)


# Fits


def test_features_are_compared_between_two_classes(tmp_path: Path) -> None:
    study_of(tmp_path, cohort_of(6, ("a", "b", "c")))
    with pytest.raises(InputError, match=r"compared between two classes; the cohort has 3"):
        compare_features(FeatureOptions(tmp_path), Silent())


def test_classes_without_brains_of_one_size_have_no_match() -> None:
    sizes = [1000.0, 2000.0] * 3
    cohort = cohort_of(brain_ml=sizes)
    outcome = Outcome("label", np.arange(6) % 2, ("a", "b"))
    found = baselines._matched(SimpleNamespace(cohort=cohort, outcome=outcome), {})  # type: ignore[arg-type]
    assert (found.scans, found.scores) == (0, {})


def test_measures_of_participants_whose_names_differ_are_joined_with_a_remark(
    tmp_path: Path,
) -> None:
    cohort = cohort_of(source_id=[f"00{i}" for i in range(6)])
    path = tmp_path / "measures.tsv"
    path.write_text("participant_id\tvolume\n" + "".join(f"{i}\t{i}.5\n" for i in range(5, -1, -1)))
    with pytest.warns(VoxplainWarning, match=r"measures\.tsv: "):
        found = baselines._aligned(path, cohort)
    assert found["volume"].tolist() == [f"{i}.5" for i in range(6)]


def a_record(**told: Any) -> Any:
    names = {"outcome": "label", "class_names": ("a", "b"), "identity": {}, "train": ("0",)}
    return SimpleNamespace(**names | {"validation": (), "scale": (0.0, 1.0)} | told)


def test_networks_of_other_classes_or_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, cohort = study_of(tmp_path, cohort_of()), cohort_of()
    found: list[Any] = [None]
    monkeypatch.setattr(fitted.TrainingRecord, "read", lambda *_: found[0])
    ask: Callable[[], Any] = lambda: fitted.find_fitted(study, "mrinet", (1, 1), cohort)  # noqa: E731
    with pytest.raises(StudyError, match=r"holds no trained network; run 'voxplain fit' on the st"):
        ask()
    found[0] = a_record(class_names=("x", "y"))
    with pytest.raises(StudyError, match=r"trained on the classes x, y, and the cohort has a, b"):
        ask()
    found[0] = a_record()
    monkeypatch.setattr(fitted, "_load", lambda *_: None)
    monkeypatch.setattr(fitted, "identity_of", lambda *_: {"logits": [[1.0]]})
    monkeypatch.setattr(fitted, "same_identity", lambda *_: False)
    with pytest.raises(StudyError, match=r"was trained before the code of mrinet was changed"):
        ask()
    monkeypatch.setattr(fitted, "same_identity", lambda *_: True)
    assert ask().rows == [1, 2, 3, 4, 5]


def test_a_network_whose_code_has_changed_is_trained_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TrainingRecord, "read", lambda *_: a_record())
    heard = Heard()
    learner: Any = SimpleNamespace(
        study=None,
        name="mrinet",
        _asked=SimpleNamespace(request=lambda part: {}),
        _of_this_code=lambda kept, part: False,
    )
    part: Any = SimpleNamespace(place="model")
    assert Learner._found(learner, part) is None
    assert Learner._found(learner, part, heard) is None
    assert heard.said == ["The code of mrinet has changed since it was trained: once more."]


def test_labels_are_permuted_of_networks_that_were_fitted(tmp_path: Path) -> None:
    study = study_of(tmp_path, cohort_of())
    study.write_json("summary.json", {"fit": {"options": {"networks": ["mrinet"]}}})
    with pytest.raises(InputError, match=r"[Uu]nknown network of this fit 'sfcn'"):
        train_permuted(PermutedOptions(tmp_path, 19, ("sfcn",)), Silent())


def test_networks_of_a_fit_are_used_for_masks_where_they_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Known:
        def __init__(self, *_: object) -> None:
            self.there = True

        def describe(self) -> None: ...

        def has(self, fold: Fold) -> bool:
            return self.there

        def on(self, cohort: Cohort, name: str) -> str:
            return name

    monkeypatch.setattr(reclassify, "Learner", Known)
    options = reclassify.ReclassifyOptions(HERE, HERE, device="cpu")
    setting: Any = SimpleNamespace(folds=[None], cohort=cohort_of())
    assert isinstance(reclassify._learner(options, setting, None), Known)  # type: ignore[arg-type]
    monkeypatch.setattr(Known, "has", lambda self, fold: False)
    assert reclassify._learner(options, setting, None) == "whole-images"  # type: ignore[arg-type]


# Groups and regions


def test_a_scan_s_row_has_what_the_fit_wrote_and_the_table_lacks(tmp_path: Path) -> None:
    cohort = cohort_of(4, fold=[7, 7, 7, 7])
    study = study_of(tmp_path, cohort)
    study.write_text(
        "model/folds.tsv", "scan\trepeat\tfold\n" + "".join(f"sub-{i}\t1\t{i}\n" for i in range(4))
    )
    head = "scan\trepeat\tfold\ttruth\tpredicted\tlogit_a\tlogit_b\n"
    rows = "".join(f"sub-{i}\t1\t1\ta\t{'ab'[i % 2]}\t1\t{i}\n" for i in range(4))
    study.write_text("model/mrinet/predictions.tsv", head + rows)
    found = scan_table(study, cohort, "mrinet")
    assert found["fold"].tolist() == [7, 7, 7, 7]
    assert found["correct"].tolist() == ["yes", "no", "yes", "no"]
    assert found["logit"].tolist() == [-1.0, 0.0, 1.0, 2.0]
    three = replace(cohort, class_names=("a", "b", "c"))
    assert "logit" not in scan_table(study, three, "mrinet")


def test_null_networks_of_numbers_are_asked_for_the_number() -> None:
    fold: Any = SimpleNamespace(class_names=(), outcome="age", scale=(40.0, 2.0))
    assert fixed_target(fold, "age") == Output("age", 40.0, 2.0)
    fold.class_names = ("a", "b")
    assert fixed_target(fold, "b") == 1


def test_the_null_of_voxels_may_be_found_on_another_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(device, "null_in_torch", lambda *told: seen.append(told) or "found")
    monkeypatch.setattr(Engine, "resolve_device", lambda self: SimpleNamespace(type="cuda"))
    assert device.null_on("auto")("residuals", "rows", 2, print) == "found"  # type: ignore[arg-type]
    assert seen == [("residuals", "rows", SimpleNamespace(type="cuda"), print)]


def toy(name: str = "toy", side: str = "left", at: int = 1) -> Atlas:
    labels = np.zeros(GRID.shape, np.int32)
    labels[at : at + 2, 2:6, 2:5] = 1
    return Atlas(labels, GRID, {1: f"Region {side}"}, name)


def test_atlases_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match=r"--atlas none asks for no regions; give it alone"):
        placing.require_atlases(("none", "AAL"))
    with pytest.raises(InputError, match=r"Two atlases are called toy, and their tables would be"):
        placing.require_apart([toy(), toy()])
    tissue = np.zeros(GRID.shape, np.float32)
    tissue[5:, 2:6, 2:5] = 1
    with pytest.raises(InputError, match=r"No voxel of the brain lies in a region of toy"):
        placing.fitted(toy(), tissue, GRID)
    whole = np.ones(GRID.shape, np.float32)
    centred = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, -28.0]] + [[0] * 4] * 3))
    right = replace(toy(side="right"), grid=centred)
    with pytest.raises(InputError, match=r"names regions as left that lie on the right"):
        placing.fitted(right, whole, centred)
    left = replace(toy(side="left"), grid=centred)
    with pytest.warns(
        VoxplainWarning, match=r"does not fit these brains: .* cover 5 % of the brain alo"
    ):
        placing.fitted(left, whole, centred)


def test_tables_of_regions_are_written_for_latex_where_asked(tmp_path: Path) -> None:
    study = Study(tmp_path, "voxplain study", "0")
    frame = pd.DataFrame({"label": [1], "region": ["Region_one"], "mean": [0.5], "p_voxel": [0.01]})
    plain = write_regions(study, "group/one", frame, {"atlas": "toy"}, False)
    assert plain == ["group/one_regions.tsv", "group/one_regions.json"]
    told = study.read_json("group/one_regions.json")
    assert told["p_voxel"]["Description"] == "family-wise p, the region's smallest"


# The report


def test_peaks_stand_apart_and_are_six_at_most() -> None:
    grid = Grid((30, 30, 30), np.diag([2.0, 2, 2, 1]))
    values = np.zeros(grid.shape, np.float32)
    spots = {(5, 5, 5): 9.0, (8, 5, 5): -8.0, (20, 5, 5): 7.0}
    for place, value in spots.items():
        values[place] = value
    place = scenery.Place(grid, values, np.ones(grid.shape, bool), None)
    # The second lies 6 mm from the first, where 16 are asked for.
    assert [one.value for one in place.peaks(values)] == [9.0, 7.0]
    assert place.peaks(np.zeros_like(values)) == ()
    many = np.zeros(grid.shape, np.float32)
    many[2::12, 2::12, 2::12] = np.arange(1, 28).reshape(3, 3, 3)
    assert [one.value for one in place.peaks(many)] == [27, 26, 25, 24, 23, 22]


def test_an_atlas_that_lies_elsewhere_names_no_region() -> None:
    found = scenery.look_around(
        replace(cohort_of(), grid=GRID.moved(np.array([0.0, 300, 0]))), "AAL", Silent()
    )
    assert (found.atlas, found.cortex) == (None, None)
    assert found.remarks[0].startswith("Regions are not named: those of AAL cover 0 % of the br")


def test_predictions_of_later_repeats_and_strangers_are_passed_over(tmp_path: Path) -> None:
    cohort = cohort_of(2)
    study = study_of(tmp_path, cohort)
    head = "scan\trepeat\tfold\ttruth\tpredicted\tp_a\tp_b\n"
    rows = "sub-0\t1\t1\ta\ta\t0.9\t0.1\nsub-0\t2\t1\ta\tb\t0.1\t0.9\nsub-9\t1\t1\ta\tb\t0\t1\n"
    study.write_text("model/mrinet/predictions.tsv", head + rows)
    study.write_text("model/folds.tsv", "scan\trepeat\tfold\nsub-0\t1\t2\nsub-0\t2\t1\n")
    fit: Any = SimpleNamespace(models={"mrinet": None}, first=SimpleNamespace(name="mrinet"))
    found = reading.predictions(study, cohort, fit, "mrinet")
    assert set(found) == {"sub-0", "sub-1"}
    assert (found["sub-0"].predicted, found["sub-0"].sure) == ("a", 0.9)
    assert reading.cohort_found(study, cohort).folds == (("2", (1, 0)),)


def test_intervals_need_two_scans_and_regions() -> None:
    one = scans.Profiles(["a"], ["R"], np.ones((1, 1)), np.ones(1))
    assert one.intervals() == {}
    assert scans.Profiles(["a", "b"], [], np.ones((2, 0)), np.ones(2)).intervals() == {}
    two = scans.Profiles(["a", "b"], ["R"], np.array([[1.0], [3.0]]), np.ones(2))
    # Student's t of one degree of freedom: 12.706 standard errors of 1.
    assert two.intervals()["R"] == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-3)
    assert np.isnan(scans._robust(np.array([1.0, np.nan]))).all()
    assert np.isnan(scans._robust(np.ones(20))).all()


def test_options_of_maps_are_those_of_a_map_of_the_method() -> None:
    told = {"Method": "lrp", "Provenance": {"options": {"rule": "epsilon"}}}
    one = SimpleNamespace(method="lrp")
    maps: Any = SimpleNamespace(single={"1": [], "2": [one]}, _told=lambda _: told)
    assert StudyMaps.options_of(maps, "lrp") == {"rule": "epsilon"}
    assert StudyMaps.options_of(maps, "gradient") == {}


def test_damaged_maps_have_no_place(tmp_path: Path) -> None:
    from voxplain.images.sidecars import stored_place

    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"no image")
    assert stored_place(path.read_bytes()) is None
    assert stored_place(None) is None
    nib.save(nib.Nifti1Image(np.zeros(GRID.shape), GRID.affine), path)
    found = stored_place(path.read_bytes())
    assert found is not None
    assert found[0] == GRID.shape


def test_clusters_are_held_against_the_largest_of_studies_that_learnt_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    mask = np.ones((6, 6, 6), bool)
    labels = np.arange(16) % 2
    table = pd.DataFrame(
        {"participant_id": [f"{i}" for i in range(16)], "label": np.where(labels, "b", "a")}
    )
    values = rng.normal(size=(16, *mask.shape)).astype(np.float32)
    values[:, 1:4, 1:4, 1:4] += 4 * labels[:, None, None, None]
    design = make_design(table, "class", class_names=("a", "b"))
    options = TestOptions(("voxel", "size"), permutations=20)
    tree, _ = read_blocks(table, "none")
    found = permutation_test(values[:, mask], Arrangements(design, tree), mask, options)
    assert found.clusters
    theirs = [rng.normal(size=(16, 216)).astype(np.float32) for _ in range(3)]
    for i in range(3):
        Study(tmp_path / f"{i}", "voxplain study", "0")
    held: list[Any] = [
        SimpleNamespace(ways={}, array=lambda *_, i=i: theirs[i], allocate=lambda *_: np.zeros)
        for i in range(3)
    ]
    monkeypatch.setattr(nulls, "catalogue", lambda *_: SimpleNamespace(of=lambda *__: held.pop(0)))
    maps: Any = SimpleNamespace(method="gradient", target="b", grid=GRID)
    scans_: Any = SimpleNamespace(subjects=[], units=[])
    folders = {tmp_path / f"{i}": "net" for i in range(3)}
    judged = nulls.against_studies(found, maps, design, mask, 0.0, folders, scans_, Silent())
    # No cluster of noise is as large as the block of 27 voxels: one of four.
    largest = max(found.clusters, key=lambda one: one.size)
    assert largest.size >= 27
    assert judged.p["size"][largest.voxels] == pytest.approx(0.25)
    inside = np.concatenate([one.voxels for one in found.clusters])
    assert (np.delete(judged.p["size"], inside) == 1).all()
    held.append(SimpleNamespace(ways={"1": None}))
    with pytest.raises(InputError, match=r"lie on another grid than the study's"):
        nulls.against_studies(
            found, maps, design, mask, 0.0, {tmp_path / "0": "net"}, scans_, Silent()
        )
