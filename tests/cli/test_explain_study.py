"""``voxplain explain STUDY``: each scan by the network that has not seen it."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import ttest_ind
from sklearn.metrics import average_precision_score
from test_fit_command import QUICK, TINY, make_study, tiny, write_block_truth

from voxplain.attribution import Engine
from voxplain.attribution.run import explain
from voxplain.cohort.store.reader import open_store
from voxplain.errors import VoxplainWarning
from voxplain.maps import AttributionMap
from voxplain.nets import load_into, read_weights
from voxplain.pipeline.explain.study.untrained import untrained_network
from voxplain.pipeline.fit import fitted
from voxplain.pipeline.truth import read_truth
from voxplain.study import StudyReader
from voxplain.trust import localise, strength

Run = Callable[..., tuple[int, str, str]]
NET = ("--network", TINY, "--device", "cpu")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return make_study(tmp_path / "study")


def test_maps_of_held_out_scans(run: Run, study: Path) -> None:
    code, _, error = run("explain", study, *NET)
    assert code == 2
    assert f"has no {TINY} for every fold of its cohort; run 'voxplain fit'" in error
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    code, shown, error = run("explain", study, *NET, "--method", "gradient", "--target", "own")
    assert (code, error) == (0, "")
    assert shown.count("statmap.nii.gz") == 2
    cohort = open_store(study / "cohort")
    place = study / "model/test-fit-command-tiny/repeat-01"
    means: dict[int, list[np.ndarray]] = {0: [], 1: []}
    for fold in (1, 2, 3):
        told = json.loads((place / f"fold-{fold:02d}/training.json").read_text())
        network = tiny()
        load_into(network, read_weights(place / f"fold-{fold:02d}/weights.safetensors"))
        held_out = [i for i, name in enumerate(cohort.subjects) if name not in told["train"]]
        assert len(held_out) == 8
        for i in held_out:
            label = int(cohort.labels[i])
            made = explain(network.eval(), cohort[i], "gradient", label, engine=Engine("cpu"))
            word = cohort.class_names[label].capitalize()
            who = f"sub-{cohort.subjects[i]}"
            path = study / f"maps/{who}/{who}_desc-Gradient{word}_statmap.nii.gz"
            image = nib.load(path)
            np.testing.assert_allclose(image.get_fdata(), made.values, atol=1e-3)
            np.testing.assert_allclose(image.affine, cohort.grid.affine)
            means[label].append(made.values)
    for label, name in enumerate(cohort.class_names):
        path = study / f"group/desc-Gradient{name.capitalize()}_stat-mean_statmap.nii.gz"
        np.testing.assert_allclose(nib.load(path).get_fdata(), np.mean(means[label], 0), atol=1e-3)
    found = json.loads((study / "explain.json").read_text())
    assert [one["scans"] for one in found["group"]["gradient"]] == [12, 12]
    assert len(list((study / "figures").glob("desc-Gradient*"))) == 2
    _, shown, _ = run("explain", study, *NET, "--method", "gradient", "--target", "own")
    assert "8 of 8 maps are there already" in shown
    asked = ("--method", "gradient", "--target", "own", "--sample", 7)
    code, shown, error = run("explain", study, *NET, *asked)
    assert (code, error) == (0, "")
    found = json.loads((study / "explain.json").read_text())
    assert (found["scans"], found["seed"]) == (7, 0)
    scans = {one["target"]: one["scans"] for one in found["group"]["gradient"]}
    assert sorted(scans.values()) == [3, 4]
    for label, name in enumerate(cohort.class_names):
        path = study / f"group/desc-Gradient{name.capitalize()}_stat-mean_statmap.nii.gz"
        mean = nib.load(path).get_fdata()
        near = 1e-3 * np.abs(mean).max()
        fits = [
            chosen
            for chosen in combinations(range(12), scans[name])
            if np.allclose(mean, np.mean([means[label][i] for i in chosen], 0), atol=near)
        ]
        assert len(fits) == 1


def test_folds_of_an_earlier_fit_are_in_nobodys_way(run: Run, study: Path) -> None:
    run("fit", study, "--network", TINY, "--cv", 4, "--epochs", 1, "--device", "cpu", "--no-final")
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines", "--replace")
    weights = sorted((study / "model").rglob("weights.safetensors"))
    assert len(weights) == 4
    before = [path.read_bytes() for path in weights]
    code, _, error = run("explain", study, *NET, "--method", "gradient")
    assert (code, error) == (0, "")
    assert json.loads((study / "explain.json").read_text())["folds"] == 3
    run("reclassify", study, *NET, "--cv", 2, "--epochs", 1, "--no-retrain")
    assert [path.read_bytes() for path in weights] == before
    assert len(list((study / "model").rglob("whole-images/*/*/weights.safetensors"))) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("x", "--weights", "y"), "A study has its own weights"),
        (("x", "--preset", "kan2020"), "A study has its own weights"),
        (("x", "--grid", "network"), "There is no cohort in"),
        (("x", "--align", "centre"), "A study has its own weights"),
        (("x", "--classes", 3), "A study has its own weights"),
        (("x", "--class-names", "a,b"), "A study has its own weights"),
        (("x", "--image", "y"), "A study has its own weights"),
        (("x", "--study", "y"), "was given twice, as x and as --study y; leave out --study"),
        (("x", "--sample", 0), "--sample must be 1 or more scans; 0 was given"),
        (
            ("--image", "x", "--out", "y", "--weights", "w", "--sample", 5),
            "--sample draws scans of a study; of single scans, give those you want",
        ),
        (("--image", "x", "--out", "y"), "missing: --weights. To"),
        ((), "missing: --weights, --image, --out. To explain a study"),
        (("x",), "There is no cohort in"),
    ],
)
def test_mistakes(run: Run, options: tuple[str, ...], message: str) -> None:
    code, _, error = run("explain", *NET, *options)
    assert code == 2
    assert message in error


def test_the_former_spelling_works_and_says_the_new_one(run: Run, tmp_path: Path) -> None:
    where = tmp_path / "study"
    with pytest.warns(VoxplainWarning, match="--study is the former spelling and will go; write: "):
        code, _, error = run("explain", "--study", where, *NET)
    assert code == 2
    assert f"There is no cohort in {where}" in error
    with pytest.warns(VoxplainWarning, match="former spelling"):
        _, _, error = run("explain", "--study", where, "--image", "x", *NET)
    assert "give STUDY without options of them" in error


def test_no_more_maps_are_held_than_a_batch(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    study = make_study(tmp_path / "study", n=90)
    run("fit", study, "--network", TINY, *QUICK, "--epochs", 1, "--no-baselines")
    held, most = set[int](), [0]
    settle = AttributionMap.__post_init__

    def counted(map_: AttributionMap) -> None:
        settle(map_)
        held.add(id(map_))
        weakref.finalize(map_, held.discard, id(map_))
        most[0] = max(most[0], len(held))

    monkeypatch.setattr(AttributionMap, "__post_init__", counted)
    asked = ("explain", study, *NET, "--method", "gradient", "--method", "grad-cam")
    networks: set[int] = set()

    def loaded(*given: object) -> object:
        network = load(*given)
        networks.add(id(network))
        weakref.finalize(network, networks.discard, id(network))
        assert len(networks) == 1
        return network

    load = fitted._load
    monkeypatch.setattr(fitted, "_load", loaded)
    assert run(*asked)[0] == 0
    # The map that is written, and the one that is being made: not those of 30 scans of a fold.
    assert 1 <= most[0] <= 4
    most[0] = 0
    code, shown, _ = run(*asked)
    assert (code, shown.count("30 of 30 maps are there already")) == (0, 6)
    assert 1 <= most[0] <= 4


def test_targets_that_are_not_there(run: Run, study: Path) -> None:
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    for target, message in (("man", "target 'man'"), ("2", "Target class 2 is out of range")):
        code, _, error = run("explain", study, *NET, "--target", target)
        assert code == 2
        assert message in error


def test_mean_maps_are_held_against_a_known_truth(run: Run, study: Path) -> None:
    run("fit", study, "--network", TINY, *QUICK, "--epochs", 8, "--no-baselines")
    asked = ("explain", study, *NET, "--method", "gradient", "--target", "case")
    _, shown, _ = run(*asked)
    assert "against the truth" not in shown
    plain = (study / "figures/desc-GradientCase_stat-mean_statmap.png").read_bytes()
    write_block_truth(study)
    code, shown, error = run(*asked)
    assert (code, error) == (0, "")
    (told,) = json.loads((study / "explain.json").read_text())["group"]["gradient"]
    values = nib.load(study / told["map"]).get_fdata()
    score = np.abs(gaussian_filter(values, 8 / (8 * np.sqrt(8 * np.log(2))), mode="constant"))
    truth = np.zeros(score.shape, bool)
    truth[8:14, 8:14, 8:14] = True
    brain = (slice(1, -1),) * 3
    expected = average_precision_score(truth[brain].ravel(), score[brain].ravel())
    assert told["average_precision"] == pytest.approx(expected, rel=0.02)
    assert told["chance_ap"] == pytest.approx(truth[brain].mean())
    assert told["chance_ap"] < told["chance_ap_95"] < 0.5
    assert f"average precision against the truth {told['average_precision']:.3f}" in shown
    assert "edge" in shown
    group = told["judgement"]["group"]
    assert group["found"]["average_precision"]["value"] == told["average_precision"]
    assert group["ceiling"] is None
    assert (group["subjects"], group["networks"]) == (24, 3)
    page = (study / "explain.html").read_text()
    assert f"{told['average_precision']:.3f}" in page
    (summed,) = json.loads((study / "summary.json").read_text())["explain"]["maps"]
    assert summed["judgements"] == told["judgement"]
    assert (study / "figures/desc-GradientCase_stat-mean_statmap.png").read_bytes() != plain


def test_the_t_map_of_training_scans_has_not_seen_the_scan(run: Run, study: Path) -> None:
    """Controls by hand: each fold's t-map is of the scans that it learnt from."""
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    write_block_truth(study)
    cohort = open_store(study / "cohort")
    code, _, error = run("explain", study, *NET, "--method", "gradient", "--target", "case")
    assert (code, error) == (0, "")
    (told,) = json.loads((study / "explain.json").read_text())["group"]["gradient"]
    truth = read_truth(study)
    assert truth is not None
    place = study / "model/test-fit-command-tiny/repeat-01"
    trains = [
        json.loads((place / f"fold-{fold:02d}/training.json").read_text())["train"]
        for fold in (1, 2, 3)
    ]
    total = np.zeros(cohort.grid.shape)
    for train in trains:
        rows = [i for i, name in enumerate(cohort.subjects) if name in train]
        images, labels = cohort.stack(rows), cohort.labels[rows]
        found = ttest_ind(images[labels == 1], images[labels == 0], equal_var=False).statistic
        total += 8 * np.nan_to_num(found)
    score = strength((total / 24).astype(np.float32), cohort.grid, 8.0)
    by_hand = localise(score, truth.support, truth.brain).average_precision
    controls = told["judgement"]["group"]["controls"]
    assert controls["t-map-train"]["average_precision"]["value"] == pytest.approx(by_hand, rel=1e-3)
    assert set(controls) == {
        *("edges", "image", "cohort-mean", "random", "untrained", "t-map-train", "t-map-all")
    }
    assert told["judgement"]["subjects"]["controls"]["t-map-all"]["box_found"] is None


