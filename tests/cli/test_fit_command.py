"""``voxplain fit``: from a study's cohort to scores, whatever kills it on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from forks import Forks
from safetensors.torch import load_file

from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.grid import Grid
from voxplain.pipeline.truth import read_truth
from voxplain.study import Study
from voxplain.volume import Cohort

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.xdist_group("forks")
GRID = Grid((24, 24, 24), np.diag([-8.0, 8, 8, 1]))
QUICK = ("--cv", 3, "--epochs", 2, "--no-final", "--device", "cpu")


def tiny(width: int = 24) -> object:
    """A network that is trained in no time."""
    from torch import nn

    return nn.Sequential(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(4 * 64, 2),
    )  # fmt: skip


def tiny_number() -> object:
    from torch import nn

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), nn.Linear(216, 1))


TINY = "test_fit_command:tiny"


def write_block_truth(study: Path) -> None:
    """Say where the signal of `make_study` is, as `voxplain phantom` does."""
    block = np.zeros(GRID.shape, bool)
    block[8:14, 8:14, 8:14] = True
    brain = np.zeros(GRID.shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    keeper = Study(study, "voxplain study", "0")
    keeper.write_volume("phantom/template_desc-effect_mask", block, GRID)
    keeper.write_volume("phantom/template_desc-brain_mask", brain, GRID)


def make_study(
    folder: Path,
    n: int = 24,
    signal_: float = 3.0,
    names: tuple[str, str] = ("control", "case"),
    air: int = 0,
    **columns: list[object],
) -> Path:
    """Make a study of noise and a block; with air, of so many voxels, around a smaller brain."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, *GRID.shape)).astype(np.float32)
    images[:, 8:14, 8:14, 8:14] += signal_ * labels[:, None, None, None]
    if air:
        images *= np.pad(np.ones([n - 2 * air for n in GRID.shape], np.float32), air)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "label": np.where(labels == 1, names[1], names[0]),
            "age": 40 + 6 * labels + rng.normal(size=n),
            "brain_ml": 1200 + 40 * labels + rng.normal(0, 60, size=n),
            **columns,
        }
    )
    Study(folder, "test", "0")
    write_store(folder / "cohort", Cohort(table, names, GRID, lambda i: images[i]), "test")
    return folder


@pytest.fixture(scope="session")
def forks(forks: Forks) -> Forks:
    return forks.at(Path(__file__).parent)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return make_study(tmp_path / "study")


def fitted(study: Path) -> dict[str, object]:
    return json.loads((study / "summary.json").read_text())["fit"]


def test_networks_and_baselines_side_by_side(run: Run, study: Path) -> None:
    table = study / "measures.tsv"
    values = open_store(study / "cohort").labels
    rows = [f"{i:02d}\t{v + 0.1 * (i % 7)}\t{i % 5}" for i, v in enumerate(values)]
    table.write_text("\n".join(["Subject\tFS_A\tFS_B", *rows]))
    code, shown, error = run(
        "fit", study, "--network", TINY, "--network", "mrinet", "--table", table, *QUICK
    )
    assert (code, error) == (0, "")
    assert "12 control and 12 case. No participant, family or site" in shown
    assert "Controls for brain_ml, age: pooled accuracy" in shown
    found = fitted(study)
    models = found["models"]
    assert [*models][:2] == [TINY, "mrinet"]
    assert models["mrinet"]["class"] == "MRINet"
    assert {name for name in models if "voxels" in name} == {
        "voxels, linear SVC", "voxels, RBF SVC", "voxels, PCA and logistic regression",
    }  # fmt: skip
    assert models["voxels, linear SVC"]["accuracy"]["pooled"] == 1
    assert "brier" not in models["voxels, linear SVC"]
    assert found["importances"][0]["measure"] == "FS_A"
    assert found["accuracy"] == models[TINY]["accuracy"]
    low, high = found["accuracy"]["ci"]
    assert low <= found["accuracy"]["mean"] <= high
    folds = pd.read_csv(study / "model/folds.tsv", sep="\t")
    assert sorted(folds["scan"]) == [f"sub-{i:02d}" for i in range(24)]
    told = pd.read_csv(study / "model/mrinet/predictions.tsv", sep="\t")
    assert list(told["scan"]) == list(folds["scan"])
    for _, row in told.iterrows():
        logits = np.array([row["logit_control"], row["logit_case"]])
        chances = np.exp(logits) / np.exp(logits).sum()
        assert row["p_case"] == pytest.approx(chances[1], rel=1e-4)
        assert row["predicted"] == ("control", "case")[int(logits.argmax())]
    accuracy = (told["truth"] == told["predicted"]).mean()
    assert accuracy == pytest.approx(models["mrinet"]["accuracy"]["pooled"])
    alone = found["confounds"]["alone"]
    assert [*alone] == ["brain_ml", "age", "all of them"]
    assert alone["age"]["accuracy"] > 0.9
    assert set(found["confounds"]["removed"]) == set(models)
    assert 0 < found["confounds"]["matched"]["scans"] <= 24


