"""The tests of a study that train: what is planted, shuffled, inverted, and how many scans."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from torch import nn

from voxplain.attribution import Engine
from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError, StudyError
from voxplain.fit import Outcome, Schedule
from voxplain.grid import Grid
from voxplain.nets import load_into, read_weights
from voxplain.phantom import dprime_of
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.run import explain_study
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.trust.maps import reproduce
from voxplain.pipeline.trust.maps.again import Maker
from voxplain.pipeline.trust.opening import TrustOptions, open_case
from voxplain.pipeline.trust.registry import Plan
from voxplain.pipeline.trust.training import null, spike, trial
from voxplain.pipeline.trust.training.beside import brain_of
from voxplain.pipeline.trust.training.budget import SpikeSize, read_costs
from voxplain.pipeline.trust.training.encoding import encoding_test, inverted_cohort
from voxplain.pipeline.trust.training.layers import layer_sweep, layers_of
from voxplain.pipeline.trust.training.null import null_test, shuffled_outcome
from voxplain.pipeline.trust.training.own import OwnStudy, read_own_study
from voxplain.pipeline.trust.training.places import regions_within
from voxplain.pipeline.trust.training.planted import Planted, find_planted, next_dprime
from voxplain.pipeline.trust.training.power import nested_rows, passes_from, power_curve
from voxplain.pipeline.trust.training.retrained import RETRAINED, SPIKE_IN
from voxplain.pipeline.trust.training.spike import spike_in
from voxplain.pipeline.trust.training.trainings import own_maps
from voxplain.pipeline.trust.training.trial import Trial
from voxplain.pipeline.truth import read_truth
from voxplain.progress import Silent
from voxplain.study import Study
from voxplain.trust import TMap, localise, strength
from voxplain.trust.rules import RULES, apply
from voxplain.volume import Cohort

GRID = Grid(
    (14, 16, 14), np.array([[12.0, 0, 0, -78], [0, 12, 0, -108], [0, 0, 12, -66], [0, 0, 0, 1]])
)
NET = "test_trust_retrained:tiny"
PLACE = "ball:0,-20,15,30"
QUICK = Schedule(epochs=6, batch_size=6, learning_rate=0.01, mirror=False)


def tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.AvgPool3d(2), nn.Conv3d(4, 4, 3),
        nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 5 * 4, 2),
    )  # fmt: skip


def make_study(folder: Path, n: int = 32) -> Path:
    """Brains of an ellipsoid, of which one class is brighter in front."""
    rng = np.random.default_rng(0)
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in GRID.shape), indexing="ij"))
    brain = (at**2).sum(0) < 0.9
    labels = np.arange(n) % 2
    images = 1 + 0.1 * rng.normal(size=(n, *GRID.shape))
    images += 0.5 * labels[:, None, None, None] * (at[1] > 0.4)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "label": np.where(labels == 1, "b", "a"),
            "brain_ml": 1200 + rng.normal(0, 60, size=n),
        }
    )
    values = (images * brain).astype(np.float32)
    Study(folder, "voxplain study", "0")
    write_store(folder / "cohort", Cohort(table, ("a", "b"), GRID, lambda i: values[i]), "test")
    return folder


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trial, "_RESAMPLES", 20)
        patched.setattr(trial, "_DRAWS", 20)
        patched.setattr(null, "_PLACES", 5)
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnStudy:
    study = make_study(tmp_path_factory.mktemp("study"))
    fit = FitOptions(
        study, study, (NET,), folds=4, schedule=QUICK, final=False, baselines=False, device="cpu"
    )
    run_fit(fit, Silent())
    asked = ScanOptions(NET, (), (), study, methods=("gradient", "grad-cam"), target="own")
    explain_study(asked, Silent())
    return read_own_study(study, device="cpu")


@pytest.fixture(scope="module")
def planted(own: OwnStudy) -> object:
    return spike_in(own, Silent(), SpikeSize(1, 3, 3), [PLACE], dprime=6.0)


def test_a_study_tells_how_it_was_made(own: OwnStudy, tmp_path: Path) -> None:
    assert own.schedule == QUICK
    assert (own.network, own.folds, own.methods) == (NET, 4, ("gradient", "grad-cam"))
    assert own.accuracy is not None
    assert own.accuracy > 0.8
    with pytest.raises(StudyError, match=r"has no trained network to be judged; run 'voxplain fit"):
        read_own_study(make_study(tmp_path / "bare"))
    with pytest.raises(StudyError, match=f"no trained network 'sfcn'; it has {NET}"):
        read_own_study(own.folder, "sfcn")


def test_a_planted_effect_is_learned_and_found(own: OwnStudy, planted: object) -> None:
    one = planted.planted[0]
    assert one.trial.accuracy > 0.85
    assert one.trial.learned
    assert one.strength == pytest.approx(6 * 0.13)
    found = planted.methods["gradient"]
    assert found.found
    assert found.average_precision > 3 * found.chance
    # The t-map is made here once more, from the scans alone.
    folder = own.place("spike-1")
    cohort, truth, t_map = open_store(folder / "cohort"), read_truth(folder), TMap()
    for i in range(len(cohort)):
        t_map.add(cohort.load(i), int(cohort.labels[i]))
    again = localise(strength(t_map.t(), cohort.grid, 8.0), truth.support, truth.brain)
    assert found.t_map == pytest.approx(again.average_precision, abs=1e-6)
    assert planted.sentence.startswith(
        "In your own 32 scans, a planted 78 % darkening of one region, which your network learns to"
    )
    assert "found by Gradient (average precision ." in planted.sentence


def test_a_rerun_trains_nothing(own: OwnStudy, planted: object, monkeypatch: object) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("A network was trained again.")

    monkeypatch.setattr("voxplain.pipeline.trust.training.trial.learner_of", refuse)
    assert spike_in(own, Silent(), SpikeSize(1, 3, 3), [PLACE], dprime=6.0) == planted


def test_a_larger_spike_in_goes_on_from_a_smaller_one(
    own: OwnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    train = Learner._train

    def counted(learner: Learner, *args: object) -> object:
        trained.append(1)
        return train(learner, *args)

    monkeypatch.setattr(Learner, "_train", counted)
    apart = replace(own, folder=shutil.copytree(own.folder, own.folder.parent / "apart"))
    shutil.rmtree(apart.folder / "trust", ignore_errors=True)
    few = spike_in(apart, Silent(), SpikeSize(1, 4, 2, 2), [PLACE], dprime=6.0).planted[0].trial
    assert (few.folds, few.split, few.whole, len(trained)) == (2, 4, False, 2)
    assert few.learned
    every = spike_in(apart, Silent(), SpikeSize(1, 4, 4), [PLACE], dprime=6.0).planted[0].trial
    assert (every.folds, every.whole, len(trained)) == (4, True, 4)
    assert layer_sweep(apart, find_planted(apart), Silent())


def test_of_a_network_that_learns_nothing_no_method_is_blamed(own: OwnStudy) -> None:
    still = replace(own, schedule=replace(QUICK, epochs=1, learning_rate=1e-9))
    # The scans are the same, the trainings are not.
    found = spike_in(still, Silent(), SpikeSize(1, 2, 2), [PLACE], dprime=6.0)
    assert not found.planted[0].trial.learned
    assert found.methods == {}
    assert "your network does not learn" in found.sentence
    assert "no method could be tested" in found.sentence


def test_without_hope_no_more_folds_are_trained(own: OwnStudy) -> None:
    still = replace(own, schedule=replace(QUICK, epochs=1, learning_rate=1e-9))
    found = spike_in(still, Silent(), SpikeSize(1, 4, 4, 2), [PLACE], dprime=6.0)
    trial = found.planted[0].trial
    assert (trial.folds, trial.maps) == (2, {})
    assert trial.p > 0.25


def test_another_effect_is_planted_where_one_is_not_learned(
    own: OwnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Effects as the network learns them, from the numbers of those that it does not."""
    asked: list[float] = []

    def planted_as(unlearned: int) -> object:
        def plant(own: OwnStudy, number: int, place: str, kind: str, dprime: float, *_: object):
            asked.append(dprime)
            trial = Trial(32, 2, 4, 0.5, None, None, 0.5 if number <= unlearned else 0.01, {})
            return Planted(number, (place,), kind, dprime, 0.1, 10, trial)

        return plant

    wanted = dprime_of(own.accuracy)
    for unlearned, dprimes in ((0, [1.5]), (1, [1.5, 3.0]), (9, [1.5, 3.0, 6.0])):
        asked.clear()
        monkeypatch.setattr(spike, "plant", planted_as(unlearned))
        found = spike_in(own, Silent(), SpikeSize(1, 4, 2), [PLACE] * 3)
        assert len(found.planted) == len(dprimes)
        assert asked == pytest.approx(np.clip(np.array(dprimes) * wanted, 0.5, 6.0))
    # Of a network whose accuracy nobody knows, the effect stays as it was asked for.
    asked.clear()
    spike_in(replace(own, accuracy=None), Silent(), SpikeSize(1, 4, 2), [PLACE] * 3, dprime=2.0)
    assert asked == [2.0, 2.0, 2.0]


