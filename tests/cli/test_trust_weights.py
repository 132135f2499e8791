"""``voxplain trust STUDY --weights``: somebody's weights on a study's scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_fit_command import TINY, make_study, tiny

Run = Callable[..., tuple[int, str, str]]


def test_a_verdict_without_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    study = make_study(tmp_path / "study")
    torch.manual_seed(0)
    torch.save(tiny().state_dict(), tmp_path / "w.pt")
    code, _, error = run("trust", study, "--weights", tmp_path / "w.pt")
    assert code == 2
    assert "--weights needs --network, the name of the network that they belong to." in error
    asked = ("trust", study, "--weights", tmp_path / "w.pt", "--network", TINY, "--device", "cpu")
    code, shown, error = run(*asked, "--method", "gradient", "--force")
    assert (code, error) == (3, "")
    told = json.loads((study / "trust-weights.json").read_text())
    assert told["exit_code"] == 3
    assert told["first"] in " ".join(shown.split())
    assert f"Written: {study / 'trust-weights.json'}" in shown
    assert list(told["methods"]) == ["gradient"]
    # Nothing was trained, and nothing of the study's own verdict was written.
    assert not (study / "model").exists()
    assert not (study / "trust.json").exists()
    code, _, error = run("trust", tmp_path / "none", *asked[2:])
    assert code == 2
    assert "There is no cohort in" in error
