"""Faults of scans and maps that tests of a verdict name, each planted in a small study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.numbers import Output
from voxplain.cohort import load_atlas, mni152_brain_mask
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError, NetworkError, StudyError
from voxplain.fit import Outcome
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.pipeline.trust import opening as opened
from voxplain.pipeline.trust.case import Case, MethodMaps
from voxplain.pipeline.trust.confounding import Confounding
from voxplain.pipeline.trust.data import atlas, knowledge, origin, scans
from voxplain.pipeline.trust.maps import between, reference, reproduce
from voxplain.pipeline.trust.maps.again import Maker
from voxplain.pipeline.trust.opening import TrustOptions, budget_seconds
from voxplain.pipeline.trust.registry import Plan
from voxplain.pipeline.trust.training import layers, null, own, power, trainings
from voxplain.pipeline.trust.training.beside import Beside, beside, comparison_of
from voxplain.pipeline.trust.training.encoding import EncodingFinding
from voxplain.pipeline.trust.training.measured import encoding_measurements, null_measurements
from voxplain.pipeline.trust.training.own import kept, read_own_study
from voxplain.pipeline.trust.training.trainings import OwnMaps
from voxplain.pipeline.truth import Truth
from voxplain.progress import Silent
from voxplain.results.trust import Measurement
from voxplain.study import Study, StudyReader
from voxplain.trust import Agreement
from voxplain.trust.retraining import Retraining
from voxplain.trust.rules import apply
from voxplain.trust.truth.calls import Calls
from voxplain.volume import Cohort, smooth

GRID = Grid((12, 10, 11), np.diag([8.0, 8, 8, 1]))
NUMBERS = (np.arange(12.0) - 5) ** 2


def cohort_of(images: Sequence[np.ndarray], grid: Grid = GRID, **columns: object) -> Cohort:
    names = [f"{i:02d}" for i in range(len(images))]
    labels = np.where(np.arange(len(images)) % 2, "b", "a")
    table = pd.DataFrame({"participant_id": names, "label": labels, **columns})
    return Cohort(table, ("a", "b"), grid, lambda i: np.asarray(images[i], np.float32))


class Fit(SimpleNamespace):
    """A network of a fold, alone."""

    @property
    def together(self) -> tuple[Fit, ...]:
        return (self,)


def case_of(folder: Path, cohort: Cohort, **changes: object) -> Case:
    """A study of two folds, even and odd pairs of scans, that predicts every class."""
    labels = np.arange(len(cohort)) % 2
    halves = [np.flatnonzero(np.arange(len(cohort)) // 2 % 2 == k).tolist() for k in (0, 1)]
    fits = [
        Fit(rows=rows, class_names=("a", "b"), outcome="label", scale=(0.0, 1.0)) for rows in halves
    ]
    told: dict[str, Any] = {
        "study": Study(folder, "voxplain study", "0"),
        "cohort": cohort,
        "network": "net",
        "fits": fits,
        "outcome": Outcome("label", labels, ("a", "b")),
        "groups": None,
        "outputs": 4.0 * np.eye(2)[labels],
        "fit": {},
        "methods": {},
        "engine": Engine("cpu"),
    }
    return Case(**told | changes)


def numbers_case(folder: Path, cohort: Cohort, outputs: np.ndarray) -> Case:
    """The same of a number, which is 40 and 2 times the output."""
    fits = [
        Fit(rows=rows, class_names=(), outcome="age", scale=(40.0, 2.0))
        for rows in (list(range(6)), list(range(6, 12)))
    ]
    outcome = Outcome("age", NUMBERS)
    return case_of(folder, cohort, fits=fits, outcome=outcome, outputs=outputs[:, None])


def a_map(row: int, values: np.ndarray, target: str = "a", fold: int = 0, **told: object) -> Any:
    sidecar = {"Target": target, "request": {}, **told}
    return SimpleNamespace(
        row=row, fold=fold, sidecar=sidecar, load=lambda: SimpleNamespace(values=values)
    )


def maps_of(method: str, *maps: Any, rule: str = "own", **options: object) -> MethodMaps:
    return MethodMaps(method, options, "auto", rule, 0, tuple(maps))


def run(module: Any, case: Case, plan: Plan | None = None) -> dict[tuple[str, str | None], Any]:
    found = module._run(case, plan or Plan(), Silent())
    return {(one.test, one.method): one for one in found}


def brains(count: int = 10) -> list[np.ndarray]:
    """Brains that have more on their right."""
    rng = np.random.default_rng(0)
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in GRID.shape), indexing="ij"))
    brain = (at**2).sum(0) < 0.8
    shape = 1 + 0.4 * np.clip(at[0], 0, None)
    return [brain * (shape + 0.02 * rng.normal(size=GRID.shape)) for _ in range(count)]


def test_mirrored_scans_are_named(tmp_path: Path) -> None:
    images = brains()
    same = run(scans, case_of(tmp_path, cohort_of(images)))["left-right", None]
    assert (same.value, same.words) == (0, "All scans have the same sides.")
    images[3] = images[3][::-1]
    found = run(scans, case_of(tmp_path, cohort_of(images)))["left-right", None]
    assert (found.value, found.words) == (1, "03 is more like the others once mirrored.")
    assert apply(found).outcome == "fail"
    for row in (1, 6, 8):
        images[row] = images[row][::-1]
    many = run(scans, case_of(tmp_path, cohort_of(images)))["left-right", None]
    assert many.words == "01, 03, 06 and 1 more are more like the others once mirrored."


def test_sides_are_not_told_of_few_or_symmetric_brains(tmp_path: Path) -> None:
    few = run(scans, case_of(tmp_path, cohort_of(brains(7))))["left-right", None]
    assert (few.value, few.words[:15]) == (None, "8 scans or more")
    even = [0.5 * (one + one[::-1]) + 0.05 * one for one in brains()]
    noise = np.random.default_rng(1)
    even = [one + 0.3 * noise.normal(size=GRID.shape) * (one > 0) for one in even]
    found = run(scans, case_of(tmp_path, cohort_of(even)))["left-right", None]
    assert found.words == "These brains are too symmetric for telling their sides apart."


def test_intensities_that_wrapped_round_are_named(tmp_path: Path) -> None:
    images = brains()
    images[4] = (images[4] > 0) * np.where(np.indices(GRID.shape).sum(0) % 2, 1, 0.01)
    found = run(scans, case_of(tmp_path, cohort_of(images)))["intensities", None]
    assert (found.value, apply(found).outcome) == (1, "fail")
    assert found.words.startswith("Neighbours jump in 04 in 100% of pairs, in others in 0.0%")


def test_scans_are_read_alike_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(tmp_path, cohort_of(brains(4)))
    held = run(scans, case)
    monkeypatch.setattr(scans, "_IN_MEMORY", 0)
    assert run(scans, case) == held


def test_one_scan_has_no_copies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Two scans or more are needed"):
        scans._reads(case_of(tmp_path, cohort_of(brains(1))))


def test_an_atlas_beside_the_brains_is_told_by_how_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = KAN2020_GRID.recut(12.0)
    # Coarse, for its outline takes seconds.
    monkeypatch.setattr(atlas, "load_atlas", lambda name: load_atlas(name).on(grid))
    template = mni152_brain_mask(grid).astype(np.float32)
    names = {"region-ablation": maps_of("region-ablation", regions="atlas AAL, 116 regions")}
    # Of scans that say they lie 12 mm further to the front.
    moved = cohort_of([template] * 2, grid.moved(np.array([0.0, 12.0, 0.0])))
    case = case_of(tmp_path, moved, methods=names)
    found = run(atlas, case)["atlas", None]
    assert found.value == pytest.approx(12, abs=2)
    assert found.figures["AAL"] == pytest.approx([0, 12, 0], abs=2)
    assert f"moved by {found.value:.1f} mm (" in found.words
    study = case.study
    study.write_json("group.json", {"tests": {"group/one": {}}})
    study.write_json("group/one_test.json", {"request": {"atlas": "HCPEx"}})
    assert atlas.atlases_of(case) == ["AAL", "HCPEx"]


def blobs(seed: int, weight: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared = smooth(np.random.default_rng(9).normal(size=GRID.shape), GRID, 24.0)
    return weight * shared + smooth(rng.normal(size=GRID.shape), GRID, 24.0)


def test_methods_that_agree_are_told_from_those_that_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(between, "_DRAWS", 20)
    alike = [blobs(1, 3.0), blobs(2, 3.0), blobs(3)]
    methods = {
        name: maps_of(name, a_map(0, values), a_map(1, -values, "b", 1))
        for name, values in zip(("gradient", "smoothgrad", "lrp"), alike, strict=True)
    }
    methods["grad-cam"] = maps_of("grad-cam", a_map(0, alike[0], "c"))
    case = case_of(tmp_path, cohort_of(brains(4)), methods=methods)
    found = run(between, case, Plan(settings={"agreement": True}))
    brain = case.brain
    strong = [np.abs(smooth(one, GRID, between.FWHM_MM))[brain] for one in alike]
    one = found["agreement", "gradient"]
    assert one.value == pytest.approx(spearmanr(strong[0], strong[1])[0], abs=1e-6)
    assert one.figures["lrp"] == pytest.approx(spearmanr(strong[0], strong[2])[0], abs=1e-6)
    assert one.value > one.limit > one.chance
    assert one.words.startswith("Its mean map agrees most with that of SmoothGrad: rank corr")
    alone = found["agreement", "grad-cam"]
    assert (alone.value, alone.words) == (None, "No other method explained the same target.")
    few = found["confounded", "gradient"]
    assert (few.value, few.words) == (None, "10 maps or more are needed; there are 2.")


def test_maps_of_another_shape_are_left_out_of_what_is_compared(tmp_path: Path) -> None:
    case = case_of(tmp_path, cohort_of(brains(4)))
    odd = a_map(1, np.ones((3, 3, 3)))
    assert between._strong(case, maps_of("gradient", odd)) == {}
    whole = maps_of("gradient", a_map(0, blobs(0)), odd)
    assert list(between._strong(case, whole)) == ["a"]


def test_maps_that_follow_head_size(tmp_path: Path) -> None:
    size = np.random.default_rng(3).normal(1200, 80, 12)
    cohort = cohort_of(brains(12), brain_ml=size)
    pattern = blobs(5)
    rows = [
        a_map(i, pattern + (size[i] - 1200) / 100 * blobs(6), "ab"[i % 2], i // 2 % 2)
        for i in range(12)
    ]
    case = case_of(tmp_path, cohort, methods={"gradient": maps_of("gradient", *rows)})
    found = run(between, case)["confounded", "gradient"]
    assert found.value > 0.8
    assert apply(found).outcome == "fail"
    assert "of the variance of maps over scans follows head size" in found.words
    # Each scan for a target of its own: nothing is left to be compared.
    apart = [replace_target(one, str(i)) for i, one in enumerate(rows)]
    case = case_of(tmp_path, cohort, methods={"gradient": maps_of("gradient", *apart)})
    found = run(between, case)["confounded", "gradient"]
    assert found.words == "No network explained three scans for one target."
    # Of another shape, maps are left out.
    odd = [a_map(i, np.ones((3, 3, 3)), "ab"[i % 2]) for i in range(3)]
    case = case_of(tmp_path, cohort, methods={"gradient": maps_of("gradient", *odd, *rows[3:])})
    found = run(between, case)["confounded", "gradient"]
    assert found.words == "10 maps or more are needed; there are 9."


def replace_target(one: Any, target: str) -> Any:
    return SimpleNamespace(**vars(one) | {"sidecar": one.sidecar | {"Target": target}})


def test_head_size_is_measured_where_the_table_has_none() -> None:
    images = [np.zeros(GRID.shape) for _ in range(4)]
    for i, image in enumerate(images):
        image[3 : 5 + i, 3:6, 3:6] = 1
    found = Confounding(
        cohort_of(images, age=[20, 50, 30, 60]), Outcome("label", np.arange(4) % 2, ("a", "b"))
    )
    assert found.names == ["head size", "age"]
    # Nine voxels a slice of .512 mL each.
    assert found.features["brain_ml"].tolist() == pytest.approx(
        [9 * 0.512 * n for n in (2, 3, 4, 5)]
    )


def test_a_map_of_another_class_or_network_is_named() -> None:
    case: Any = SimpleNamespace(
        weights_sha256=("one", "two"),
        fits=[Fit(class_names=("a", "b"))] * 2,
        explainers=[Fit(place="one"), Fit(place="two")],
        cohort=SimpleNamespace(labels=np.array([0, 1]), subjects=["s0", "s1"]),
        outputs=np.array([[2.0, 1.0], [3.0, 1.0]]),
        sure=lambda row: row == 0,
    )

    def said(row: int, target: str, rule: str, names: Sequence[str] = ("a", "b")) -> str:
        request = {"input_sha256": "scan", "class_names": list(names)}
        one = a_map(row, np.zeros(1), target, Provenance={"weights_sha256": "one"}, request=request)
        return origin._stranger(case, maps_of("gradient", one, rule=rule), one, "scan")

    assert said(0, "a", "own") == said(1, "b", "own") == said(0, "a", "predicted") == ""
    assert said(1, "a", "own") == "for another class than the own one"
    assert said(0, "b", "predicted") == "for another class than the predicted one"
    # Rounding may have turned a prediction that is on the edge.
    assert said(1, "b", "predicted") == ""
    assert said(0, "b", "b") == ""
    assert said(0, "a", "own", ("a", "c")) == "of a network with other classes"
    seen = a_map(1, np.zeros(1), Provenance={"weights_sha256": "two"})
    assert origin._seen(case, seen, [{"s0"}, {"s1"}]) == (
        "by the network of fold 2, which had the scan in training"
    )
    assert origin._seen(case, seen, [{"s1"}, {"s0"}]) == ""


def turned(affine: np.ndarray) -> np.ndarray:
    return affine @ np.diag([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    ("shape", "affine", "said"),
    [
        (GRID.shape, GRID.affine, ""),
        ((10, 12, 11), GRID.affine, "with axes swapped"),
        ((12, 10, 12), GRID.affine, "of another shape"),
        (GRID.shape, np.eye(4), "saved with an identity affine"),
        (GRID.shape, GRID.affine + np.eye(4, k=3), "shifted in space"),
        (GRID.shape, turned(GRID.affine), "turned or mirrored in space"),
        ((), GRID.affine, "damaged"),
    ],
)
def test_a_map_in_a_wrong_place_is_named(
    tmp_path: Path, shape: tuple[int, ...], affine: np.ndarray, said: str
) -> None:
    path = tmp_path / "map.nii.gz"
    if shape:
        nib.save(nib.Nifti1Image(np.zeros(shape, np.float32), affine), path)
    else:
        path.write_bytes(b"no image")
    one: Any = SimpleNamespace(path=path, sidecar={"Grid": {"affine": GRID.affine.tolist()}})
    case: Any = SimpleNamespace(study=StudyReader(tmp_path))
    assert origin._misplaced(case, one, GRID) == said


def first(case: Any, *measured: Measurement) -> str:
    return knowledge.first_line(case, [apply(one) for one in measured])


def test_the_first_line_says_what_was_tested() -> None:
    classes = Outcome("label", np.arange(6) % 3, ("a", "b", "c"))
    case: Any = SimpleNamespace(network="net", outcome=classes)
    assert first(case) == "What net knows was not tested, and maps explain no more than that."
    figures = {"score": 0.9}
    known = Measurement("knowledge-chance", None, 0.01, "It does.", figures=figures)
    start = "net tells a, b, c in scans that it has not seen (AUC 0.90"
    assert first(case, known) == f"{start})."
    untold = Measurement("knowledge-confounds", None, None, "Too few.")
    assert first(case, known, untold) == f"{start})."
    case.outcome = Outcome("age", np.arange(6.0))
    assert first(case, known).startswith("net tells age in scans that it has not seen (corr")


def test_predictions_that_are_all_the_same_are_chance(tmp_path: Path) -> None:
    cohort = cohort_of(brains(12))
    case = numbers_case(tmp_path, cohort, np.full(12, 3.0))
    found = run(knowledge, case)["knowledge-chance", None]
    assert (found.value, found.words) == (1.0, "The predictions are the same for all scans.")
    assert apply(found).outcome == "fail"


def test_targets_are_those_of_the_maps(tmp_path: Path) -> None:
    cohort = cohort_of(brains(12))
    classes = case_of(tmp_path, cohort)
    assert [classes.target(maps_of("gradient"), row) for row in (0, 1)] == [0, 1]
    assert classes.target(maps_of("gradient", rule="predicted"), 1) == "predicted"
    number = numbers_case(tmp_path, cohort, np.arange(12.0))
    assert number.sure(3)
    assert number.target(maps_of("gradient"), 3) == Output("age", 40.0, 2.0)
    assert reference._run(number, Plan(), Silent()) == []


def test_a_method_of_another_version_is_not_made_again(tmp_path: Path) -> None:
    maps = maps_of("gone", a_map(0, blobs(0)), reference="zero")
    methods = {"gone": maps, "gradient": maps_of("gradient", a_map(0, blobs(0)))}
    case = case_of(tmp_path, cohort_of(brains(4)), methods=methods)
    with pytest.raises(InputError, match="'gone' is not one of this version of voxplain"):
        Maker(case, "gone")
    (found,) = reference._run(case, Plan(), Silent())
    assert (found.method, found.value) == ("gone", None)
    assert "is not one of this version" in found.words
    again = reproduce._again(case, maps, 1)
    assert (again.value, again.words) == (None, found.words)


def test_maps_are_made_again_within_the_budget(tmp_path: Path) -> None:
    slow = maps_of("gradient", a_map(0, blobs(0), Seconds=50.0))
    case = case_of(tmp_path, cohort_of(brains(4)), methods={"gradient": slow})
    assert reproduce._plan(case, 10.0) == "The budget has no time for making maps again."
    assert reproduce._again(case, slow, 0).words == "The budget has no time for making a map again."
    undecided = replace(case, outputs=np.ones((4, 2)))
    told = reproduce._again(undecided, replace(slow, rule="predicted"), 1)
    assert told.words.startswith("The network is undecided about every scan")
    assert (
        reproduce._individual(case, slow).words == "No network explained two scans for one target."
    )


class Mean(nn.Module):
    """One class for bright scans, the other for dark ones."""

    def forward(self, x: Any) -> Any:
        level = x.mean((1, 2, 3, 4)) - 0.05
        return nn.functional.pad(level[:, None], (1, 0)) * 100


def test_a_reference_is_judged_by_scans_that_have_the_target(tmp_path: Path) -> None:
    fits = [
        Fit(rows=rows, class_names=("a", "b"), outcome="label", scale=(0.0, 1.0), load=Mean().eval)
        for rows in ([0, 1], [2, 3])
    ]
    told = {"path": "straight", "steps": 4, "reference": "zero"}
    for level, count in ((1.0, 4), (0.0, 0)):
        images = [level * one for one in brains(4)]
        made = [a_map(i, blobs(0), "b", i // 2) for i in range(4)]
        maps = maps_of("integrated-gradients", *made, rule="b", **told)
        case = case_of(
            tmp_path, cohort_of(images), fits=fits, methods={"integrated-gradients": maps}
        )
        shares = [reference._kept(case, Maker(case, maps.method), one, _method()) for one in made]
        assert sum(one is not None for one in shares) == count
        (found,) = reference._of_method(case, maps.method)
        words = f"scans are needed to which the network gives the target; {count} were."
        assert (found.value is None) == (words in found.words) == (count < reference._FEWEST)


def _method() -> Any:
    return make_method("integrated-gradients", {"reference": "zero"})


def test_budgets_and_numbers_of_scans_that_cannot_be(tmp_path: Path) -> None:
    assert budget_seconds("1.5h") == 5400
    with pytest.raises(InputError, match=r"--budget must be .* such as 30m or 2h; '5 days'"):
        budget_seconds("5 days")
    with pytest.raises(InputError, match=r"numbers of scans of 4 or more.*; 50, 3 was given"):
        TrustOptions(tmp_path, power=(50, 3))


def summary(study: Path, content: Mapping[str, object]) -> None:
    Study(study, "voxplain study", "0").write_json("summary.json", content)


def test_a_study_without_maps_is_refused(tmp_path: Path) -> None:
    options = {"networks": ["net"], "folds": 3}
    summary(tmp_path, {"fit": {"options": options, "models": {"net": {}}}})
    with pytest.raises(StudyError, match=r"has no maps of net to be judged; run 'voxplain explain"):
        read_own_study(tmp_path)


def test_what_was_found_is_kept_for_its_request(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"value": len(made)}

    assert kept(tmp_path, "found.json", {"n": 1}, make) == {"value": 1}
    assert kept(tmp_path, "found.json", {"n": 1}, make) == {"value": 1}
    assert kept(tmp_path, "found.json", {"n": 2}, make) == {"value": 2}


AGREED = Agreement(0.05, 0.1, 0.05, 0.05, 0.1, 0.4, 0.3, 100, 0.2)


def test_what_other_networks_keep_is_a_share_of_what_own_ones_share() -> None:
    alike = Retraining(0.8, 0.5, 0.5, 0.1, 3)
    assert Beside("G", "a", alike, AGREED).kept == pytest.approx((0.5 - 0.2) / (0.8 - 0.2))
    assert Beside("G", "a", None, AGREED).kept is None
    assert Beside("G", "a", replace(alike, own=0.25), AGREED).kept is None
    assert Beside("G", "a", replace(alike, own=0.1), AGREED).kept is None


def test_few_folds_are_compared_as_far_as_they_go(tmp_path: Path) -> None:
    cohort = cohort_of(brains(4))
    how = replace(comparison_of(cohort, 0, 20))
    maps = {fold: blobs(fold, 3.0) for fold in range(2)}
    ours = OwnMaps("a", {0: [0, 1], 1: [2, 3]}, maps)
    alone = beside("gradient", ours, {0: blobs(7)}, how)
    assert (alone.retraining, alone.kept) == (None, None)
    same = beside("gradient", ours, maps, how)
    assert same.retraining is not None
    assert same.agreement.spearman == pytest.approx(1)
    places = [np.zeros(GRID.shape, bool)]
    places[0][4:6, 4:6, 4:6] = True
    judged = null._judged("gradient", ours, maps, places, how, 0)
    # Two folds of one place: no shares, and both are called alike.
    assert (judged.shared, judged.called) == (None, judged.called_own)
    bare = replace(how, envelope=None)
    with pytest.raises(ValueError, match="needs an envelope"):
        beside("gradient", ours, maps, bare)
    with pytest.raises(ValueError, match="needs an envelope"):
        null._judged("gradient", ours, maps, places, bare, 0)


def test_what_could_not_be_compared_is_said() -> None:
    few = Calls(1, 20, 3, 0.5)
    method = null.NullMethod("Gradient", "a", None, few, few)
    found = null.NullFinding(40, 2, "accuracy", 0.5, 0.6, 0.1, {"gradient": method})
    maps, calls = null_measurements(found)
    assert maps.words == "Fewer than three folds have a map of Gradient for a."
    assert (maps.value, apply(maps).outcome) == (None, "not tested")
    assert "in 1 of 20 regions" in calls.words
    one = Beside("Gradient", "a", Retraining(0.8, 0.5, 0.5, 0.1, 3), AGREED)
    learnt = EncodingFinding(40, 3, 1.0, "accuracy", 0.8, 0.01, 0.9, {"gradient": one})
    (known,) = encoding_measurements(learnt)
    assert known.value == 0.4
    assert "; 50 % of what two own folds share" in known.words
    (unknown,) = encoding_measurements(replace(learnt, value=0.52, p=0.4))
    assert (unknown.value, apply(unknown).outcome) == (None, "not tested")
    assert "On inverted scans the network learns nothing (accuracy .52)" in unknown.words


def test_networks_for_numbers_are_asked_for_the_number() -> None:
    asked = trainings._target(Outcome("age", NUMBERS), "age", (40.0, 2.0))
    assert asked == Output("age", 40.0, 2.0)
    assert trainings._target(Outcome("label", np.arange(2), ("a", "b")), "b", (0.0, 1.0)) == 1
    # Of a correlation of .5, two thirds of a bivariate normal have both of one sign.
    assert own._accuracy({"r": {"mean": 0.5}}) == pytest.approx(2 / 3)
    assert own._accuracy({"accuracy": {"mean": None, "pooled": 0.7}, "r": {"mean": 0.5}}) == 0.7
    assert own._accuracy({"roc_auc": {"mean": 0.9}}) is None


def test_of_an_effect_that_no_number_of_scans_teaches_nothing_is_told() -> None:
    said = power._say((20, 40), None, {"gradient": None})
    assert said.startswith("Of 20, 40 scans, no number is enough for the network to learn")
    assert power._say((20, 40), 40, {"gradient": 40, "lrp": None}) == (
        "Of 20, 40 scans, the network learns the planted effect from 40 on; maps find it: Gradient "
        "from 40 on; not with any of these numbers: Layer-wise relevance propagation."
    )


def test_a_part_of_scans_whose_truth_is_lost_is_not_made(tmp_path: Path) -> None:
    cohort = cohort_of(brains(8))
    for name in ("cohort", power._WITHOUT):
        write_store(tmp_path / "spike" / name, cohort, "test")
    asked: Any = SimpleNamespace(seed=0)
    with pytest.raises(StudyError, match="holds no truth; delete it, and it is made again"):
        power._write_part(asked, tmp_path / "spike", tmp_path / "part", 4, Silent())


def test_a_sweep_over_layers_names_those_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = cohort_of(brains(8))
    Study(tmp_path / "spike-1", "voxplain study", "0")
    write_store(tmp_path / "spike-1/cohort", cohort, "test")
    asked: Any = SimpleNamespace(
        place=lambda name: tmp_path / name,
        request=lambda **told: told,
        layer_of=lambda name: "own",
        seed=0,
    )
    planted: Any = SimpleNamespace(
        number=1, dprime=2.0, trial=SimpleNamespace(maps={"gradient": None}, folds=2)
    )
    assert layers.layer_sweep(asked, planted, Silent()) == {}
    folds = [Fit(load=nn.Identity, rows=[0, 1, 2, 3]), Fit(rows=[4, 6])]
    monkeypatch.setattr(layers, "networks_of_trial", lambda *_: folds)
    planted.trial.maps = {"grad-cam": None}
    assert layers.layer_sweep(asked, planted, Silent()) == {}
    assert layers._cases(cohort, folds) == [[1, 3], []]
    support = np.zeros(GRID.shape, bool)
    support[4:6, 4:6, 4:6] = True
    truth = Truth(support, brains(1)[0] > 0, None)
    monkeypatch.setattr(layers, "read_truth", lambda folder: truth)
    monkeypatch.setattr(layers, "layers_of", lambda *_: {"first": (4, 4, 4), "gone": (2, 2, 2)})
    monkeypatch.setattr(layers, "options_of", lambda *_: {"grad-cam": {}})

    def mean(own: Any, name: str, layer: str, *_: Any) -> tuple[np.ndarray, str]:
        if layer == "gone":
            raise NetworkError("It is not there.")
        return support.astype(np.float32), layer

    monkeypatch.setattr(layers, "_mean", mean)
    found = layers._swept(asked, planted, ["grad-cam"], Silent())["grad-cam"]
    scores = {row["layer"]: row for row in found["scores"]}
    assert found["taken"] == "own"
    assert scores["gone"]["failed"] == "It is not there."
    assert scores["gone"]["average_precision"] == 0
    assert scores["first"]["average_precision"] == scores["own"]["average_precision"] > 0.9


def test_a_mean_over_folds_leaves_out_those_without_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = cohort_of(brains(4))
    made = [SimpleNamespace(values=blobs(i), provenance=SimpleNamespace(layer="5")) for i in (1, 2)]
    monkeypatch.setattr(layers, "explained", lambda *_: made)
    folds: Any = [Fit(load=nn.Identity)] * 2
    asked: Any = SimpleNamespace(device="cpu")
    mean, path = layers._mean(asked, "grad-cam", "auto", folds, [[], [1, 3]], cohort, {})
    np.testing.assert_allclose(mean, (blobs(1) + blobs(2)) / 2, atol=1e-6)
    assert path == "5"


def test_guided_methods_tell_how_many_rectifiers_they_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = cohort_of(brains(4))
    notes = ["4 ReLU calls let through positive gradients alone"]
    made = [a_map(i, blobs(i), Provenance={"notes": notes}) for i in (0, 1)]
    methods = {"guided-backprop": maps_of("guided-backprop", *made)}
    case = case_of(tmp_path, cohort, methods=methods)
    monkeypatch.setattr(origin.TrainingRecord, "read", lambda *_: None)
    for name in ("_stranger", "_seen", "_misplaced"):
        monkeypatch.setattr(origin, name, lambda *_: "")
    for fit in case.fits:
        vars(fit)["place"] = "model"
    found = run(origin, case)["relu", "guided-backprop"]
    assert (found.value, found.words) == (4, "4 of the network's rectifiers were reached.")


@pytest.mark.filterwarnings("ignore:Subject:voxplain.errors.VoxplainWarning")
def test_maps_of_methods_that_look_at_all_scans_are_made_again(tmp_path: Path) -> None:
    """A mask that all scans of a fold share does not change with those that are asked for."""
    fits = [
        Fit(rows=rows, class_names=("a", "b"), outcome="label", scale=(0.0, 1.0), load=Mean().eval)
        for rows in ([0, 1, 2, 3], [4, 5, 6, 7])
    ]
    cohort = cohort_of(brains(8))
    labels = ["ab"[i % 2] for i in range(8)]
    whole = {fold: explain_many(cohort, range(4 * fold, 4 * fold + 4), labels) for fold in (0, 1)}
    made = [a_map(i, whole[i // 4][i % 4], labels[i], i // 4) for i in range(8)]
    case = case_of(
        tmp_path, cohort, fits=fits, methods={"meaningful-perturbation": maps_of(
            "meaningful-perturbation", *made, **MASK)}
    )  # fmt: skip
    again = Maker(case, "meaningful-perturbation").of_scans([1, 6])
    assert again[1].any()
    np.testing.assert_allclose(again[1], whole[0][1], atol=1e-5)
    np.testing.assert_allclose(again[6], whole[1][2], atol=1e-5)


MASK: dict[str, Any] = {"cohort": True, "reference": "zero", "optimiser.iterations": 20}


def explain_many(cohort: Cohort, rows: Sequence[int], labels: Sequence[str]) -> list[np.ndarray]:
    from voxplain.attribution import iter_explain

    targets = ["ab".index(labels[row]) for row in rows]
    made = iter_explain(
        Mean().eval(), [cohort[row] for row in rows], "meaningful-perturbation", targets,
        class_names=("a", "b"), engine=Engine("cpu"), **MASK,
    )  # fmt: skip
    return [one.values for one in made]


def test_predictions_and_maps_of_other_networks_are_not_taken(tmp_path: Path) -> None:
    cohort, study = cohort_of(brains(2)), Study(tmp_path, "voxplain study", "0")
    outcome = Outcome("label", np.arange(2), ("a", "b"))
    head = "scan\trepeat\tfold\tlogit_a\tlogit_b\n"
    rows = ("sub-00\t1\t1\t0.5\t2\n", "sub-01\t2\t1\t9\t9\n", "sub-01\t1\t1\t3\t4\n")
    study.write_text("model/net/predictions.tsv", "".join([head, *rows[:2]]))
    with pytest.raises(StudyError, match=r"has no prediction for 1 of 2 scans, such as 01; run"):
        opened._predictions(study, "net", cohort, outcome, 1)
    study.write_text("model/net/predictions.tsv", "".join([head, *rows[::-1]]))
    found = opened._predictions(study, "net", cohort, outcome, 1)
    np.testing.assert_array_equal(found, [[0.5, 2], [3, 4]])
    told = {"Method": "gradient", "Network": "other", "Subject": "00"}
    held: Any = SimpleNamespace(
        all_maps=lambda: [(tmp_path, told)], folder=tmp_path, require_whole_maps=lambda: None
    )
    assert opened._methods(held, "net", cohort, ()) == {}
    with pytest.raises(StudyError, match=r"has no maps of net by gradient; run 'voxplain explain'"):
        opened._methods(held, "net", cohort, ("gradient",))


def test_the_width_of_a_reference_may_be_told_in_voxels(tmp_path: Path) -> None:
    fit = Fit(
        rows=[0, 1], class_names=("a", "b"), outcome="label", scale=(0.0, 1.0), load=Mean().eval
    )
    maps = maps_of("meaningful-perturbation", a_map(1, blobs(0), "b"), rule="b")
    cohort = cohort_of([one**2 for one in brains(2)])
    case = case_of(tmp_path, cohort, fits=[fit], methods={maps.method: maps})
    shares = []
    for units, blur in (("voxel", 2.0), ("mm", 16.0), ("mm", 2.0)):
        made = make_method(maps.method, {"units": units, "blur": blur})
        shares.append(reference._kept(case, Maker(case, maps.method), maps.maps[0], made))
    assert shares[0] == pytest.approx(shares[1])
    assert shares[0] != pytest.approx(shares[2])
