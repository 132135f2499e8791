"""``voxplain explain``: from files to files, and every mistake in one sentence."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxplain.attribution import METHODS
from voxplain.attribution.methods.gradients.guided_backprop import GuidedBackprop
from voxplain.errors import NetworkError
from voxplain.nets import MRINet, serialise

AFFINE = np.array([[0, 0, 4.0, -88], [-4, 0, 0, 88], [0, 4, 0, -66], [0, 0, 0, 1]])
SHAPE = (52, 44, 46)
SMALL_NETWORK = """
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 3)
        self.head = nn.Linear(3, 2)
    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3, 4)))

def build():
    return Net()
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def brain() -> np.ndarray:
    """An ellipsoid of a brain's size in PSR storage."""
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    inside = np.linalg.norm((world - [0, -18, 8]) / [66, 82, 58], axis=-1) < 1
    texture = 80 + 15 * np.sin(world[..., 0] / 9) + 10 * np.cos(world[..., 1] / 11)
    return np.where(inside, texture, 0).astype(np.float32)


@pytest.fixture
def scan(tmp_path: Path, brain: np.ndarray) -> Path:
    path = tmp_path / "sub-A_T1w.nii.gz"
    nib.save(nib.Nifti1Image(brain, AFFINE), path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(serialise(MRINet()))
    return path


@pytest.fixture
def asked(scan: Path, weights: Path, tmp_path: Path) -> list[object]:
    return [
        "explain", "--network", "mrinet", "--weights", weights, "--image", scan,
        "--preset", "kan2020", "--out", tmp_path / "out",
    ]  # fmt: skip


def test_maps_come_back_on_the_scan_s_own_grid(run: Run, asked, scan: Path, tmp_path: Path) -> None:
    code, out, err = run(
        *asked, "--method", "grad-cam", "--method", "gradient", "--target", "1",
        "--class-names", "female,male",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "p(female) = " in out
    assert "p(male) = " in out
    result = json.loads((tmp_path / "out/explain.json").read_text())
    (found,) = result["scans"]
    assert found["subject"] == "A"
    assert sum(found["probabilities"]) == pytest.approx(1)
    assert result["layer"]["grad-cam"] == "features.relu3"
    assert len(result["network"]["weights_sha256"]) == 64
    assert set(found["maps"]) == {"grad-cam", "gradient"}
    for files in found["maps"].values():
        image = nib.load(tmp_path / "out" / files["map"])
        assert image.shape == SHAPE
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
        assert (tmp_path / "out" / files["figure"]).read_bytes().startswith(b"\x89PNG")
    assert np.abs(image.get_fdata()).max() > 0


def test_options_reach_the_method(run: Run, asked, tmp_path: Path) -> None:
    wanted = ("--method", "grad-cam", "--option", "grad-cam:relu=false")
    code, _, err = run(*asked, "--grid", "network", *wanted)
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "out/maps").rglob("*.nii.gz")
    assert nib.load(path).get_fdata().min() < 0
    sidecar = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
    assert sidecar["Provenance"]["options"] == {"relu": False}


def test_grid_network_and_a_rerun_that_keeps(run: Run, asked, tmp_path: Path) -> None:
    asked += ["--option", "recommended:samples=2"]
    code, _, _ = run(*asked, "--grid", "network")
    assert code == 0
    (path,) = (tmp_path / "out/maps").rglob("*.nii.gz")
    assert nib.load(path).shape == (58, 70, 58)
    before = path.stat().st_mtime_ns
    code, out, _ = run(*asked, "--grid", "network")
    assert code == 0
    assert "1 of 1 maps are there already" in out
    assert path.stat().st_mtime_ns == before
    code, out, _ = run(*asked, "--grid", "input")
    assert "there already" not in out
    assert nib.load(path).shape == SHAPE


def test_any_network_several_images(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_nifti
) -> None:
    (tmp_path / "smallnet.py").write_text(SMALL_NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import smallnet

    torch.save(smallnet.build().state_dict(), tmp_path / "w.pt")
    rng = np.random.default_rng(0)
    images = [
        write_nifti(rng.random((7, 8, 9)), np.diag([2, 2, 3, 1]), f"sub-{k}_T1w.nii") for k in "AB"
    ]
    code, out, err = run(
        "explain", "--network", "smallnet:build", "--weights", "w.pt", "--image", images[0],
        "--image", images[1], "--method", "guided-backprop", "--out", "out",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "A: p(class 0) = " in out
    assert len(list((tmp_path / "out/maps").rglob("*_statmap.nii.gz"))) == 2
    sys.modules.pop("smallnet")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Weights of a small network, by seed; the network is ``smallnet:build``."""
    (tmp_path / "smallnet.py").write_text(SMALL_NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "smallnet", raising=False)
    import smallnet

    def weights(seed: int) -> Path:
        torch.manual_seed(seed)
        path = tmp_path / f"w{seed}.pt"
        torch.save(smallnet.build().state_dict(), path)
        return path

    return weights


TALAIRACH = np.array([[22.0, 0, 0, -66], [0, 22, 0, -99], [0, 0, 20, -50], [0, 0, 0, 1]])


def test_regions_by_the_name_of_an_atlas_or_a_file(
    run: Run, small, tmp_path: Path, write_nifti
) -> None:
    rng = np.random.default_rng(0)
    scan = write_nifti(rng.random((7, 8, 9)), TALAIRACH, "sub-A_T1w.nii")
    labels = np.zeros((7, 8, 9), dtype=np.int16)
    labels[:4], labels[4:, 3:] = 300, 2
    own = write_nifti(labels, TALAIRACH, "labels.nii")
    asked = ["explain", "--network", "smallnet:build", "--weights", small(0), "--image", scan]
    shapley = [*asked, "--method", "region-shapley"]
    code, _, err = run(*shapley, "--option", "region-shapley:regions=AAL", "--out", "aal")
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "aal/maps").rglob("*_statmap.json")
    told = json.loads(path.read_text())["Provenance"]["options"]["regions"]
    assert told.startswith("atlas AAL, array (7, 8, 9), sha256 ")
    ablation = [*asked, "--method", "region-ablation"]
    code, _, err = run(*ablation, "--option", f"region-ablation:regions={own}", "--out", "own")
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "own/maps").rglob("*_statmap.nii.gz")
    values = nib.load(path).get_fdata()
    assert not values[labels == 0].any()
    assert np.ptp(values[labels == 300]) == np.ptp(values[labels == 2]) == 0
    assert values[0, 0, 0] != values[6, 7, 8] != 0
    code, _, err = run(*shapley, "--option", "region-shapley:regions=AAL4", "--out", "no")
    check_sentence(code, err, "Unknown atlas 'AAL4'; .*path of a label image.*Did you mean 'AAL")
    code, _, err = run(*shapley, "--option", "region-shapley:regions=3", "--out", "no")
    check_sentence(code, err, "regions must be an atlas or a label image; 3 was given")
    code, _, err = run(*ablation, "--option", f"region-ablation:regions={scan}", "--out", "no")
    check_sentence(code, err, "labels that are not whole numbers")
    code, _, err = run(*asked, "--option", "recommended:regions=AAL", "--out", "no")
    check_sentence(code, err, "'recommended' has no option 'regions'")
    moved = write_nifti(rng.random((7, 8, 9)), np.diag([20, 20, 20, 1]), "sub-B_T1w.nii")
    code, _, err = run(
        *ablation, "--image", moved, "--option", "region-ablation:regions=AAL", "--out", "no"
    )
    check_sentence(code, err, "need scans on one grid")
    assert not (tmp_path / "no").exists()


def test_a_method_of_captum_by_name(run: Run, small, tmp_path: Path, write_nifti) -> None:
    scan = write_nifti(np.random.default_rng(0).random((7, 8, 9)), TALAIRACH, "sub-A_T1w.nii")
    asked = ["explain", "--network", "smallnet:build", "--weights", small(0), "--image", scan]
    code, _, err = run(
        *asked, "--method", "captum:IntegratedGradients",
        "--option", "captum:IntegratedGradients:n_steps=5", "--out", "out",
    )  # fmt: skip
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "out/maps").rglob("*_statmap.json")
    assert path.name.startswith("sub-A_desc-CaptumIntegratedGradientsClass")
    record = json.loads(path.read_text())["Provenance"]
    assert record["options"] == {"arguments": {"n_steps": 5}}
    code, _, err = run(*asked, "--method", "captum:Salience", "--out", "no")
    check_sentence(code, err, "Unknown Captum method 'captum:Salience'.*captum:Saliency")


def test_several_weights_give_a_mean_and_its_spread(
    run: Run, small, tmp_path: Path, write_nifti
) -> None:
    scan = write_nifti(np.random.default_rng(0).random((7, 8, 9)), TALAIRACH, "sub-A_T1w.nii")
    files = [small(seed) for seed in range(3)]
    asked = ["explain", "--network", "smallnet:build", "--image", scan, "--method", "gradient"]
    many = [*asked, *(a for file in files for a in ("--weights", file)), "--target", "1"]
    code, _, err = run(*many, "--out", "many")
    assert (code, err) == (0, "")
    singles = []
    for i, file in enumerate(files):
        run(*asked, "--weights", file, "--target", "1", "--out", f"one{i}")
        (path,) = (tmp_path / f"one{i}/maps").rglob("*_statmap.nii.gz")
        singles.append(nib.load(path).get_fdata())
    result = json.loads((tmp_path / "many/explain.json").read_text())
    (found,) = result["scans"]
    made = found["maps"]["gradient"]
    assert made["spread"].endswith("sub-A_desc-GradientClass1Spread_statmap.nii.gz")
    mean, spread = (nib.load(tmp_path / "many" / made[k]).get_fdata() for k in ("map", "spread"))
    np.testing.assert_allclose(mean, np.mean(singles, 0), atol=1e-6)
    np.testing.assert_allclose(spread, np.std(singles, 0, ddof=1), atol=1e-6)
    assert len(set(result["network"]["weights_sha256"])) == 3
    assert result["network"]["weights"] == [str(file) for file in files]
    alone = [
        json.loads((tmp_path / f"one{i}/explain.json").read_text())["scans"][0] for i in range(3)
    ]
    for key in ("logits", "probabilities"):
        np.testing.assert_allclose(found[key], np.mean([a[key] for a in alone], 0), rtol=1e-6)
    code, out, _ = run(*many, "--out", "many")
    assert "1 of 1 maps are there already" in out
    code, out, _ = run(*many[:-4], "--target", "1", "--out", "many")
    assert "there already" not in out


def test_a_map_lost_from_a_cohort_is_made_again_as_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_nifti
) -> None:
    (tmp_path / "cohortnet.py").write_text(SMALL_NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import cohortnet

    net = cohortnet.build()
    with torch.no_grad():
        # So that bright voxels speak for class 0, and zeros take it away.
        for parameter in net.parameters():
            parameter.abs_()
        net.head.weight[1] = 0
    torch.save(net.state_dict(), tmp_path / "w.pt")
    rng = np.random.default_rng(0)
    images = [
        write_nifti(rng.random((7, 8, 9)), np.diag([2, 2, 3, 1]), f"sub-{k}_T1w.nii") for k in "ABC"
    ]
    name = "meaningful-perturbation"
    options = [
        *("cohort=true", "reference=zero", "cell=4", "objective.l1=0.1"),
        *("optimiser.iterations=12", "sharing.refine=3"),
    ]
    command: list[object] = [
        *("explain", "--network", "cohortnet:build", "--weights", "w.pt", "--method", name),
        *("--out", "out", "--target", "0"),
        *(part for option in options for part in ("--option", f"{name}:{option}")),
    ]
    asked = [*command, *(part for image in images for part in ("--image", image))]
    code, _, err = run(*asked)
    assert (code, err) == (0, "")
    (lost,) = (tmp_path / "out/maps").rglob("sub-B*_statmap.nii.gz")
    before = nib.load(lost).get_fdata()
    assert before.max() > 0
    told = json.loads(Path(str(lost).replace(".nii.gz", ".json")).read_text())
    reached = told["Provenance"]["options"]
    assert (reached["objective"]["l1"], reached["optimiser"]["iterations"]) == (0.1, 12)
    assert reached["sharing"]["refine"] == 3
    lost.unlink()
    code, out, _ = run(*asked)
    assert code == 0
    assert "2 of 3 maps are there already" in out
    assert np.array_equal(nib.load(lost).get_fdata(), before)
    code, out, _ = run(*asked[:-2])
    assert "there already" not in out
    sys.modules.pop("cohortnet")


def test_an_interrupt_keeps_what_is_done_and_a_rerun_goes_on(
    run: Run, asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    both = [*asked, "--method", "grad-cam", "--method", "guided-backprop"]
    with monkeypatch.context() as patch:
        patch.setattr(GuidedBackprop, "attribute", interrupt)
        code, _, err = run(*both)
    assert code == 130
    assert "finished files are whole, and the same command goes on" in err
    (first,) = (tmp_path / "out/maps").rglob("*.nii.gz")
    assert np.isfinite(nib.load(first).get_fdata()).all()
    assert not (tmp_path / "out/explain.json").exists()
    code, out, _ = run(*both)
    assert code == 0
    assert "Grad-CAM: 1 of 1 maps are there already" in out
    assert (tmp_path / "out/explain.json").exists()


def test_a_full_disk(run: Run, asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run(*asked)
    assert code == 2
    assert "the disk is full; free some space and run the same command again" in err
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


class Bomb:
    def __reduce__(self):
        return os.system, ("true",)


def change_image(scan: Path, brain: np.ndarray, kind: str) -> None:
    values, affine = brain.copy(), AFFINE
    if kind == "4D":
        values = np.stack([values, values], axis=-1)
    if kind == "NaN":
        values[20, 20, 20] = np.nan
    if kind == "infinite":
        values[20, 20, 20] = np.inf
    if kind == "zero":
        values[:] = 0
    if kind == "far":
        affine = AFFINE.copy()
        affine[0, 3] += 500
    image = nib.Nifti1Image(values, affine)
    if kind == "no affine":
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
    if kind == "singular":
        image.header.set_sform(np.diag([4.0, 0, 4, 1]), code=1)
        image.header.set_qform(None, code=0)
        image = nib.Nifti1Image(values, None, image.header)
    nib.save(image, scan)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("4D", "2 volumes|volumes"),
        ("NaN", "1 "),
        ("infinite", "1 "),
        ("zero", "zero"),
        ("no affine", "affine"),
        ("singular", "affine"),
        ("far", "use --align centre"),
        ("missing", "no such file|There is no file|no file"),
        ("text", "not a NIfTI|not an image|cannot be read|is not"),
        ("truncated", "truncated|broken|cut|damaged|incomplete"),
    ],
)
def test_bad_images(
    run: Run, asked, scan: Path, brain: np.ndarray, tmp_path: Path, kind: str, message: str
) -> None:
    if kind == "missing":
        scan.unlink()
    elif kind == "text":
        scan.write_text("subject,age\n1,30\n")
    elif kind == "truncated":
        scan.write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
    else:
        change_image(scan, brain, kind)
    code, _, err = run(*asked)
    check_sentence(code, err, message)
    assert not (tmp_path / "out").exists()


def check_sentence(code: int, err: str, message: str) -> None:
    import re

    assert code == 2
    assert err.startswith("voxplain: ")
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert re.search(message, err), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "gradcam"], "Unknown method 'gradcam'.*Did you mean 'grad-cam'"),
        (["--preset", "kan2021"], "Unknown preset 'kan2021'; there are: kan2020"),
        (["--network", "mrnet"], "Unknown network 'mrnet'"),
        (["--layer", "features.relu9"], "Unknown layer 'features.relu9'.*features.relu3"),
        (["--target", "2"], "Target class 2 is out of range.*2 classes"),
        (["--target", "male"], "Unknown target 'male'; there are: 0, 1, predicted"),
        (["--align", "center"], "--align must be affine or centre; 'center' was given"),
        (["--grid", "mni"], "--grid must be input or network; 'mni' was given"),
        (
            ["--class-names", "a,b,c"],
            "3 class names were given, and the network has 2 outputs; give one for each",
        ),
        (["--classes", "3"], r"'classifier.weight' is \(2, 22400\).*\(3, 22400\)"),
        (["--device", "tpu"], "device must be .*'tpu' was given"),
        (["--precision", "half"], "precision must be .*'half' was given"),
        (["--option", "relu=false"], "'relu=false' is not method:name=value"),
        (["--option", "grad-cam:relu=false"], r"method that was asked for \(recommended\)"),
        (["--option", "recommended:smaples=3"], "'recommended' has no option 'smaples'.*samples"),
        (["--weights", "nowhere.pt"], "no file of weights at nowhere.pt"),
    ],
)
def test_bad_options(run: Run, asked, tmp_path: Path, arguments: list[str], message: str) -> None:
    option = arguments[0]
    kept = list(asked)
    if option in kept:
        at = kept.index(option)
        del kept[at : at + 2]
    code, _, err = run(*kept, *arguments)
    check_sentence(code, err, message)
    assert not (tmp_path / "out").exists()


def test_a_network_with_a_fault_ends_in_a_sentence_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_nifti
) -> None:
    (tmp_path / "faultynet.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self): super().__init__(1, 1)\n"
        "    def forward(self, x): raise KeyError('gone')\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.Linear(1, 1).state_dict(), "w.pt")
    image = write_nifti(np.random.default_rng(0).random((7, 8, 9)), np.eye(4))
    call = ["explain", "--network", "faultynet:Net", "--weights", "w.pt", "--image", image]
    code, _, err = run(*call, "--out", "out")
    assert code == 2
    assert err.startswith("voxplain: Net's own forward fails on an input of shape (1, 1, 7, 8, 9)")
    assert "(KeyError: 'gone')" in err
    assert len(err.splitlines()) == 1
    monkeypatch.setenv("VOXPLAIN_TRACEBACK", "1")
    with pytest.raises(NetworkError, match="gone") as caught:
        run(*call, "--out", "out")
    assert isinstance(caught.value.__cause__, KeyError)
    sys.modules.pop("faultynet")


def test_a_mask_on_another_grid_and_too_many_masks(run: Run, asked, tmp_path: Path) -> None:
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((5, 6, 7), dtype=np.uint8), np.eye(4)), mask)
    code, _, err = run(*asked, "--mask", mask)
    check_sentence(code, err, "5×6×7.*52×44×46|52×44×46.*5×6×7")
    code, _, err = run(*asked, "--mask", mask, "--mask", mask)
    check_sentence(code, err, "2 masks were given for 1 images")


def test_weights_that_do_not_fit_or_want_to_run_code(run: Run, asked, weights: Path) -> None:
    weights.write_bytes(serialise(MRINet((64, 64, 64))))
    code, _, err = run(*asked)
    check_sentence(code, err, r"'classifier.weight' is \(2, 27648\).*\(2, 22400\) in MRINet")
    bad = weights.with_suffix(".pt")
    bad.write_bytes(pickle.dumps(Bomb()))
    asked[asked.index(weights)] = bad
    code, _, err = run(*asked)
    check_sentence(code, err, "pickle that wants to run code")


def test_a_folder_that_is_not_ours(run: Run, asked, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("precious")
    code, _, err = run(*asked)
    check_sentence(code, err, "holds files that voxplain did not write")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.docx"]


def test_two_images_of_one_subject(run: Run, asked, scan: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy" / scan.name
    other.parent.mkdir()
    other.write_bytes(scan.read_bytes())
    code, _, err = run(*asked, "--image", other)
    check_sentence(code, err, "would both be written as subject 'A'")


def test_the_table_of_methods_fits_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = run("methods")
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    # A method's row begins with its name; what wraps is indented.
    assert [line.split()[0] for line in lines[2:-2] if line[0] != " "] == list(METHODS)
    assert len(lines) <= 3 + 3 * len(METHODS)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_one_method_is_told_in_full(run: Run, name: str) -> None:
    code, out, _ = run("methods", name)
    assert code == 0
    info = METHODS[name].info
    for told in (info.label, info.citation, info.unit, info.sign, info.passes):
        assert told in out
    for option in METHODS[name].option_names():
        assert f"{option}=" in out


def test_the_defaults_that_are_told_are_those_that_count(run: Run) -> None:
    assert "rule=composite" in run("methods", "lrp")[1]
    assert "options     none" in run("methods", "guided-backprop")[1]
    code, out, err = run("methods", "lpr")
    check_sentence(code, err, "Unknown method 'lpr'; there are: ")
    assert not out


def test_doctor_and_version(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert "torch" in out
    assert run("--version")[1].startswith("voxplain 0.")


def test_colin27_is_a_man_to_the_published_network(run: Run, shared_dir: Path, tmp_path: Path):
    weights = shared_dir / "reference/kan2020_mrinet_hidden.pt"
    colin = Path("/usr/share/mricron/templates/ch2bet.nii.gz")
    if not (weights.exists() and colin.exists()):
        pytest.skip("the published weights or Colin27 are not here")
    code, _, _ = run(
        "explain", "--network", "mrinet", "--weights", weights, "--image", colin,
        "--preset", "kan2020", "--class-names", "female,male", "--target", "male",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    result = json.loads((tmp_path / "out/explain.json").read_text())
    (found,) = result["scans"]
    assert found["probabilities"][1] > 0.9
    image = nib.load(tmp_path / "out" / found["maps"]["grad-cam"]["map"])
    assert image.shape == (181, 217, 181)
    np.testing.assert_allclose(image.affine, nib.load(colin).affine)
