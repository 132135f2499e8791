"""``voxplain trust STUDY``: what may be believed of a study that was fitted and explained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from test_fit_command import TINY, make_study

Run = Callable[..., tuple[int, str, str]]
NET = ("--network", TINY, "--device", "cpu")
OFF = ("sanity", "deletion", "faithfulness", "stability", "repeats", "agreement", "confounded")
TRAINED = ("spike-in", "null-maps", "null-calls", "encoding", "layer")


def planned(folder: Path, off: tuple[str, ...]) -> tuple[object, ...]:
    """Arguments that leave out what takes time."""
    place = folder / "rules.toml"
    place.write_text("\n".join(f"[{name}]\noff = true" for name in off))
    return "--budget", "1m", "--rules", place, "--device", "cpu"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which nothing is wrong, fitted and explained once for all tests."""
    from voxplain.fit import Schedule
    from voxplain.pipeline.explain.options import ScanOptions
    from voxplain.pipeline.explain.study.run import explain_study
    from voxplain.pipeline.fit.run import FitOptions, run_fit
    from voxplain.progress import Silent

    rng = np.random.default_rng(1)
    # Age and head size say nothing of the class.
    even = {"age": 40 + rng.normal(size=24), "brain_ml": 1200 + 60 * rng.normal(size=24)}
    folder = make_study(tmp_path_factory.mktemp("trust") / "study", air=4, **even)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(Path(__file__).parent)
        patched.syspath_prepend(str(Path(__file__).parent))
        run_fit(
            FitOptions(
                folder, folder, (TINY,), folds=3, schedule=Schedule(epochs=8), final=False,
                baselines=False, device="cpu",
            ),
            Silent(),
        )  # fmt: skip
        methods = ("gradient", "input-x-gradient")
        explain_study(ScanOptions(TINY, (), (), folder, methods=methods, device="cpu"), Silent())
    return folder


@pytest.fixture
def study(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return Path(shutil.copytree(clean, tmp_path / "study"))


def told(study: Path) -> dict[str, object]:
    return json.loads((study / "trust.json").read_text())


def failed(study: Path) -> dict[str, str]:
    found = told(study)
    tests = [*found["study"], *(t for m in found["methods"].values() for t in m["tests"])]
    return {one["test"]: one["words"] for one in tests if one["outcome"] == "fail"}


def test_a_clean_study_is_believed(run: Run, study: Path, tmp_path: Path) -> None:
    arguments = planned(tmp_path, TRAINED)
    code, shown, error = run("trust", study, "--method", "gradient", *arguments)
    assert (code, error) == (0, "")
    assert "tells control from case in scans that it has not seen (AUC " in shown
    assert "): it knows more than they do." in shown
    found = told(study)
    (verdict,) = found["methods"].values()
    assert verdict["verdict"].startswith("believe")
    assert found["rules"]["edition"] == "4, changed by rules.toml"
    tests = {one["test"]: one for one in verdict["tests"]}
    assert set(tests) == {
        "provenance", "held-out", "grid", "reproduced", "individual", "sanity", "deletion",
        "faithfulness", "stability", "repeats", "confounded",
    }  # fmt: skip
    assert tests["reproduced"]["value"] > 0.9
    assert tests["deletion"]["value"] < 0.05
    figures = tests["deletion"]["figures"]
    for curve in figures["curves"].values():
        assert len(curve["own"]) == len(curve["random"]) == len(curve["random_95"])
    gone, back = (figures["curves"][kind] for kind in ("deletion", "insertion"))
    assert np.mean(gone["own"]) == pytest.approx(figures["lost"])
    # Of a network that one region decides, the score that is lost with it comes back with it.
    assert np.all(np.array(back["own"]) > back["random"])
    assert found["study"][0]["figures"]["score"] > 0.9
    assert found["first"] in (study / "trust.html").read_text()
    # A rerun measures nothing again, and says the same.
    code, shown, _ = run("trust", study, "--method", "gradient", *arguments)
    assert code == 0
    assert "10 of 10 tests were done before" in shown
    assert told(study)["methods"] == found["methods"]


def flip(values: np.ndarray) -> np.ndarray:
    return values[::-1]


def noise(values: np.ndarray) -> np.ndarray:
    seed = int(1e6 * abs(float(values.sum()))) % 2**32
    return np.random.default_rng(seed).normal(size=values.shape)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flip, "with left and right swapped"),
        (np.negative, "of the opposite sign"),
        (noise, "unlike all that was tried"),
        (np.zeros_like, "constant"),
    ],
)
def test_a_wrong_map_is_named(
    run: Run, study: Path, tmp_path: Path, change: Callable[..., np.ndarray], said: str
) -> None:
    for path in (study / "maps").rglob("*Input*_statmap.nii.gz"):
        image = nib.load(path)
        values = np.asarray(image.dataobj, np.float32)
        nib.save(nib.Nifti1Image(change(values).astype(np.float32), image.affine), path)
    code, shown, _ = run("trust", study, *planned(tmp_path, OFF + TRAINED))
    assert code == 3
    assert said in failed(study)["reproduced"]
    verdicts = {name: one["verdict"] for name, one in told(study)["methods"].items()}
    assert verdicts["input-x-gradient"] == "do not believe"
    assert verdicts["gradient"].startswith("believe")
    assert (
        "• Input × gradient: do not believe. The maps are not what this network gives with" in shown
    )


