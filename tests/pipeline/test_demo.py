"""The whole demo, small: what it writes, says and keeps."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score

from voxplain.cli import _demo_table, main
from voxplain.cohort import load_atlas, mni152_template
from voxplain.errors import InputError, StudyError
from voxplain.grid import KAN2020_GRID
from voxplain.nets import read_record
from voxplain.phantom import Scenario, make_phantom
from voxplain.pipeline.demo.run import DemoOptions, run_demo
from voxplain.progress import Silent
from voxplain.results.demo import DemoResult

pytestmark = pytest.mark.xdist_group("demo")

METHODS = ("gradient", "grad-cam", "guided-backprop", "meaningful-perturbation")


def test_summary_holds_what_is_promised(summary: dict, options: DemoOptions) -> None:
    on_disk = json.loads((options.out / "summary.json").read_text())
    assert on_disk["accuracy"] == summary["accuracy"]
    for key in ("accuracy_ci", "balanced_accuracy", "roc_auc", "chance_ap", "agreement", "regions",
                "versions", "seconds", "peak_rss_mb"):  # fmt: skip
        assert key in on_disk
    assert set(on_disk["methods"]) == set(METHODS)
    for method in on_disk["methods"].values():
        for key in ("subject_ap", "group_ap", "auroc", "seconds_per_subject"):
            assert np.isfinite(method[key])
        assert method["verdict"].endswith(".")
    assert set(on_disk["controls"]) == {"edges", "t-map"}
    assert len(on_disk["agreement"]["pairs"]) == 6
    for pair in on_disk["agreement"]["pairs"]:
        assert pair["dice_chance"] == pytest.approx(0.05, abs=0.002)
    for name in METHODS:
        for class_name in ("control", "case"):
            ranks = on_disk["regions"]["methods"][name][class_name]["affected_ranks"]
            assert set(ranks) == {"Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R"}


def test_the_headline_says_whose_it_is(
    result: DemoResult, summary: dict, options: DemoOptions
) -> None:
    page = (options.out / "report.html").read_text()
    best = max(method["group_ap"] for method in summary["methods"].values())
    assert "best average precision, class “case”" in page
    assert "AP, group map, class “case”" in page
    assert f"{best:.2f}" in page
    for method in summary["methods"].values():
        assert method["group_class"] == "case"
        assert method["group_ap"] == method["group_ap_by_class"]["case"]
        assert "of class “case” ." in method["verdict"]
    table = Console(width=200)
    with table.capture() as capture:
        table.print(_demo_table(result))
    assert "group: mean map of class case" in capture.get()


def test_maps_that_are_cut_at_zero_have_the_chance_of_such(summary: dict) -> None:
    one_sided = {name: method["one_sided"] for name, method in summary["methods"].items()}
    assert one_sided == {
        "gradient": False,
        "grad-cam": True,
        "guided-backprop": False,
        "meaningful-perturbation": True,
    }


def test_maps_lie_on_the_subject_s_grid(summary: dict, options: DemoOptions) -> None:
    maps = sorted((options.out / "maps").rglob("*_statmap.nii.gz"))
    assert len(maps) == 3 * 6 + 2
    assert Scenario().grid.shape == (58, 70, 58)
    scans = {p.name[:8]: p for p in (options.out / "phantom").rglob("*_T1w.nii.gz")}
    for path in maps:
        image, scan = nib.load(path), nib.load(scans[path.name[:8]])
        assert image.shape == scan.shape == KAN2020_GRID.recut(5).shape
        np.testing.assert_allclose(image.affine, scan.affine)
        assert image.get_data_dtype() == np.float32
        sidecar = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
        assert len(sidecar["Provenance"]["weights_sha256"]) == 64
    assert any(nib.load(p).get_fdata().min() < 0 for p in maps)


def test_the_shipped_grid_holds_two_hippocampi_and_two_amygdalae() -> None:
    phantom = make_phantom(2, mni152_template(), load_atlas("AAL"), scenario=Scenario())
    assert phantom.support.sum() == pytest.approx(580, rel=0.05)


def test_the_truth_is_kept(summary: dict, options: DemoOptions) -> None:
    table = pd.read_csv(options.out / "participants.tsv", sep="\t")
    assert table["label"].value_counts().to_dict() == {"control": 10, "case": 10}
    folder = options.out / "phantom"
    support = nib.load(folder / "template_desc-effect_mask.nii.gz").get_fdata() > 0
    # Two hippocampi and two amygdalae.
    assert support.sum() * 5**3 == pytest.approx(580 * 3**3, rel=0.1)
    for who, label in zip(table["participant_id"], table["label"], strict=True):
        start = folder / who / "anat" / who
        own = nib.load(f"{start}_desc-effect_mask.nii.gz").get_fdata() > 0
        assert own.any()
        pair = Path(f"{start}_desc-withouteffect_T1w.nii.gz")
        assert pair.exists() == (label == "case")
        if label == "case":
            change = nib.load(f"{start}_T1w.nii.gz").get_fdata() - nib.load(pair).get_fdata()
            assert change[own].mean() < -100
            assert abs(change[~own]).mean() < 1


def test_every_figure_of_the_summary_s_verdict_is_on_the_page(summary: dict, options) -> None:
    page = (options.out / "report.html").read_text()
    for method in summary["methods"].values():
        assert method["verdict"] in page
    assert summary["network"]["weights_sha256"] in page
    assert page.count("data:image/png;base64,") >= 20


@pytest.mark.usefixtures("small")
def test_a_rerun_keeps_what_is_done_and_gives_the_same_figures(
    summary: dict, options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next((options.out / "maps").rglob("*GradCAM*_statmap.nii.gz"))
    stamp = first.stat().st_mtime_ns
    lost = next((options.out / "maps").rglob("*Gradient*_statmap.nii.gz"))
    before = nib.load(lost).get_fdata()
    lost.unlink()
    monkeypatch.setattr(sys, "argv", options.command().split())
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    shown = capsys.readouterr().out
    assert "Training: kept, it was done with the same options." in shown
    assert "Grad-CAM: 6 of 6 maps are there already" in shown
    assert "Gradient: 5 of 6 maps are there already" in shown
    assert "Average precision against the truth" in shown
    assert f"Report: {options.out / 'report.html'}" in shown
    assert "\x1b" not in shown
    assert first.stat().st_mtime_ns == stamp
    again = nib.load(lost).get_fdata()
    assert np.abs(again - before).max() < 1e-3 * np.abs(before).max()
    again = json.loads((options.out / "summary.json").read_text())
    for name in METHODS:
        for key in ("subject_ap", "group_ap", "auroc"):
            assert again["methods"][name][key] == pytest.approx(
                summary["methods"][name][key], rel=1e-3
            )
    assert again["accuracy"] == summary["accuracy"]


def test_group_ap_from_the_files_alone(summary: dict, options: DemoOptions) -> None:
    """Second derivation: scipy's filter and scikit-learn's score on what lies on disk."""
    read = lambda name: nib.load(options.out / f"{name}.nii.gz")  # noqa: E731
    brain = read("phantom/template_desc-brain_mask").get_fdata() > 0
    truth = read("phantom/template_desc-effect_mask").get_fdata() > 0
    image = read("group/desc-GuidedBackpropagationCase_stat-mean_statmap")
    sigma = 8 / np.sqrt(8 * np.log(2)) / np.array(image.header.get_zooms())
    score = np.abs(gaussian_filter(image.get_fdata(), sigma, mode="constant"))
    expected = average_precision_score(truth[brain], score[brain])
    found = summary["methods"]["guided-backprop"]
    assert found["group_ap"] == pytest.approx(expected, rel=1e-3)
    assert summary["chance_ap"] == pytest.approx(truth[brain].mean())


def test_group_map_is_the_mean_of_the_class_s_maps(summary: dict, options: DemoOptions) -> None:
    """Second derivation from the files: the case maps, added up by hand."""
    table = pd.read_csv(options.out / "participants.tsv", sep="\t").set_index("participant_id")
    maps = [
        nib.load(p).get_fdata()
        for p in (options.out / "maps").rglob("*desc-GradientCase_statmap.nii.gz")
        if table.loc[p.name[:8], "label"] == "case"
    ]
    mean = nib.load(options.out / "group/desc-GradientCase_stat-mean_statmap.nii.gz").get_fdata()
    assert len(maps) == 3
    np.testing.assert_allclose(mean, np.mean(maps, axis=0), atol=1e-9)


def test_the_network_is_kept_as_a_fit_keeps_its_networks(
    result: DemoResult, options: DemoOptions
) -> None:
    """One trainer: the same files, and the same table of held-out predictions, as of a fit."""
    place = options.out / "model/mrinet/hold-out"
    names = sorted(path.name for path in place.iterdir())
    assert names == ["training.json", "weights.json", "weights.safetensors"]
    record, why = read_record(place / "weights.safetensors")
    assert (record and record.class_names, why) == (("control", "case"), "")
    told = json.loads((place / "training.json").read_text())
    assert told["weights_sha256"] == result.network.weights_sha256
    table = pd.read_csv(options.out / "model/mrinet/predictions.tsv", sep="\t")
    assert [*table] == [
        *("scan", "repeat", "fold", "truth", "predicted"),
        *("logit_control", "logit_case", "p_control", "p_case"),
    ]
    assert len(table) == result.cohort.held_out
    assert not set(table["scan"].str.removeprefix("sub-")) & set(told["train"])
    assert (table["truth"] == table["predicted"]).mean() == pytest.approx(result.accuracy.value)


def test_another_seed_needs_another_folder(summary: dict, options: DemoOptions) -> None:
    with pytest.raises(StudyError, match="made with other options"):
        run_demo(replace(options, seed=5), Silent())


def test_too_few_subjects() -> None:
    with pytest.raises(InputError, match=r"at least 20 subjects.*12 was given"):
        DemoOptions(Path("nowhere"), subjects=12)
    with pytest.raises(InputError, match="two perturbed subjects and one epoch"):
        DemoOptions(Path("nowhere"), perturbed=1)