def test_a_rerun_keeps_what_is_done_and_other_options_do_not(run: Run, study: Path) -> None:
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    files = sorted((study / "model").rglob("weights.safetensors"))
    assert len(files) == 3
    before, first = {f: f.stat().st_mtime_ns for f in files}, fitted(study)
    code, shown, _ = run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    assert code == 0
    assert "fold 1" not in shown
    assert {f: f.stat().st_mtime_ns for f in files} == before
    assert fitted(study)["accuracy"] == first["accuracy"]
    other = ("fit", study, "--network", TINY, *QUICK, "--no-baselines", "--seed", 1)
    code, _, error = run(*other)
    assert code == 2
    assert re.search(r"holds networks that were trained otherwise \(folds, labels, seed\)", error)
    assert {f: f.stat().st_mtime_ns for f in files} == before
    assert fitted(study)["accuracy"] == first["accuracy"]
    code, _, _ = run(*other, "--replace")
    assert code == 0
    assert all(f.stat().st_mtime_ns != before[f] for f in files)


def mortal() -> object:
    """A network that kills its process in the third batch after a checkpoint that it waits for."""
    import torch
    from torch import nn

    class Mortal(nn.Linear):
        passes = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training and Path(os.environ.get("KILLED_AFTER", "nothing")).exists():
                self.passes += 1
                if self.passes == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(x)

    return nn.Sequential(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.2), Mortal(4 * 64, 2),
    )  # fmt: skip


def test_killed_in_the_middle_of_an_epoch_it_ends_as_if_unbroken(
    run: Run, study: Path, forks: Forks
) -> None:
    """kill -9 in the middle of the second epoch of a fold; the second run goes on from there."""
    network = "test_fit_command:mortal"
    options = ["--network", network, "--cv", "2", "--epochs", "4", "--no-final", "--no-baselines"]
    options += ["--device", "cpu", "--batch-size", "2", "--patience", "4"]
    fold = "model/test-fit-command-mortal/repeat-01/fold-{:02d}"
    checkpoint = study / fold.format(1) / "checkpoint.pt"
    pid = forks.start("fit", study, *options, KILLED_AFTER=str(checkpoint))
    assert forks.wait(pid) == -signal.SIGKILL
    assert checkpoint.exists()
    assert not (study / "summary.json").exists()
    code, shown, _ = run("fit", study, *options)
    assert code == 0
    assert "Going on after epoch 1 of" in shown
    whole = make_study(study.parent / "whole")
    code, shown, _ = run("fit", whole, *options)
    assert code == 0
    assert "Going on" not in shown
    for place in map(fold.format, (1, 2)):
        weights = f"{place}/weights.safetensors"
        assert (study / weights).read_bytes() == (whole / weights).read_bytes()
        told = [json.loads((s / place / "training.json").read_text()) for s in (study, whole)]
        assert told[0]["history"] == told[1]["history"]
        assert len(told[0]["validation"]) > 0
    assert not list(study.rglob("checkpoint.pt"))


def test_families_stay_together_unless_told_otherwise(
    run: Run, study: Path, tmp_path: Path
) -> None:
    family = [f"F{i // 4}" for i in range(24)]
    twins = make_study(tmp_path / "twins", family=family)
    code, shown, _ = run("fit", twins, "--network", TINY, *QUICK, "--no-baselines")
    assert code == 0
    assert "Scans of one family stay together" in shown
    folds = pd.read_csv(twins / "model/folds.tsv", sep="\t")
    homes = folds.assign(family=[family[int(s[4:])] for s in folds["scan"]])
    assert (homes.groupby("family")["fold"].nunique() == 1).all()
    _, shown, _ = run("fit", twins, "--network", TINY, *QUICK, "--no-baselines", "--group", "none")
    assert "as --group none asks" in shown


