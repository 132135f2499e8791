"""``voxplain trust`` of maps that are means over a network of each repeat."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from test_fit_command import QUICK, TINY, make_study
from test_trust_command import TRAINED, failed, planned, told

from voxplain.pipeline.trust.data import origin
from voxplain.pipeline.trust.maps.networks import _unlike
from voxplain.pipeline.trust.opening import TrustOptions, open_case
from voxplain.pipeline.trust.together import Together, members_of, together

Run = Callable[..., tuple[int, str, str]]
NET = ("--network", TINY, "--device", "cpu")
TWICE = ("--repeats", 2)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    rng = np.random.default_rng(1)
    even = {"age": 40 + rng.normal(size=24), "brain_ml": 1200 + 60 * rng.normal(size=24)}
    made = make_study(tmp_path / "study", air=4, **even)
    run("fit", made, "--network", TINY, *QUICK, *TWICE, "--no-baselines", "--no-final")
    run("explain", made, *NET, "--method", "gradient", *TWICE)
    return made


def test_nothing_is_wrong_with_means_over_repeats(run: Run, study: Path, tmp_path: Path) -> None:
    code, _, error = run("trust", study, *planned(tmp_path, TRAINED))
    assert (code in (0, 3), error) == (True, "")
    (verdict,) = told(study)["methods"].values()
    found = {one["test"]: one for one in verdict["tests"]}
    for name in ("provenance", "held-out", "reproduced", "grid"):
        assert found[name]["outcome"] == "pass"
    assert "maps were made again" in found["reproduced"]["words"]
    for name in ("sanity", "deletion", "stability", "repeats"):
        assert found[name]["value"] is not None
    assert told(study)["networks"] == 6


def test_a_map_of_one_of_the_networks_is_found(run: Run, study: Path, tmp_path: Path) -> None:
    one = shutil.copytree(study, tmp_path / "one")
    run("explain", one, *NET, "--method", "gradient")
    (path, *_) = sorted((study / "maps").rglob("*Gradient*_statmap.json"))
    for mine in (path, path.with_suffix("").with_suffix(".nii.gz")):
        shutil.copy(one / mine.relative_to(study), mine)
    run("trust", study, *planned(tmp_path, TRAINED))
    assert "1 of 24 maps: 1 by other weights" in failed(study)["provenance"]


def test_predictions_are_those_of_all_networks(study: Path) -> None:
    case = open_case(TrustOptions(study, device="cpu"))
    lines = (study / "model/test-fit-command-tiny/predictions.tsv").read_text().splitlines()
    head = lines[0].split("\t")
    columns = [head.index(f"logit_{name}") for name in ("control", "case")]
    for row, who in enumerate(case.cohort.subjects):
        rows = [line.split("\t") for line in lines[1:] if line.startswith(f"sub-{who}\t")]
        logits = [[float(one[column]) for column in columns] for one in rows]
        assert len(logits) == 2
        expected = softmax(logits, axis=1).mean(0)
        np.testing.assert_allclose(np.exp(case.outputs[row]), expected, rtol=1e-5)


def test_networks_of_other_folds_have_not_made_the_map(study: Path) -> None:
    case = open_case(TrustOptions(study, device="cpu"))
    assert len(case.explainers) > len(case.fits) == 3
    for own in range(len(case.explainers)):
        mine = {one.place for one in case.explainers[own].together}
        others = _unlike(case, own)
        assert others
        for which in others:
            assert not mine & {one.place for one in case.explainers[which].together}


def test_networks_together_answer_by_their_mean() -> None:
    torch.manual_seed(0)
    members = [torch.nn.Linear(3, 2) for _ in range(3)]
    x = torch.randn(4, 3)
    joined = together(members)
    assert isinstance(joined, Together)
    expected = sum(one(x) for one in members) / 3
    torch.testing.assert_close(joined(x), expected)
    assert members_of(joined) == members
    assert together(members[:1]) is members[0]
    assert members_of(members[0]) == members[:1]


def test_a_verdict_is_on_one_number_of_networks(run: Run, study: Path) -> None:
    run("explain", study, *NET, "--method", "input-x-gradient")
    code, _, error = run("trust", study, "--network", TINY)
    assert code == 2
    assert "of different numbers of networks a scan (2 for gradient, 1 for input-x-gradient)" in (
        error
    )


def test_numbers_are_judged_of_one_network_a_scan(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    study, number = make_study(tmp_path / "study"), ("--network", "test_fit_command:tiny_number")
    asked = (*QUICK, *TWICE, "--outcome", "age", "--no-baselines", "--no-final")
    run("fit", study, *number, *asked)
    run("explain", study, *number, "--method", "gradient", *TWICE)
    code, _, error = run("trust", study, *number)
    assert code == 2
    assert "are means over 2 networks that predict age, and the verdict on numbers is on" in error


def test_networks_of_several_repeats_are_named_by_their_folders() -> None:
    both = SimpleNamespace(together=[SimpleNamespace(place="a"), SimpleNamespace(place="b")])
    case: Any = SimpleNamespace(explainers=[both])
    assert origin._named(case, 0) == "the networks in a and b"