def test_the_next_effect_is_as_hard_as_the_network_needs() -> None:
    wanted = dprime_of(0.8)
    assert next_dprime(2.0, 0.8, wanted) == pytest.approx(2.0)
    assert 2 < next_dprime(2.0, 0.7, wanted) <= 4
    assert 1 <= next_dprime(2.0, 0.95, wanted) < 2
    assert next_dprime(2.0, 0.5, wanted) == pytest.approx(4.0)


def test_maps_of_shuffled_labels_differ(own: OwnStudy) -> None:
    found = null_test(own, Silent(), folds=4)
    assert abs(found.same) < 0.2
    assert found.folds == 4
    assert found.scans == 32
    assert found.p > 0.05
    shared = found.methods["gradient"].shared
    assert shared.p > 0.95
    assert shared.own > shared.other + 0.1
    assert found.methods["gradient"].called.p > 0.01
    # The labels that the networks were trained on are not the study's.
    told = Study(own.place("null-1"), "voxplain study", "0")
    place = "model/test-trust-retrained-tiny/repeat-01/fold-01/training.json"
    labels = told.read_json(place)["request"]["truth"]
    ours = Study(own.folder, "voxplain study", "0").read_json(place)["request"]
    assert labels != ours["truth"]
    assert told.read_json(place)["request"]["scans"] == ours["scans"]


