"""``voxplain reclassify``: what is left behind masks, where the evidence has a known place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from test_fit_command import make_study, write_block_truth

from voxplain.cli import app

Run = Callable[..., tuple[int, str, str]]
NET = ("--network", "test_fit_command:tiny", "--device", "cpu", "--cv", 3, "--epochs", 12)
WHERE = (slice(8, 14),) * 3


pytestmark = pytest.mark.xdist_group("reclassify command")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose networks on whole images are there already, and nothing else."""
    study = make_study(tmp_path_factory.mktemp("reclassify") / "study", n=48, signal_=2.5)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(Path(__file__).parent)
        app(["reclassify", str(study), *map(str, NET), "--no-retrain"], standalone_mode=False)
    for name in ("group", "figures"):
        shutil.rmtree(study / name)
    for name in ("summary.json", "reclassify.html"):
        (study / name).unlink()
    return study


@pytest.fixture
def study(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return Path(shutil.copytree(trained, tmp_path / "study"))


def accuracies(study: Path) -> dict[str, float]:
    found = json.loads((study / "summary.json").read_text())["reclassify"]["conditions"]
    return {name: scores["accuracy"]["mean"] for name, scores in found.items()}


def test_the_evidence_is_inside_the_mask_and_not_outside(run: Run, study: Path) -> None:
    code, shown, error = run("reclassify", study, *NET, "--share", 0.05, "--fwhm", 16)
    assert (code, error) == (0, "")
    found = accuracies(study)
    assert [*found] == [
        "whole images",
        "tested behind the control mask",
        "tested behind the case mask",
        "tested behind the joint mask",
        "tested behind the random mask",
        "trained and tested inside the joint mask",
        "trained and tested outside the joint mask",
        "trained and tested inside a random mask",
    ]
    assert found["whole images"] > 0.85
    assert found["trained and tested inside the joint mask"] > 0.85
    assert (
        found["trained and tested inside the joint mask"]
        > found["trained and tested inside a random mask"]
    )
    assert "outside" in shown
    masks = sorted((study / "group/masks").iterdir())
    assert len(masks) == 12
    joint = nib.load(study / "group/masks/fold-01_joint.nii.gz").get_fdata()
    assert set(np.unique(joint)) == {0, 1}
    block = np.zeros(joint.shape, bool)
    block[WHERE] = True
    assert joint[block].mean() > 5 * joint[~block].mean()
    assert f"Written: {study / 'reclassify.html'}" in shown
    page = (study / "reclassify.html").read_text()
    assert page.count("<img") == 2
    assert "More than a random mask, trained anew?" in page
    for name in ("scores", "masks"):
        assert (study / f"figures/reclassify-{name}.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((study / "summary.json").read_text())["reclassify"]
    assert (told["scans"], told["folds"], told["class_counts"]) == (48, 3, [24, 24])
    places = [(one["trained"], one["mask"]) for one in told["conditions"].values()]
    assert places == [
        ("whole", ""),
        ("whole", "control"),
        ("whole", "case"),
        ("whole", "joint"),
        ("whole", "random"),
        ("inside", "joint"),
        ("outside", "joint"),
        ("inside", "random"),
    ]
    folders = {path.name for path in (study / "model/test-fit-command-tiny").iterdir()}
    assert {"inside-the-joint-mask", "outside-the-joint-mask", "inside-a-random-mask"} <= folders


def test_the_masks_that_are_drawn_are_means_over_folds(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}

    def keep(
        _: object, __: object, masks: dict[str, np.ndarray], *rest: object
    ) -> dict[str, bytes]:
        drawn.update(masks)
        return {}

    monkeypatch.setattr("voxplain.pipeline.reclassify.run.reclassify_pictures", keep)
    phantom = json.dumps({"phantom": {"bayes_accuracy": 0.9}})
    (study / "summary.json").write_text(phantom)
    run("reclassify", study, *NET[:-1], 2, "--no-retrain")
    assert [*drawn] == ["joint\nmask", "control\nmask", "case\nmask"]
    folder = study / "group/masks"
    folds = [nib.load(folder / f"fold-{k:02d}_case.nii.gz").get_fdata() for k in (1, 2, 3)]
    assert drawn["case\nmask"] == pytest.approx(np.mean(folds, axis=0), abs=1e-6)
    summary = json.loads((study / "summary.json").read_text())
    assert summary["reclassify"]["ceiling"] == 0.9
    assert "phantom" in summary


def test_masks_are_held_against_a_known_truth(run: Run, study: Path) -> None:
    options = (*NET, "--no-retrain", "--share", 0.05, "--fwhm", 16)
    run("reclassify", study, *options)
    unknown = (study / "figures/reclassify-masks.png").read_bytes()
    assert json.loads((study / "summary.json").read_text())["reclassify"]["overlap"] == {}
    assert "true region" not in (study / "reclassify.html").read_text()
    write_block_truth(study)
    code, _, error = run("reclassify", study, *options)
    assert (code, error) == (0, "")
    found = json.loads((study / "summary.json").read_text())["reclassify"]["overlap"]
    assert [*found] == ["control", "case", "joint", "random"]
    masks = [nib.load(study / f"group/masks/fold-0{k}_joint.nii.gz").get_fdata() for k in (1, 2, 3)]
    assert found["joint"]["precision"] == pytest.approx(
        np.mean([mask[WHERE].sum() / mask.sum() for mask in masks])
    )
    assert found["joint"]["sensitivity"] == pytest.approx(
        np.mean([mask[WHERE].mean() for mask in masks])
    )
    assert found["joint"]["sensitivity"] > 2 * found["random"]["sensitivity"]
    page = (study / "reclassify.html").read_text()
    assert "Masks and the true region" in page
    assert f"{100 * found['joint']['sensitivity']:.1f} %" in page
    assert (study / "figures/reclassify-masks.png").read_bytes() != unknown


def test_masks_do_not_know_the_held_out_scans(run: Run, study: Path) -> None:
    """Other images of held-out scans change no mask of their fold."""
    options = (*NET, "--no-retrain", "--share", 0.1)
    run("reclassify", study, *options)
    before = {p.name: p.read_bytes() for p in (study / "group/masks").iterdir()}
    folds = json.loads(
        (
            study / "model/test-fit-command-tiny/whole-images/repeat-01/fold-01/training.json"
        ).read_text()
    )
    images = np.load(study / "cohort/images.npy", mmap_mode="r+")
    trained = {int(name) for name in folds["train"]}
    held_out = [i for i in range(48) if i not in trained]
    # Kept apart from the five volumes that tell a cohort from another.
    images[held_out[1]] = np.random.default_rng(9).normal(size=images[0].shape)
    images.flush()
    del images
    for path in (study / "model").rglob("training.json"):
        path.unlink()
    run("reclassify", study, *options)
    after = {p.name: p.read_bytes() for p in (study / "group/masks").iterdir()}
    first = [name for name in before if name.startswith("fold-01")]
    assert len(first) == 4
    assert all(before[name] == after[name] for name in first)
    assert any(before[name] != after[name] for name in before if name not in first)


def test_the_papers_way_is_said_to_leak(run: Run, study: Path) -> None:
    code, shown, _ = run("reclassify", study, *NET, "--no-retrain", "--paper", "--soft")
    assert code == 0
    assert "these figures are too good" in shown
    page = (study / "reclassify.html").read_text()
    assert "masks know the held-out scans" in page
    assert "trained anew?" not in page
    assert {p.name for p in (study / "group/masks").iterdir()} == {
        "all_control.nii.gz", "all_case.nii.gz", "all_joint.nii.gz", "all_random.nii.gz",
    }  # fmt: skip
    joint = nib.load(study / "group/masks/all_joint.nii.gz").get_fdata()
    assert 0.09 < joint[joint > 0].mean() < 0.12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--share", 0), "--share must lie between 0 and 1; 0.0 was given"),
        (("--explained", 0), "--explained must be 1 or more"),
        (("--paper",), "give --no-retrain with --paper"),
        (("--method", "gradcam"), "method 'gradcam'"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run, study: Path, options: tuple[object, ...], message: str
) -> None:
    code, _, error = run("reclassify", study, *NET, *options)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


def test_a_class_called_as_a_mask_is_refused(run: Run, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", n=6, names=("control", "joint"))
    code, _, error = run("reclassify", study, *NET)
    assert code == 2
    assert "A class is called 'joint', as one of the masks is; rename it in the labels." in error
