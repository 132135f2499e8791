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
    study = make_study(tmp_path / "study", air=4)
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
    (method,) = told["methods"].values()
    tests = {one["test"]: one for one in method["tests"]}
    assert {name for name, one in tests.items() if one["outcome"] == "not tested"} >= {
        "spike-in", "null-maps", "null-calls", "encoding", "stability",
    }  # fmt: skip
    assert "--weights trains nothing" in tests["spike-in"]["words"]
    assert "one network alone" in tests["stability"]["words"]
    assert "layer" not in tests
    # Nothing was trained, and nothing of the study's own verdict was written.
    assert not (study / "model").exists()
    assert not (study / "trust.json").exists()
    code, _, error = run("trust", tmp_path / "none", *asked[2:])
    assert code == 2
    assert "There is no cohort in" in error


def test_what_needs_no_training_is_tested(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study's own network, given as somebody's weights, gets the tests that train nothing."""
    monkeypatch.chdir(Path(__file__).parent)
    study = make_study(tmp_path / "study", air=4)
    code, _, error = run(
        "fit", study, "--network", TINY, "--cv", "3", "--epochs", "8", "--device", "cpu",
        "--no-final", "--no-baselines",
    )  # fmt: skip
    assert (code, error) == (0, "")
    kept = study / "model/test-fit-command-tiny/repeat-01"
    files = [kept / f"fold-0{n}/weights.safetensors" for n in (1, 2)]
    given = [part for one in files for part in ("--weights", one)]
    asked = ("trust", study, *given, "--network", TINY, "--device", "cpu", "--force")
    methods = ("--method", "gradient", "--method", "input-x-gradient", "--method", "hirescam")
    names = ("--class-names", "control,case")
    code, shown, error = run(*asked, *methods, *names, "--budget", "10m")
    assert error == ""
    told = json.loads((study / "trust-weights.json").read_text())
    assert list(told["methods"]) == ["gradient", "input-x-gradient", "hirescam"]
    for name, method in told["methods"].items():
        tests = {one["test"]: one for one in method["tests"]}
        done = {test for test, one in tests.items() if one["outcome"] != "not tested"}
        assert done >= {
            "sanity", "deletion", "faithfulness", "stability", "repeats", "agreement", "confounded",
        }  # fmt: skip
        assert ("layer" in tests) == (name == "hirescam")
        assert method["verdict"] != "believe"
    gradient = {one["test"]: one for one in told["methods"]["gradient"]["tests"]}
    assert gradient["sanity"]["value"] < 0.2
    assert gradient["deletion"]["value"] < 0.05
    assert "HiResCAM, layer by layer, deletion against random maps as smooth: at " in shown
    # A rerun keeps what was measured, and rules of one's own judge it anew.
    rules = tmp_path / "rules.toml"
    rules.write_text("[sanity]\nthreshold = -1.0\n[agreement]\noff = true\n")
    code, shown, _ = run(*asked, *methods, *names, "--rules", rules)
    assert code == 3
    assert "6 of 6 tests were done before" in shown
    again = json.loads((study / "trust-weights.json").read_text())
    tests = {one["test"]: one for one in again["methods"]["gradient"]["tests"]}
    assert tests["sanity"]["value"] == gradient["sanity"]["value"]
    assert tests["sanity"]["outcome"] == "fail"
    assert "agreement" not in tests
    assert again["rules"]["edition"] == "4, changed by rules.toml"
    code, _, error = run(*asked, "--power", "16")
    assert (code, "--power trains networks, and --weights trains none" in error) == (2, True)
