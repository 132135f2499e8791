"""Numbers, names and records on the command line: age, bins, classes that weights remember."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from test_fit_command import QUICK, TINY, make_study, tiny_number

from voxplain.cohort.store.reader import open_store
from voxplain.nets import MRINet, load_into, read_weights

Run = Callable[..., tuple[int, str, str]]
NUMBER = "test_fit_command:tiny_number"
BINS = """
import torch
from torch import nn

class Bins(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 3, 3), nn.Linear(3, classes)
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3, 4))).log_softmax(1)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return make_study(tmp_path / "study")


def test_a_study_of_ages_is_explained_in_years(run: Run, study: Path) -> None:
    run("fit", study, "--network", NUMBER, *QUICK, "--no-baselines", "--outcome", "age")
    asked = ("explain", study, "--network", NUMBER, "--device", "cpu")
    code, shown, error = run(*asked, "--method", "gradient", "--precision", "exact")
    assert (code, error) == (0, "")
    assert "p(" not in shown
    assert shown.count("statmap.nii.gz") == 1
    cohort = open_store(study / "cohort")
    maps = []
    for fold in (1, 2, 3):
        place = study / f"model/test-fit-command-tiny-number/repeat-01/fold-{fold:02d}"
        told = json.loads((place / "training.json").read_text())
        network = tiny_number()
        load_into(network, read_weights(place / "weights.safetensors"))
        network = network.double().eval()
        ages = cohort.participants.set_index("participant_id")["age"]
        learnt = np.array([ages[f"sub-{name}"] for name in told["train"]])

        def age(values: np.ndarray, network=network, learnt=learnt) -> float:
            x = torch.from_numpy(values.astype(np.float64))[None, None]
            return learnt.mean() + learnt.std() * float(network(x).detach()[0, 0])

        for i in [i for i, name in enumerate(cohort.subjects) if name not in told["train"]]:
            who = f"sub-{cohort.subjects[i]}"
            path = study / f"maps/{who}/{who}_desc-GradientAge_statmap.nii.gz"
            values = nib.load(path).get_fdata()
            maps.append(values)
            step = np.zeros(values.shape)
            step[9, 10, 11] = 0.5
            rise = age(cohort.load(i) + step) - age(cohort.load(i) - step)
            assert values[9, 10, 11] == pytest.approx(rise, rel=1e-3)
        sidecar = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
        assert sidecar["Units"] == "years per unit of intensity"
    assert len(maps) == 24
    mean = nib.load(study / "group/desc-GradientAge_stat-mean_statmap.nii.gz").get_fdata()
    np.testing.assert_allclose(mean, np.mean(maps, 0), atol=1e-6)
    for target, message in (("own", "a number, which has no classes"), ("1", "no classes")):
        code, _, error = run(*asked, "--target", target)
        assert code == 2
        assert message in error
    code, _, error = run(*asked, "--unit", "decades", "--method", "gradient")
    assert (code, error) == (0, "")
    assert "decades" in json.loads((study / "explain.json").read_text())["unit"]


def test_weights_remember_what_they_tell(run: Run, study: Path, tmp_path: Path) -> None:
    quick = (*QUICK[:4], "--device", "cpu", "--no-baselines", "--cv", 2)
    cohort = open_store(study / "cohort")
    scan = tmp_path / "sub-A_T1w.nii.gz"
    nib.save(nib.Nifti1Image(cohort.load(0), cohort.grid.affine), scan)
    asked = ("explain", "--image", scan, "--device", "cpu", "--method", "gradient")
    run("fit", study, "--network", TINY, *quick)
    weights = study / "model/test-fit-command-tiny/all/weights.safetensors"
    code, shown, error = run(
        *asked, "--network", TINY, "--weights", weights, "--out", tmp_path / "a"
    )
    assert (code, error) == (0, "")
    assert "A: p(control) = " in shown
    assert "p(case) = " in shown
    code, shown, _ = run(
        *asked, "--network", TINY, "--weights", weights, "--out", tmp_path / "a",
        "--class-names", "case,control",
    )  # fmt: skip
    assert "names the classes otherwise (0 control, 1 case); yours are used" in shown
    run("fit", study, "--network", NUMBER, *quick, "--outcome", "age")
    weights = study / "model/test-fit-command-tiny-number/all/weights.safetensors"
    told = json.loads(weights.with_name("training.json").read_text())
    network = tiny_number()
    load_into(network, read_weights(weights))
    x = torch.from_numpy(cohort.load(0))[None, None]
    age = told["scale"][0] + told["scale"][1] * float(network(x).detach()[0, 0])
    more = ("--network", NUMBER, "--weights", weights)
    code, shown, error = run(*asked, *more, "--precision", "exact", "--out", tmp_path / "b")
    assert (code, error) == (0, "")
    assert f"A: {age:.1f} years (age)" in shown
    folds = sorted(weights.parents[1].glob("repeat-01/*/weights.safetensors"))
    both = [a for file in folds for a in ("--weights", file)]
    code, shown, error = run(*asked, "--network", NUMBER, *both, "--out", tmp_path / "c")
    assert (code, error) == (0, "")
    (scan_told,) = json.loads((tmp_path / "c/explain.json").read_text())["scans"]
    ages = []
    for file in folds:
        load_into(network, read_weights(file))
        mean, scale = json.loads(file.with_name("training.json").read_text())["scale"]
        ages.append(mean + scale * float(network(x).detach()[0, 0]))
    assert scan_told["prediction"] == pytest.approx(np.mean(ages), rel=1e-2)