def test_networks_that_were_not_trained_stand_beside(run: Run, study: Path) -> None:
    """Of one scan in five, by the network of its fold as it was before training."""
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    write_block_truth(study)
    cohort, asked = open_store(study / "cohort"), ("--method", "gradient", "--target", "case")
    code, _, error = run("explain", study, *NET, *asked)
    assert (code, error) == (0, "")
    (told,) = json.loads((study / "explain.json").read_text())["group"]["gradient"]
    reader = StudyReader(study)
    folds = fitted.networks_of_folds(reader, TINY, cohort)
    paths = sorted((study / "null/untrained-01/maps").rglob("*.nii.gz"))
    assert len(paths) == 24 // 5
    total = np.zeros(cohort.grid.shape)
    for path in paths:
        row = cohort.subjects.index(path.parent.name.removeprefix("sub-"))
        which = next(n for n, fold in enumerate(folds, start=1) if row in fold.rows)
        network = untrained_network(folds[which - 1], which)
        trained = folds[which - 1].load().state_dict()
        assert not any(torch.equal(v, trained[k]) for k, v in network.state_dict().items())
        made = explain(network, cohort[row], "gradient", 1, engine=Engine("cpu")).values
        near = 1e-4 * np.abs(made).max()
        np.testing.assert_allclose(nib.load(path).get_fdata(), made, atol=near)
        total += made / len(paths)
    truth = read_truth(study)
    assert truth is not None
    score = strength(total.astype(np.float32), cohort.grid, 8.0)
    by_hand = localise(score, truth.support, truth.brain).average_precision
    control = told["judgement"]["group"]["controls"]["untrained"]["average_precision"]["value"]
    assert control == pytest.approx(by_hand, rel=1e-3)
    before = [path.stat().st_mtime_ns for path in paths]
    run("explain", study, *NET, *asked)
    assert [path.stat().st_mtime_ns for path in paths] == before
    code, _, error = run("group", study, "--null", "untrained", "--null-networks", 19)
    assert (code, error) == (0, "")
    assert [path.stat().st_mtime_ns for path in paths] == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_was_trained_on_a_gpu_is_found_and_explained(run: Run, study: Path) -> None:
    on_gpu = ("--network", TINY, "--device", "cuda")
    run("fit", study, *on_gpu, "--cv", 3, "--epochs", 1, "--no-final", "--no-baselines")
    kept = {}
    for device in ("cuda", "cpu"):
        asked = ("--network", TINY, "--device", device, "--method", "gradient")
        code, _, error = run("explain", study, *asked)
        assert (code, error) == (0, "")
        paths = sorted((study / "maps").rglob("*.nii.gz"))
        kept[device] = np.stack([nib.load(path).get_fdata() for path in paths])
        shutil.rmtree(study / "maps")
    np.testing.assert_allclose(kept["cuda"], kept["cpu"], atol=0.01 * np.abs(kept["cpu"]).max())
