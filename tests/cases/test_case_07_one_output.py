"""https://github.com/jacobgil/pytorch-grad-cam/issues/360"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxplain.errors import InputError
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.run import explain_scans

NETWORK = """
import torch
from torch import nn

class OneOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 3)
        self.head = nn.Linear(3, 1)
    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3, 4)))
"""


class Lines:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, name: str, total: float):
        from voxplain.progress import Silent

        return Silent().step(name, total)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Explain one scan by a network that gives one number."""
    (tmp_path / "one_output.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "one_output", raising=False)
    import one_output

    values = np.random.default_rng(3).random((9, 8, 7), dtype=np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), tmp_path / "sub-07_T1w.nii.gz")

    def call(output: float, **options: object) -> tuple[list[str], dict]:
        torch.manual_seed(0)
        network = one_output.OneOutput()
        with torch.no_grad():
            network.head.bias += output - network(torch.from_numpy(values)[None, None])[0, 0]
        torch.save(network.state_dict(), tmp_path / "w.pt")
        lines = Lines()
        result = explain_scans(
            ScanOptions(
                network="one_output:OneOutput",
                weights=(tmp_path / "w.pt",),
                images=(tmp_path / "sub-07_T1w.nii.gz",),
                out=tmp_path / "out",
                methods=("gradient",),
                **options,  # type: ignore[arg-type]
            ),
            lines,  # type: ignore[arg-type]
        )
        assert json.loads((tmp_path / "out/explain.json").read_text())["scans"] == result["scans"]
        return lines.said, result["scans"][0]

    return call


@pytest.mark.parametrize(("logit", "sex"), [(1.5, "male"), (-2.5, "female")])
def test_a_single_logit_is_that_of_class_1(ask, logit: float, sex: str) -> None:
    said, told = ask(logit, class_names=("female", "male"))
    male = 1 / (1 + np.exp(-logit))
    assert f"07: p(female) = {1 - male:.3f}, p(male) = {male:.3f}" in said
    assert told["predicted"] == sex
    assert told["maps"]["gradient"]["target"] == sex
    np.testing.assert_allclose(told["probabilities"], [1 - male, male], rtol=1e-3)


def test_an_age_is_a_number_with_its_unit(ask) -> None:
    said, told = ask(71.25, unit="years")
    assert "07: 71.2 years" in said or "07: 71.3 years" in said
    assert told["prediction"] == pytest.approx(71.25, abs=1e-4)
    assert "probabilities" not in told
    assert told["maps"]["gradient"]["unit"] == "years per unit of intensity"
    with pytest.raises(InputError, match=r"Target 1 is a class.*\(years\) has none"):
        ask(71.25, unit="years", target=1)


def test_nothing_is_made_of_a_single_output_that_nobody_named(ask) -> None:
    said, told = ask(71.25)
    assert not any("p(" in line for line in said)
    assert any("--unit years" in line and "--class-names" in line for line in said)
    assert "probabilities" not in told
    assert told["maps"]["gradient"]["unit"] == "output per unit of intensity"