def test_maps_without_their_place_or_of_other_weights(
    run: Run, study: Path, tmp_path: Path
) -> None:
    first, second, *_ = sorted((study / "maps").rglob("*-Gradient*_statmap.nii.gz"))
    image = nib.load(first)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.eye(4)), first)
    sidecar = second.with_name(second.name.replace(".nii.gz", ".json"))
    content = json.loads(sidecar.read_text())
    content["Provenance"]["weights_sha256"] = "0" * 64
    sidecar.write_text(json.dumps(content))
    arguments = planned(tmp_path, OFF + TRAINED)
    code, _, _ = run("trust", study, "--method", "gradient", *arguments)
    assert code == 3
    assert "1 saved with an identity affine" in failed(study)["grid"]
    assert "1 of 24 maps: 1 by other weights" in failed(study)["provenance"]


def edited(study: Path, **columns: object) -> None:
    place = study / "cohort/participants.tsv"
    table = pd.read_csv(place, sep="\t", dtype=str)
    table.assign(**columns).to_csv(place, sep="\t", index=False)


def test_a_network_that_reads_the_site_is_told_so(run: Run, study: Path, tmp_path: Path) -> None:
    edited(study, site=["A", "B"] * 12)
    code, shown, _ = run("trust", study, *planned(tmp_path, OFF + TRAINED))
    assert code == 3
    assert "it reads site, and maps explain site." in shown
    assert {"knowledge-confounds", "class-confounds"} <= set(failed(study))
    assert "• All methods. What the network knows of the outcome is what head size, age" in shown
    assert "• Gradient: do not believe. As for all methods." in shown


def test_a_network_that_knows_nothing_is_told_so(run: Run, study: Path, tmp_path: Path) -> None:
    edited(study, label=["control", "control", "case", "case"] * 6)
    code, shown, _ = run("trust", study, *planned(tmp_path, OFF + TRAINED))
    assert code == 3
    assert "does not know control from case" in shown
    assert "Its maps explain nothing." in shown


def test_siblings_and_copies(run: Run, study: Path, tmp_path: Path) -> None:
    edited(study, family_id=[f"F{i // 4}{i % 2}" for i in range(24)])
    images = np.load(study / "cohort/images.npy")
    images[5] = images[2]
    np.save(study / "cohort/images.npy", images)
    run("trust", study, *planned(tmp_path, OFF + TRAINED))
    found = failed(study)
    assert "have others of their participant or family in another fold" in found["split"]
    assert "05 is the same brain as 02" in found["duplicates"]
    assert "of another scan than the cohort has by this name" in found["provenance"]


