"""``voxplain features``: a layer's feature maps by class, of all scans or of those held out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from test_fit_command import QUICK, TINY, make_study

Run = Callable[..., tuple[int, str, str]]
NET = ("--network", TINY, "--device", "cpu")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return make_study(tmp_path / "study", signal_=6.0)


def test_participants_count_and_not_their_scans(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    people = [f"sub-{i // 4:02d}{'ab'[i % 2]}" for i in range(24)]
    visits = [f"ses-{i // 2 % 2}" for i in range(24)]
    study = make_study(tmp_path / "visits", participant_id=people, session_id=visits)
    options = [one for one in QUICK if one != "--no-final"]
    run("fit", study, "--network", TINY, *options, "--no-baselines")
    code, shown, error = run("features", study, *NET)
    assert (code, error) == (0, "")
    assert "Scans: 24 of 12 participants, all, which the network was trained on." in shown
    told = json.loads((study / "summary.json").read_text())["features"]
    assert told["counts"] == {"control": 6, "case": 6}
    assert (told["participants"], told["n_scans"]) == (12, 24)
    table = pd.read_csv(study / "model/test-fit-command-tiny/features_3_mean.tsv", sep="\t")
    assert table["df"].max() <= 10
    page = (study / "features.html").read_text()
    assert "24 scans of 12 participants" in page
    mixed = make_study(tmp_path / "mixed", participant_id=[f"sub-{i // 2:02d}" for i in range(24)],
                       session_id=[f"ses-{i % 2}" for i in range(24)])  # fmt: skip
    shutil.copytree(study / "model", mixed / "model")
    code, _, error = run("features", mixed, *NET)
    assert code == 2
    assert "12 of 12 have scans of more than one class, such as sub-00" in error


def test_a_brighter_class_has_brighter_maps(run: Run, study: Path) -> None:
    code, _, error = run("features", study, *NET)
    assert code == 2
    assert "holds no trained network; run 'voxplain fit' on the study first" in error
    options = [*QUICK]
    options.remove("--no-final")
    run("fit", study, "--network", TINY, *options, "--no-baselines")
    code, shown, error = run("features", study, *NET)
    assert (code, error) == (0, "")
    assert "feature maps of 3 differ" in shown
    found = json.loads((study / "summary.json").read_text())
    assert found["features"]["mean"]["differ"] > 0
    assert found["features"]["scans"] == "all, which the network was trained on"
    assert found["features"]["counts"] == {"control": 12, "case": 12}
    assert "fit" in found
    folder = study / "model/test-fit-command-tiny"
    table = pd.read_csv(folder / "features_3_mean.tsv", sep="\t")
    assert len(table) == 4
    assert (table["q"] < 0.05).sum() == found["features"]["mean"]["differ"]
    assert (folder / "features_3.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(folder / "features_3_entropy.tsv", sep="\t")) == 4
    assert f"Written: {study / 'features.html'}" in shown
    most = found["features"]["mean"]["most"]
    first = table.loc[table["g"].abs().idxmax()]
    assert most[0]["map"] == first["feature_map"]
    assert most[0]["means"] == pytest.approx([first["mean_control"], first["mean_case"]], rel=1e-5)
    page = (study / "features.html").read_text()
    assert page.count("<img") == 1
    assert "learned by heart" in page
    code, shown, _ = run("features", study, *NET, "--fold", 2)
    assert "Scans: 8 of 8 participants, held out." in shown
    assert "learned by heart" not in (study / "features.html").read_text()
    assert json.loads((study / "summary.json").read_text())["features"]["counts"] == {
        "control": 4, "case": 4,
    }  # fmt: skip
    code, _, error = run("features", study, *NET, "--layer", "nowhere")
    assert code == 2
    assert "layer 'nowhere'" in error