def test_a_network_trained_on_true_labels_again_does_not_differ(
    own: OwnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unshuffled(outcome: Outcome, groups: object, seed: int) -> tuple[Outcome, float]:
        return outcome, 1.0

    monkeypatch.setattr("voxplain.pipeline.trust.training.null.shuffled_outcome", unshuffled)
    alone = replace(own, methods=("gradient",))
    found = null_test(alone, Silent(), folds=4, number=9)
    assert found.value > 0.8
    shared = found.methods["gradient"].shared
    assert shared.p < 0.05
    assert shared.other == pytest.approx(shared.own, abs=0.1)


def test_families_are_shuffled_whole() -> None:
    values = np.repeat([0, 1], 12)
    groups = np.repeat(np.arange(12), 2)
    shuffled, same = shuffled_outcome(Outcome("label", values, ("a", "b")), groups, 0)
    assert abs(same) < 0.2
    assert all(len(set(shuffled.values[groups == g])) == 1 for g in range(12))
    # Two families of other sizes: their labels have nowhere to go.
    apart = Outcome("label", np.array([0, 1, 1]), ("a", "b"))
    with pytest.raises(InputError, match="cannot be shuffled without parting scans"):
        shuffled_outcome(apart, np.array([0, 1, 1]), 0)


def test_inverted_scans_are_inverted_inside_the_brain_alone(own: OwnStudy) -> None:
    cohort = open_store(own.folder / "cohort")
    turned, level = inverted_cohort(cohort)
    before, after = cohort.load(3), turned.load(3)
    inside = before != 0
    np.testing.assert_allclose(after[inside], level - before[inside], atol=1e-5)
    assert not after[~inside].any()
    moved = replace(cohort, load=lambda i: cohort.load(i) - 5)
    np.testing.assert_allclose(inverted_cohort(moved)[0].load(3), after - 5, atol=1e-4)


def test_maps_of_inverted_scans_are_compared(own: OwnStudy) -> None:
    found = encoding_test(own, Silent(), folds=4)
    assert found.value > 0.8
    one = found.methods["gradient"]
    assert one.retraining.other < one.retraining.own
    assert encoding_test(own, Silent(), folds=4) == found


def test_the_last_layer_of_each_resolution() -> None:
    assert layers_of(tiny(), GRID.shape) == {
        "2": (12, 14, 12), "3": (6, 7, 6), "5": (4, 5, 4),
    }  # fmt: skip


def test_layers_are_swept_on_the_planted_effect(own: OwnStudy, planted: object) -> None:
    found = layer_sweep(own, planted.planted[0], Silent())
    assert list(found) == ["grad-cam"]
    one = found["grad-cam"]
    assert [row.layer for row in one.scores] == ["2", "3", "5"]
    assert one.taken in ("5", "4")
    assert one.best.average_precision == max(row.average_precision for row in one.scores)
    # The layer that the trial took gives what the trial found, up to who was explained.
    trial_ap = planted.planted[0].trial.maps["grad-cam"].average_precision
    if one.own is not None:
        assert one.own.average_precision == pytest.approx(trial_ap, abs=0.15)
    assert layer_sweep(own, planted.planted[0], Silent()) == found


def test_power_is_measured_on_nested_parts(own: OwnStudy, planted: object) -> None:
    found = power_curve(own, planted.planted[0], [16, 32], Silent(), folds=3)
    assert [one.scans for one in found.points] == [16, 32]
    assert found.points[1] == planted.planted[0].trial
    part, whole = (open_store(own.place(n) / "cohort") for n in ("power-16", "spike-1"))
    assert set(part.subjects) < set(whole.subjects)
    assert np.bincount(part.labels).tolist() == [8, 8]
    at = whole.subjects.index(part.subjects[5])
    np.testing.assert_array_equal(part.load(5), whole.load(at))
    assert found.passes_from["gradient"] in (16, 32)
    assert "the network learns the planted effect from" in found.sentence
    with pytest.raises(InputError, match=r"from 8, two of each group.* to 32, .*; 33 was given"):
        power_curve(own, planted.planted[0], [33], Silent(), folds=3)


def test_participants_stay_whole_and_parts_are_nested() -> None:
    who = [f"p{i // 2}" for i in range(40)]
    labels = np.array([(i // 2) % 2 for i in range(40)])
    few, many = (nested_rows(who, labels, n, 3) for n in (12, 24))
    assert set(few) < set(many)
    assert np.bincount(labels[few]).tolist() == [6, 6]
    for rows in (few, many):
        chosen = [who[i] for i in rows]
        assert all(chosen.count(one) == 2 for one in set(chosen))


def test_passes_from_is_the_number_after_the_last_failure() -> None:
    assert passes_from([10, 20, 30], [True, False, True]) == 30
    assert passes_from([10, 20, 30], [True, True, True]) == 10
    assert passes_from([10, 20, 30], [True, True, False]) is None


def test_weights_of_the_sub_study_are_those_of_its_own_training(own: OwnStudy) -> None:
    place = "model/test-trust-retrained-tiny/repeat-01/fold-01/weights.safetensors"
    networks = []
    for folder in (own.folder, own.place("spike-1")):
        network = tiny()
        load_into(network, read_weights(folder / place))
        networks.append(network.eval())
    cohort = open_store(own.folder / "cohort")
    one, other = (Engine("cpu").logits(n, [cohort[0]]) for n in networks)
    assert not np.allclose(one, other)


def test_the_verdict_tells_what_trains_before_it_starts(
    own: OwnStudy,
) -> None:
    case = open_case(TrustOptions(own.folder, power=(16, 32), device="cpu"))
    plans = {one.name: one.plan(case, 3600.0) for one in (SPIKE_IN, *RETRAINED)}
    assert plans["spike-in"].settings == {"regions": 3, "split": 4, "folds": 4, "first": 3}
    assert plans["spike-in"].words == "12 trainings on 32 scans with a planted effect"
    assert plans["null"].settings == {"folds": 4}
    assert plans["power"].settings == {"numbers": [16, 32], "folds": 4, "left_out": []}
    late = {one.name: one.plan(case, 0.0) for one in (SPIKE_IN, *RETRAINED)}
    assert all(isinstance(one, str) for one in late.values())
    assert "of the budget was left (by the study's own fit, a training takes" in late["null"]
    without = open_case(TrustOptions(own.folder, device="cpu"))
    told = {one.name: one for one in RETRAINED}["power"].plan(without, 3600.0)
    assert told == "not asked for; give --power 50,100,200"


def test_what_trains_is_measured_for_the_verdict(own: OwnStudy) -> None:
    case = open_case(TrustOptions(own.folder, methods=("gradient", "grad-cam"), device="cpu"))
    tests = {one.name: one for one in RETRAINED}
    measured = {}
    for name in ("null", "encoding", "layers"):
        if name == "layers":
            # Without a spike-in there is nothing to ask about layers; it is made by other tests.
            assert own.place("spike-1").exists()
        plan = tests[name].plan(case, 3600.0)
        measured |= {(one.test, one.method): one for one in tests[name].run(case, plan, Silent())}
    assert set(tests["null"].rules) == {"null-maps", "null-calls"}
    for (test, _), one in measured.items():
        assert test in RULES
        assert one.words.endswith(".")
        assert json.loads(json.dumps(one.figures)) is not None
    assert apply(measured["null-maps", "gradient"]).outcome == "pass"


def test_regions_are_drawn_from_those_in_the_brain(own: OwnStudy) -> None:
    cohort = open_store(own.folder / "cohort")
    brain = brain_of(cohort)
    places = regions_within(cohort, brain, (2.0, 200.0), 3)
    assert len({one.name for one in places}) == len(places) > 1
    assert all((one.voxels <= brain).all() and one.voxels.sum() >= 8 for one in places)
    assert [one.name for one in regions_within(cohort, brain, (2.0, 200.0), 4)] != [
        one.name for one in places
    ]
    # Of the small ones none fills eight voxels of this grid: the largest of them is taken.
    assert len(regions_within(cohort, brain, (2.0, 5.0), 3)) == 1
    assert regions_within(cohort, np.zeros_like(brain), (2.0, 5.0), 3) == []
    assert find_planted(replace(own, folder=own.folder / "nowhere")) is None


def test_places_are_drawn_where_the_brains_are(own: OwnStudy, tmp_path: Path) -> None:
    cohort = open_store(own.folder / "cohort")
    drawn = spike._drawn(own, 3)
    there = [one.name for one in regions_within(cohort, brain_of(cohort), (2.0, 200.0), own.seed)]
    assert len(drawn) == 3
    assert set(drawn) <= set(there)
    away = replace(cohort, grid=cohort.grid.moved(np.array([0.0, 400, 0])))
    write_store(tmp_path / "cohort", away, "test")
    with pytest.raises(InputError, match=r"No region of AAL lies in the brains .*--align affine"):
        spike._drawn(replace(own, folder=tmp_path), 3)
    unknown = replace(own, accuracy=None)
    with pytest.raises(InputError, match="no network whose accuracy the effect could be fitted"):
        spike_in(unknown, Silent(), SpikeSize(1, 4, 4), [PLACE])


def test_what_a_training_takes_is_tried_where_nobody_timed_it(
    own: OwnStudy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Study(tmp_path, "voxplain study", "0")
    shutil.copytree(own.folder / "cohort", tmp_path / "cohort")
    summary = json.loads((own.folder / "summary.json").read_text())
    summary["fit"]["models"][NET]["training_seconds"] = None
    Study(tmp_path, "voxplain study", "0").write_json("summary.json", summary)
    # A clock that goes on by a second whenever it is looked at: one a method, for two scans.
    ticks = iter(range(1000))
    monkeypatch.setattr(
        "voxplain.pipeline.trust.training.budget.perf_counter", lambda: float(next(ticks))
    )
    bare = replace(own, folder=tmp_path)
    costs = read_costs(bare)
    assert costs.source == "a short trial"
    assert costs.explaining == pytest.approx(len(own.methods) / 2)
    # One epoch was trained, of as many as the study's networks have seen.
    told = json.loads(next(tmp_path.rglob("cpu.json")).read_text())
    assert costs.training == told["training"] > 0
    trained = json.loads(next(tmp_path.rglob("training.json")).read_text())
    assert trained["request"]["schedule"]["epochs"] == 1
    assert read_costs(bare) == costs


def test_a_map_of_another_layer_is_named(own: OwnStudy) -> None:
    case = open_case(TrustOptions(own.folder, methods=("grad-cam",), device="cpu"))
    maker = Maker(case, "grad-cam")
    one = case.methods["grad-cam"].maps[0]
    volume = case.cohort[one.row]
    early = maker.by(maker.network(one.fold), volume, one.row, layer="2")
    odd = SimpleNamespace(row=one.row, fold=one.fold, load=lambda: SimpleNamespace(values=early))
    fresh = {one.row: one.load().values}
    assert reproduce._cause(case, maker, [odd], fresh) == "of the layer 2"
    flat = SimpleNamespace(**vars(odd) | {"load": lambda: SimpleNamespace(values=early[0])})
    assert reproduce._cause(case, maker, [flat], fresh) == "of another shape"


def test_layers_and_power_are_measured_on_the_planted_effect(
    own: OwnStudy, planted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = open_case(TrustOptions(own.folder, power=(32,), device="cpu"))
    # Other tests have planted there since, in vain.
    there = [*planted.planted, None]
    found_by = "voxplain.pipeline.trust.training.retrained.find_planted"
    monkeypatch.setattr(found_by, lambda _, number: there[number - 1])
    tests = {one.name: one for one in RETRAINED}
    (found,) = tests["layers"].run(case, tests["layers"].plan(case, 3600.0), Silent())
    swept = layer_sweep(own, planted.planted[0], Silent())["grad-cam"]
    assert (found.test, found.method) == ("layer", "grad-cam")
    if swept.own is not None:
        assert found.value == swept.own.average_precision
    settings = {"numbers": [32], "folds": 3, "left_out": [16]}
    (power,) = tests["power"].run(case, Plan(settings=settings), Silent())
    assert power.words.endswith("Not tested within the budget: 16.")
    assert tests["power"].reads(case)["power"] == [32]
    assert tests["null"].reads(case)["folds"] == 4


def test_what_cannot_be_trained_or_looked_at_says_so(
    own: OwnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = open_case(TrustOptions(own.folder, methods=("gradient",), device="cpu"))
    tests = {one.name: one for one in RETRAINED}
    assert tests["layers"].plan(case, 3600.0) == Plan()
    assert tests["layers"].run(case, Plan(), Silent()) == []
    few = replace(case, fits=case.fits[:2])
    assert "needs 3 networks to be compared with each other, and the study has 2" in (
        tests["null"].plan(few, 3600.0)
    )
    looking = open_case(TrustOptions(own.folder, methods=("grad-cam",), device="cpu"))
    monkeypatch.setattr("voxplain.pipeline.trust.training.retrained.find_planted", lambda *_: None)
    with pytest.raises(StudyError, match="networks of the spike-in, which was not tested"):
        tests["layers"].run(looking, Plan(), Silent())
    with pytest.raises(StudyError, match=f"has no maps of {NET} by lrp; run 'voxplain explain"):
        own_maps(own, "lrp")
    one_each = own_maps(own, "gradient", most=1)
    assert {fold: len(rows) for fold, rows in one_each.rows.items()} == {1: 1, 2: 1, 3: 1, 4: 1}
    with pytest.raises(StudyError, match=f"has no maps of {NET} by lrp; run 'voxplain explain"):
        open_case(TrustOptions(own.folder, methods=("lrp",), device="cpu"))


def test_an_effect_whose_truth_is_lost_is_refused(own: OwnStudy, tmp_path: Path) -> None:
    shutil.copytree(own.folder / "cohort", tmp_path / "cohort")
    with pytest.raises(StudyError, match="holds no truth; delete it, and it is made again"):
        trial._MapJudge(own, tmp_path, 3, Silent())
