"""``voxplain-bids``: the command line of BIDS Apps."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scale_tools import GRID, HERE
from sleepy import build

from voxplain.attribution import Engine, explain
from voxplain.cli.bids import main
from voxplain.nets import serialise
from voxplain.study import Study
from voxplain.volume import Volume

App = Callable[..., tuple[int, str, str]]
LABELS = ("01", "02", "A3")


def values_of(label: str) -> np.ndarray:
    return np.random.default_rng(LABELS.index(label)).normal(size=GRID.shape).astype(np.float32)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = tmp_path / "bids"
    for label in LABELS:
        place = folder / f"sub-{label}/anat"
        place.mkdir(parents=True)
        nib.save(nib.Nifti1Image(values_of(label), GRID.affine), place / f"sub-{label}_T1w.nii.gz")
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(serialise(build()))
    return path


@pytest.fixture
def app(call_main: App, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.chdir(HERE)
    monkeypatch.setattr("voxplain.report.figures.style.DPI", 40)
    return partial(call_main, main, "voxplain-bids")


def asked(weights: Path) -> tuple[object, ...]:
    return (
        *("--network", "sleepy:build", "--weights", weights, "--method", "gradient"),
        *("--target", "1", "--class-names", "control", "case", "--device", "cpu"),
    )


def test_participants_by_themselves_and_then_the_group(
    app: App, bids: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    more = ("--participant_label", "sub-A3", "01", "--skip-bids-validation")
    code, shown, error = app(bids, out, "participant", *more, *asked(weights))
    assert (code, error) == (0, "")
    assert {path.name for path in out.glob("sub-*")} == {"sub-A3", "sub-01"}
    assert f"Written: {out / 'sub-A3'}" in shown
    code, _, error = app(bids, out, "participant", "--participant-label", "02", *asked(weights))
    assert (code, error) == (0, "")
    torch.manual_seed(3)
    network = build().eval()
    by_hand = [
        explain(network, Volume(values_of(label), GRID), "gradient", 1, engine=Engine("cpu")).values
        for label in LABELS
    ]
    for label, values in zip(LABELS, by_hand, strict=True):
        path = out / f"sub-{label}/maps/sub-{label}/sub-{label}_desc-GradientCase_statmap.nii.gz"
        np.testing.assert_allclose(nib.load(path).get_fdata(), values, atol=1e-4)
    code, shown, error = app(bids, out, "group")
    assert (code, error) == (0, "")
    mean = out / "group/desc-GradientCase_stat-mean_statmap.nii.gz"
    np.testing.assert_allclose(nib.load(mean).get_fdata(), np.mean(by_hand, 0), atol=1e-4)
    assert f"Written: {mean}" in shown
    told = json.loads((out / "explain-group.json").read_text())
    assert told["participants"] == ["01", "02", "A3"]
    assert told["group"][0]["maps"] == 3
    assert app(bids, out, "group", "--participant-label", "02", "01")[0] == 0
    np.testing.assert_allclose(nib.load(mean).get_fdata(), np.mean(by_hand[:2], 0), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("participant",), "The participant level needs --network and --weights"),
        (("everyone",), "invalid choice: 'everyone'"),
        (("group",), "holds no maps of participants; run the participant level first"),
        (("group", "--participant-label", "02"), "holds no maps of participants"),
        (("participant", "--participant", "02"), "Unrecognized arguments: --participant 02"),
        (
            ("participant", "--network", "n", "--weights", "w", "--participant-label", "9"),
            "Unknown participant '9'; there are: 01, 02, A3",
        ),
    ],
)
def test_mistakes(
    app: App, bids: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, shown, error = app(bids, tmp_path / "out", *words)
    assert (code, shown) == (2, "")
    assert message in error
    assert error.startswith("voxplain: ")
    assert error.count("\n") == 1


def test_the_version_is_told(app: App) -> None:
    code, shown, _ = app("--version")
    assert code == 0
    assert shown.startswith("voxplain ")


def test_participants_without_a_map_have_no_mean(app: App, bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Study(out / "sub-01", "voxplain", "0")
    code, _, error = app(bids, out, "group")
    assert code == 2
    assert f"{out} holds no maps of participants; run the participant level first." in error
    assert not (out / "explain-group.json").exists()