def test_age_is_a_number(run: Run, study: Path) -> None:
    code, shown, error = run(
        "fit", study, "--outcome", "age", "--network", "test_fit_command:tiny_number", *QUICK
    )
    assert (code, error) == (0, "")
    found = fitted(study)
    ages = open_store(study / "cohort").participants["age"].to_numpy()
    assert found["mae"]["pooled"] < 4 * np.abs(ages - ages.mean()).mean()
    assert "mean error" in shown
    told = pd.read_csv(study / "model/test-fit-command-tiny-number/predictions.tsv", sep="\t")
    rows = [int(s[4:]) for s in told["scan"]]
    np.testing.assert_allclose(told["truth"], ages[rows], rtol=1e-4)
    assert np.abs(told["predicted"] - told["truth"]).mean() == pytest.approx(
        found["mae"]["pooled"], rel=1e-3
    )
    assert found["confounds"]["columns"] == ["brain_ml"]


def test_leave_one_out(run: Run, tmp_path: Path, study: Path) -> None:
    small = make_study(tmp_path / "small", n=6)
    code, _, error = run(
        "fit", small, "--network", TINY, "--cv", 0, "--epochs", 1, "--device", "cpu"
    )
    assert (code, error) == (0, "")
    found = fitted(small)
    assert found["folds"] == 6
    assert found["accuracy"]["folds_ci"] is None
    assert found["roc_auc"]["pooled"] is not None
    assert (small / f"model/{TINY.replace(':', '-').replace('_', '-')}/all").is_dir()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cv", 13), "Class 'control' has 12 scans, fewer than the 13 folds"),
        (("--cv", 1), "number of folds must lie between 2 and 24"),
        (("--network", "mrinett"), "network 'mrinett'.*mrinet"),
        (("--network", "sfcn"), "SFCN needs three axes of at least 32 voxels"),
        (("--schedule", "paper"), "schedule 'paper'"),
        (("--augment", "flop"), "augmentation 'flop'"),
        (("--outcome", "iq"), "no column 'iq' to predict"),
        (("--group", "twins"), "no column 'twins' to group by"),
        (("--confound", "height"), "no column 'height' to control for"),
        (("--epochs", 0), "epochs must be 1 or more"),
        (("--repeats", 0), "At least one repeat is needed"),
        (
            ("--network", "test_fit_command:tiny_number"),
            "gives 1 output.s., and label needs 2; let the function",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run, study: Path, options: tuple[object, ...], message: str
) -> None:
    code, _, error = run("fit", study, *QUICK, *options)
    assert code == 2, error
    assert re.search(message, error), error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"{i:02d},1.{i}" for i in range(23)], "no row for 1 of 24 participants .23."),
        ([f"{i % 23:02d},1.{i}" for i in range(24)], "00 occurs? more than once"),
        ([f"{i:02d},{'inf' if i == 3 else i}" for i in range(24)], "'FS_A' holds infinite values"),
        ([f"{i:02d},w{i}" for i in range(24)], "'FS_A' holds words, such as 'w0', of 24 kinds"),
    ],
)
def test_tables_that_cannot_be(run: Run, study: Path, rows: list[str], message: str) -> None:
    (study / "t.csv").write_text("\n".join(["participant_id,FS_A", *rows]))
    code, _, error = run(
        "fit", study, "--network", TINY, *QUICK, "--no-baselines", "--table", study / "t.csv"
    )
    assert code == 2
    assert re.search(message, error), error


def test_no_cohort(run: Run, tmp_path: Path) -> None:
    code, _, error = run("fit", tmp_path)
    assert code == 2
    assert "There is no cohort in" in error


def test_phantoms_are_a_cohort_like_any_other(run: Run, tmp_path: Path) -> None:
    code, _, _ = run(
        "phantom", "--out", tmp_path / "p", "--subjects", 4, "--strength", 0, "--voxel-size", 8
    )
    assert code == 0
    cohort = open_store(tmp_path / "p/cohort")
    assert len(cohort) == 4
    assert (cohort.participants["effect_strength"] == 0).all()
    assert cohort.class_names == ("control", "case")
    code, _, error = run("phantom", "--out", tmp_path / "p", "--subjects", 6, "--strength", 0)
    assert "holds another cohort" in error
    code, _, error = run("phantom", "--out", tmp_path / "q", "--strength", 1.5)
    assert "strength must lie from 0 to below 1" in error
    code, _, _ = run("phantom", "--out", tmp_path / "c", "--subjects", 2, "--voxel-size", 5)
    assert code == 0
    assert open_store(tmp_path / "c/cohort").grid.shape == (36, 44, 36)
    assert not (tmp_path / "p/phantom").exists(), "without an effect there is no true region"
    truth = read_truth(tmp_path / "c")
    assert truth is not None
    assert truth.support.shape == (36, 44, 36)
    assert 0 < truth.support.sum() < 0.05 * truth.brain.sum()
    assert (truth.brain | ~truth.support).all()
    own = nib.load(tmp_path / "c/phantom/sub-0002/anat/sub-0002_desc-effect_mask.nii.gz")
    assert 0 < own.get_fdata().sum() < 0.05 * truth.brain.sum()
    code, _, error = run("phantom", "--out", tmp_path / "d", "--voxel-size", 0)
    assert code == 2
    assert "The voxel size must be above 0 mm; 0.0 was given." in error