def test_what_cannot_be_judged_is_refused_in_a_sentence(
    run: Run, study: Path, tmp_path: Path
) -> None:
    bare = make_study(tmp_path / "bare")
    code, _, error = run("trust", bare)
    assert code == 2
    assert "has no trained network; run 'voxplain fit' on it" in error
    code, _, error = run("trust", study, "--method", "smoothgrad")
    assert (code, "has no maps of" in error, "--method smoothgrad first" in error) == (
        2,
        True,
        True,
    )
    code, _, error = run("trust", study, "--method", "gradiant")
    assert (code, "Did you mean 'gradient'?" in error) == (2, True)
    code, _, error = run("trust", study, "--budget", "soon")
    assert (code, "--budget must be 10m, 1h, night" in error) == (2, True)
    code, _, error = run("trust", study, "--power", "ten")
    assert (code, "'ten' was given" in error) == (2, True)
    rules = tmp_path / "rules.json"
    rules.write_text("{")
    code, _, error = run("trust", study, "--rules", rules)
    assert (code, "are not JSON" in error) == (2, True)
    code, _, error = run("trust", study, "--rules", tmp_path / "none.toml")
    assert (code, "cannot be read" in error) == (2, True)
    shutil.rmtree(study / "maps")
    code, _, error = run("trust", study)
    assert (code, "has no maps of" in error, "run 'voxplain explain'" in error) == (2, True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "0m"), "--budget must be 10m, 1h, night, or minutes or hours"),
        (("--budget", "0"), "'0' was given"),
        (("--budget", "-5m"), "'-5m' was given"),
        (("--power", "16,99"), "to 24, all scans of the study; 99 was given."),
        (("--power", "4"), "numbers of scans from 8, two of each group in every fold"),
        (("--power", "1"), "4 or more"),
        (("--network", "sfcn"), "has no sfcn for every fold of its cohort; run 'voxplain fit'"),
        (("--rules", "[santy]"), "a test 'santy' that is not known; did you mean 'sanity'?"),
        (("--rules", "[sanity]\nthreshold = 'low'"), "must be a finite number; 'low' was given"),
        (("--rules", "[sanity]\nthreshold = nan"), "must be a finite number; nan was given"),
        (("--rules", "sanity = 1"), "'sanity' must say a threshold, a weight or off; 1 was given"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(
    run: Run, study: Path, tmp_path: Path, arguments: tuple[str, str], said: str
) -> None:
    option, value = arguments
    if option == "--rules":
        (tmp_path / "own.toml").write_text(value)
        value = str(tmp_path / "own.toml")
    code, _, error = run("trust", study, option, value, "--device", "cpu")
    assert code == 2
    assert said in " ".join(error.split())
    assert not (study / "trust.json").exists()


def test_a_folder_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, error = run("trust", tmp_path / "nowhere")
    assert code == 2
    assert "There is no cohort in" in error
    assert not (tmp_path / "nowhere").exists()


def test_damaged_files_of_an_earlier_run_are_made_again(
    run: Run, study: Path, tmp_path: Path
) -> None:
    arguments = ("--method", "gradient", *planned(tmp_path, OFF + TRAINED))
    run("trust", study, *arguments)
    before = told(study)
    kept = sorted((study / "trust").glob("*.json"))
    assert len(kept) > 3
    for number, path in enumerate(kept):
        whole = path.read_text()
        path.write_text(
            (whole[:40], "[]", "{}", whole.replace('"measurements"', '"measured"'))[number % 4]
        )
    (study / "trust.json").write_text("{")
    code, shown, error = run("trust", study, *arguments)
    assert (code, error) == (0, "")
    assert "tests were done before" not in shown
    assert told(study)["methods"] == before["methods"]


def test_a_study_of_few_scans_says_what_it_is_too_small_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    few = make_study(tmp_path / "few", n=8)
    fitted = ("--cv", "2", "--epochs", "1", "--no-final", "--no-baselines")
    assert run("fit", few, *NET, *fitted)[0] == 0
    assert run("explain", few, *NET, "--method", "gradient")[0] == 0
    code, _, error = run("trust", few, *planned(tmp_path, OFF[:-1]))
    assert code in (3, 4)
    assert error == ""
    (method,) = told(few)["methods"].values()
    said = {one["test"]: one["words"] for one in method["tests"] if one["outcome"] == "not tested"}
    assert "10 maps or more are needed; there are 8" in said["confounded"]
    assert (
        "needs 3 networks to be compared with each other, and the study has 2" in said["encoding"]
    )
    assert said["spike-in"].endswith(".")


def test_undecided_predictions_are_no_ground_to_make_maps_again(
    run: Run, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxplain.pipeline.trust.case import Case

    monkeypatch.setattr(Case, "sure", lambda case, row: False)
    code, _, error = run("trust", study, *planned(tmp_path, (*OFF, *TRAINED)))
    assert code in (0, 3, 4)
    assert "Traceback" not in error
    tests = [one for method in told(study)["methods"].values() for one in method["tests"]]
    again = [one for one in tests if one["test"] == "reproduced"]
    assert {one["outcome"] for one in again} == {"not tested"}
    assert all("undecided about every scan" in one["words"] for one in again)


@pytest.mark.parametrize(("blur", "outcome"), [("2", "fail"), (None, "pass")])
def test_a_reference_that_leaves_the_evidence_is_named(
    run: Run, study: Path, tmp_path: Path, blur: str | None, outcome: str
) -> None:
    options = ("region-ablation:cell=48",)
    if blur is not None:
        options += (f"region-ablation:blur={blur}", "region-ablation:reference=blur")
    given = [part for one in options for part in ("--option", one)]
    code, _, error = run("explain", study, *NET, "--method", "region-ablation", *given)
    assert code == 0, error
    *_, error = run(
        "trust", study, "--method", "region-ablation", *planned(tmp_path, OFF + TRAINED)
    )
    assert error == ""
    (verdict,) = told(study)["methods"].values()
    found = next(one for one in verdict["tests"] if one["test"] == "reference")
    assert found["outcome"] == outcome
    assert "when the whole scan is replaced by the reference" in found["words"]


def test_parts_do_the_tests_of_an_unbroken_run(run: Run, study: Path, tmp_path: Path) -> None:
    arguments = ("--method", "gradient", *planned(tmp_path, (*TRAINED, *OFF)))
    whole = Path(shutil.copytree(study, tmp_path / "whole"))
    assert run("trust", whole, *arguments)[0] == 0
    assert not (whole / "runs").exists()
    for number in (2, 1):
        code, shown, error = run("trust", study, *arguments, "--shard", f"{number}/2")
        assert (code, error) == (0, "")
        assert "the same command without --shard joins all parts" in shown
        assert not (study / "trust.json").exists()
    names = {path.name for path in (whole / "trust").glob("*-*.json")}
    assert {path.name for path in (study / "trust").glob("*-*.json")} == names
    assert f"{len(names)} of {len(names)}" in run("status", study)[1]
    code, shown, _ = run("trust", study, *arguments)
    assert code == 0
    assert f"{len(names)} of {len(names)} tests were done before" in shown
    assert told(study)["methods"] == told(whole)["methods"]
    assert "joined" in run("status", study)[1]


def test_parts_of_a_verdict_hold_to_what_was_fixed(run: Run, study: Path, tmp_path: Path) -> None:
    arguments = ("--method", "gradient", *planned(tmp_path, (*TRAINED, *OFF)))
    code, shown, _ = run("trust", study, *arguments, "--shard", "0/2")
    assert code == 0
    assert "is fixed" in shown
    edited(study, site=["a", "b"] * 12)
    for more in (("--shard", "1/2"), ()):
        code, _, error = run("trust", study, *arguments, *more)
        assert code == 2
        assert "The participants' table" in error
        assert "changed after the run trust-" in error
    for more, why in (
        (("--replace",), "--replace measures all anew in one run"),
        (("--weights", "a.pt", "--network", TINY), "share out the tests of a fitted study"),
    ):
        code, _, error = run("trust", study, *arguments, "--shard", "1/2", *more)
        assert code == 2
        assert why in error