def test_bins_on_the_command_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_nifti
) -> None:
    (tmp_path / "binsnet.py").write_text(BINS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "binsnet", raising=False)
    import binsnet

    torch.manual_seed(0)
    network = binsnet.Bins(20)
    state = {f"model.module.{k}": v for k, v in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    values = np.random.default_rng(0).random((7, 8, 9)).astype(np.float32)
    scan = write_nifti(values, np.diag([2, 2, 2, 1]), "sub-A_T1w.nii")
    asked = [
        "explain", "--network", "binsnet:Bins", "--weights", "w.pt", "--image", scan,
        "--method", "gradient", "--out", "out", "--precision", "exact",
    ]  # fmt: skip
    code, shown, error = run(*asked, "--bins", "42:82", "--unit", "years")
    assert (code, error) == (0, "")
    x = torch.from_numpy(values)[None, None].double().requires_grad_()
    chances = network.double()(x).exp()
    mean = (chances[0] * torch.arange(43, 82, 2)).sum()
    (gradient,) = torch.autograd.grad(mean, x)
    assert f"A: {mean.item():.1f} years (expected value)" in shown
    assert "'model.module' was left out of the names of the weights" in shown
    (told,) = json.loads((tmp_path / "out/explain.json").read_text())["scans"]
    assert told["prediction"] == pytest.approx(mean.item(), rel=1e-5)
    made = nib.load(tmp_path / "out" / told["maps"]["gradient"]["map"]).get_fdata()
    np.testing.assert_allclose(made, gradient[0, 0].numpy(), rtol=1e-3, atol=1e-6)
    code, shown, _ = run(*asked)
    assert code == 0
    assert shown.count("p(class ") == 5
    assert "and 15 classes less probable" in shown
    for more, message in (
        (("--unit", "years"), "has 20 outputs, which are not one number; if they are bins"),
        (("--bins", "42:82", "--target", "1"), "Target 1 is a class"),
        (("--bins", "82:42"), "--bins must be the outer edges"),
        (("--bins", "1,2,x"), "--bins must be the outer edges"),
        (("--bins", "1,2,3"), "has 20 outputs, and 3 bins were given"),
        (("--bins", "42:82", "--class-names", "a,b"), "give one or the other"),
        (("--task", "regresion"), "--task must be auto, classification or regression"),
        (("--class-names", "a,b"), "2 class names were given, and the network has 20 outputs"),
        (("--classes", "3"), r"'model.module.head.weight' is (20, 3)"),
    ):
        code, _, error = run(*asked, *more)
        assert code == 2, more
        assert message in error
        assert len(error.splitlines()) == 1


def test_the_published_layout_names_its_classes(run: Run, tmp_path: Path, write_nifti) -> None:
    torch.manual_seed(0)
    shape = (22, 24, 23)
    state = {}
    for name, tensor in MRINet(shape).state_dict().items():
        room, _, rest = name.partition(".")
        leaf = rest.partition(".")[2]
        kind, block = (rest[:4], rest[4]) if room == "features" else ("", "")
        place = f"hidden{block}.{int(kind == 'norm')}.{leaf}" if block else f"linear.{rest}"
        state[place] = tensor
    torch.save(state, tmp_path / "w.pt")
    scan = write_nifti(np.random.default_rng(0).random(shape), np.eye(4), "sub-A_T1w.nii")
    asked = ["explain", "--network", "mrinet", "--weights", tmp_path / "w.pt", "--image", scan]
    code, shown, error = run(*asked, "--method", "gradient", "--out", tmp_path / "out")
    assert (code, error) == (0, "")
    assert "class 0 is female and class 1 male" in shown
    assert "A: p(female) = " in shown


def test_other_networks_and_targets_are_written_beside(run: Run, study: Path) -> None:
    other = "mrinet"
    for name in (TINY, other):
        run("fit", study, "--network", name, *QUICK, "--no-baselines")
    for name in (TINY, other):
        for target in ("predicted", "own", "case"):
            code, _, error = run(
                "explain", study, "--network", name, "--device", "cpu",
                "--method", "gradient", "--target", target,
            )  # fmt: skip
            assert (code, error) == (0, "")
    found = json.loads((study / "explain.json").read_text())
    entries = found["group"]["gradient"]
    paths = [entry["map"] for entry in entries]
    assert len(set(paths)) == len(paths)
    assert all((study / path).exists() for path in paths)
    rules = {(entry["network"], entry["rule"]) for entry in entries}
    assert rules == {
        (name, rule) for name in (TINY, other) for rule in ("predicted", "own", "case")
    }
    assert len(found["runs"]) == 6
    ours = list((study / "maps").rglob("*_model-Mrinet_desc-GradientCase_statmap.nii.gz"))
    assert len(ours) == 24


def test_a_second_method_joins_the_record_of_the_first(
    run: Run, tmp_path: Path, write_nifti
) -> None:
    torch.manual_seed(0)
    shape = (22, 24, 23)
    torch.save(MRINet(shape).state_dict(), tmp_path / "w.pt")
    torch.manual_seed(1)
    torch.save(MRINet(shape).state_dict(), tmp_path / "v.pt")
    scan = write_nifti(np.random.default_rng(0).random(shape), np.eye(4), "sub-A_T1w.nii")
    asked = ["explain", "--network", "mrinet", "--image", scan, "--target", "1"]
    asked += ["--out", tmp_path / "out"]

    def told() -> dict:
        return json.loads((tmp_path / "out/explain.json").read_text())

    for method in ("gradient", "grad-cam"):
        run(*asked, "--weights", tmp_path / "w.pt", "--method", method)
    assert set(told()["scans"][0]["maps"]) == {"gradient", "grad-cam"}
    assert told()["layer"] == {"gradient": None, "grad-cam": "features.relu3"}
    (path,) = (tmp_path / "out/maps").rglob("*Gradient*.json")
    sidecar = json.loads(path.read_text())["Sources"]
    assert sidecar["image_sha256"] == told()["scans"][0]["image_sha256"]
    assert sidecar["weights_file_sha256"] == told()["network"]["weights_file_sha256"]
    _, shown, _ = run(*asked, "--weights", tmp_path / "v.pt", "--method", "gradient")
    assert "the map of A was there, made otherwise (weights), and was made anew" in shown
    now = told()
    assert set(now["scans"][0]["maps"]) == {"gradient"}
    assert [sorted(run["scans"][0]["maps"]) for run in now["runs"]] == [["grad-cam"], ["gradient"]]


def test_fit_goes_on_with_the_same_code_alone(
    run: Run, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from torch import nn\n"
        "def build(): return nn.Sequential(nn.AvgPool3d(6), nn.Conv3d(1, 3, 3), nn.{}(), "
        "nn.Flatten(), nn.Linear(24, 2))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def fit(act: str, *more: str) -> tuple[int, str, str]:
        (tmp_path / "edited_fit.py").write_text(code.format(act))
        sys.modules.pop("edited_fit", None)
        network = ("--network", "edited_fit:build")
        return run("fit", study, *network, *QUICK, "--no-baselines", *more)

    assert fit("ReLU")[0] == 0
    assert fit("ReLU")[0] == 0
    returned, _, error = fit("Tanh")
    assert returned == 2
    assert "were trained otherwise (network's code)" in error
    code_, _, error = run("explain", study, "--network", "edited_fit:build", "--device", "cpu")
    assert code_ == 2
    assert "before the code of edited_fit:build was changed" in error
    assert fit("Tanh", "--replace")[0] == 0
    assert fit("Tanh")[0] == 0


def test_a_training_cut_short_begins_anew_with_other_code(
    run: Run, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxplain.fit import Training

    code = (
        "from torch import nn\n"
        "def build(): return nn.Sequential(nn.AvgPool3d(6), nn.Conv3d(1, 3, 3), nn.{}(), "
        "nn.Flatten(), nn.Linear(24, 2))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    whole = Training._epoch

    def cut(self: Training, on_batch: object) -> None:
        if self.history:
            raise KeyboardInterrupt
        whole(self, on_batch)

    def fit(act: str) -> str:
        (tmp_path / "cut_net.py").write_text(code.format(act))
        sys.modules.pop("cut_net", None)
        asked = ("--network", "cut_net:build", "--no-baselines")
        return run("fit", study, *asked, *QUICK)[1]

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", cut)
        fit("ReLU")
    assert len(list(study.rglob("checkpoint.pt"))) == 1
    shown = fit("Tanh")
    assert "has changed: its training begins anew" in shown
    assert "Going on after epoch" not in shown
    (tmp_path / "again").mkdir()
    fresh = make_study(tmp_path / "again/study")
    run("fit", fresh, "--network", "cut_net:build", "--no-baselines", *QUICK)
    for path in study.rglob("fold-01/weights.safetensors"):
        other = fresh / path.relative_to(study)
        assert path.read_bytes() == other.read_bytes()