def normed() -> object:
    from torch import nn

    return nn.Sequential(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 64, 2),
    )  # fmt: skip


def flat_norm() -> object:
    from torch import nn

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), nn.BatchNorm1d(216), nn.Linear(216, 2))


def greedy() -> object:
    """A network that asks for more memory than there is, once it trains."""
    import torch
    from torch import nn

    class Greedy(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.empty(1 << 60) if self.training else x)

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), Greedy(216, 2))


def test_a_training_that_cannot_go_on_says_why(run: Run, study: Path) -> None:
    asked = ("fit", study, *QUICK, "--no-baselines", "--batch-size")
    code, _, error = run(*asked, 4, "--parts", 4, "--network", "test_fit_command:flat_norm")
    assert code == 2
    assert "cannot learn from one scan at a time, as batches of 4 in 4 parts ask" in error
    assert run(*asked, 4, "--network", "test_fit_command:flat_norm")[0] == 0
    code, _, error = run(*asked, 4, "--network", "test_fit_command:greedy")
    assert code == 2
    assert "Memory ran out while test_fit_command:greedy was trained with batches of 4" in error
    assert "Traceback" not in error


def side_by_side(run: Run, forks: Forks, *arguments: object) -> list[tuple[int, str]]:
    """Run a command in two processes as torchrun does, and return what each says.

    The first is this one, and the second starts from a process that has loaded voxplain.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    second = forks.start(*arguments, **together, RANK="1", LOCAL_RANK="1")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**together, "RANK": "0", "LOCAL_RANK": "0"}.items():
            patched.setenv(name, value)
        code, shown, error = run(*arguments)
    return [(code, shown + error), (forks.wait(second), forks.told(second))]


@pytest.mark.filterwarnings("ignore:torch.distributed.nn.functional:FutureWarning")
def test_two_processes_train_as_one(run: Run, study: Path, forks: Forks) -> None:
    """Over gloo: the losses, weights and statistics of one process, up to rounding."""
    options = ["--network", "test_fit_command:normed", "--cv", "2", "--epochs", "4"]
    options += ["--batch-size", "6", "--no-final", "--no-baselines", "--device", "cpu"]
    other = make_study(study.parent / "two")
    assert run("fit", study, *options)[0] == 0
    told = side_by_side(run, forks, "fit", other, *options)
    assert [code for code, _ in told] == [0, 0], told
    shown = "".join(words for _, words in told)
    assert shown.count("Written:") == 2
    assert shown.count("12 control and 12 case") == 1
    for number in (1, 2):
        place = f"model/test-fit-command-normed/repeat-01/fold-{number:02d}"
        one, two = (json.loads((s / place / "training.json").read_text()) for s in (study, other))
        assert [e["train_accuracy"] for e in one["history"]] == pytest.approx(
            [e["train_accuracy"] for e in two["history"]], abs=0.1
        )
        assert [e["train_loss"] for e in one["history"]] == pytest.approx(
            [e["train_loss"] for e in two["history"]], rel=0.03
        )
        a, b = (load_file(s / place / "weights.safetensors") for s in (study, other))
        assert set(a) == set(b)
        for name, tensor in a.items():
            gap = (tensor.float() - b[name].float()).norm()
            assert float(gap) <= 0.02 * float(tensor.float().norm()) + 1e-3, name


def test_more_processes_than_scans_in_a_batch(run: Run, study: Path, forks: Forks) -> None:
    asked = ("--network", TINY, "--batch-size", 1, "--cv", 2, "--device", "cpu")
    told = side_by_side(run, forks, "fit", study, *asked)
    assert all(code != 0 for code, _ in told)
    assert any("2 processes need batches of 2 scans or more" in words for _, words in told)


def cut() -> object:
    """A network with a kernel that nowhere lies wholly inside its image."""
    from torch import nn

    return nn.Sequential(
        nn.AvgPool3d(12), nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)
    )


def exploding() -> object:
    """A network whose loss is not a number once it trains."""
    import torch
    from torch import nn

    class Exploding(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (torch.nan if self.training else 1)

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), Exploding(216, 2))


def puzzled() -> object:
    """A network that fails in training in a way that nobody foresaw."""
    import torch
    from torch import nn

    class Puzzled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                raise AttributeError("what [bold]am I[/x]\nto do?")
            return super().forward(x)

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), Puzzled(216, 2))


@pytest.mark.parametrize("first", [True, False])
def test_a_network_that_fails_leaves_the_others(run: Run, study: Path, first: bool) -> None:
    bad = ("--network", "test_fit_command:exploding", "--network", "test_fit_command:puzzled")
    networks = (*bad, "--network", TINY) if first else ("--network", TINY, *bad)
    code, shown, error = run("fit", study, *networks, *QUICK, "--no-baselines")
    assert (code, error) == (0, "")
    assert "test_fit_command:exploding failed, and is left out: The loss is no longer" in shown
    assert "failed in training, AttributeError: what [bold]am I[/x] to do?" in shown
    found = fitted(study)
    assert [*found["models"]] == [TINY]
    assert [*found["failed"]] == ["test_fit_command:exploding", "test_fit_command:puzzled"]
    assert found["accuracy"] == found["models"][TINY]["accuracy"]
    page = (study / "fit.html").read_text()
    assert "test_fit_command:exploding" in page
    assert "The loss is no longer finite in epoch 1" in page
    assert "am I[/x] to do?" in page
    files = sorted((study / "model").rglob("weights.safetensors"))
    assert len(files) == 3
    before = {f: f.stat().st_mtime_ns for f in files}
    assert run("fit", study, *networks, *QUICK, "--no-baselines")[0] == 0
    assert {f: f.stat().st_mtime_ns for f in files} == before


def test_where_all_networks_fail_each_is_named(run: Run, study: Path) -> None:
    bad = ("--network", "test_fit_command:exploding", "--network", "test_fit_command:puzzled")
    code, _, error = run("fit", study, *bad, *QUICK, "--no-baselines")
    assert code == 2
    assert "No network could be trained. test_fit_command:exploding: The loss is" in error
    assert "test_fit_command:puzzled: test_fit_command:puzzled failed in training" in error
    assert "Traceback" not in error


def test_precision_is_part_of_what_a_rerun_finds(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("training.arithmetic", "prediction"):
        monkeypatch.setattr(f"voxplain.fit.{place}.has_bfloat16", lambda device: True)
    network = ("--network", "test_fit_command:cut")
    asked = ("fit", study, *network, *QUICK, "--no-baselines")
    code, shown, _ = run(*asked)
    assert code == 0
    said = "in float32 1 layer (1), where the kernel nowhere lies wholly inside the image"
    assert shown.count(f"cut computes in bfloat16; {said}") == 1
    arithmetic = fitted(study)["models"]["test_fit_command:cut"]["arithmetic"]
    assert arithmetic["cut"] == ["1"]
    assert said in (study / "fit.html").read_text()
    code, shown, _ = run(*asked)
    assert code == 0
    assert "fold 1" not in shown
    assert fitted(study)["models"]["test_fit_command:cut"]["arithmetic"] == arithmetic
    code, _, error = run(*asked, "--precision", "exact")
    assert code == 2
    assert re.search(r"were trained otherwise \(.*schedule\)", error)
    code, _, error = run(*asked, "--precision", "exakt")
    assert code == 2
    assert "exakt" in error
    assert run(*asked, "--precision", "exact", "--replace")[0] == 0
    found = fitted(study)
    assert found["schedule"].endswith(", float32 throughout")
    words = found["models"]["test_fit_command:cut"]["arithmetic"]["words"]
    assert words == "float32 throughout: as precision 'exact' asks"
    assert run(*asked)[0] == 2, "nor is the other taken for it"


def test_what_was_trained_with_wrong_gradients_is_not_taken_for_right(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As earlier versions wrote it: without a word on layers in float32."""
    for place in ("training.arithmetic", "prediction"):
        monkeypatch.setattr(f"voxplain.fit.{place}.has_bfloat16", lambda device: True)
    both = ("--network", TINY, "--network", "test_fit_command:cut")
    assert run("fit", study, *both, *QUICK, "--no-baselines")[0] == 0
    for path in (study / "model").rglob("training.json"):
        kept = json.loads(path.read_text())
        kept["request"].pop("float32", None)
        del kept["arithmetic"]
        path.write_text(json.dumps(kept))
    code, _, error = run("fit", study, *both, *QUICK, "--no-baselines")
    assert code == 2
    assert "layers in float32, as bfloat16 can give wrong gradients there" in error
    code, shown, _ = run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    assert code == 0
    assert "fold 1" not in shown
    assert "arithmetic" not in fitted(study)["models"][TINY]
