"""Whether scans and predictions are like those that a network was trained for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from voxplain.cohort import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.weights import plausibility
from voxplain.pipeline.trust.weights.asked import ask_weights
from voxplain.pipeline.trust.weights.external import _of_size, trust_weights
from voxplain.pipeline.trust.weights.head_size import mask_scans, reads_head_size
from voxplain.pipeline.trust.weights.plausibility import (
    implausible_numbers,
    implausible_outputs,
    judge_weights,
    plausibility_measurement,
    require_plausible,
    unlike_training,
)
from voxplain.progress import Silent
from voxplain.study import Study
from voxplain.volume import Cohort

GRID = Grid((10, 12, 10), np.diag([15.0, 15, 15, 1]))
NET = "test_trust_plausibility:head"


def head(classes: int = 2) -> nn.Module:
    """Reads the mean of the image, which is brain volume."""
    return nn.Sequential(
        nn.Conv3d(1, 1, 1), nn.BatchNorm3d(1), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
        nn.Linear(1, classes),
    )  # fmt: skip


def reading_size(cohort: Cohort, gain: float = 60.0) -> nn.Module:
    network = head()
    stack = torch.from_numpy(cohort.stack(np.arange(len(cohort))))[:, None]
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.zero_()
        network[1].running_mean.fill_(float(stack.mean()))
        network[1].running_var.fill_(float(stack.var()))
        network[4].weight.copy_(torch.tensor([[-gain / 2], [gain / 2]]))
        network[4].bias.zero_()
    return network.eval()


def brains(n: int = 40, seed: int = 0) -> Cohort:
    """Balls of which those of one class are larger."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    radii = 0.66 + 0.05 * labels + rng.normal(0, 0.03, n)
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in GRID.shape), indexing="ij"))
    distance = np.sqrt((at**2).sum(0))
    inside = np.clip((radii[:, None, None, None] - distance) / 0.2 + 0.5, 0, 1)
    images = (inside * (1 + 0.02 * rng.normal(size=inside.shape))).astype(np.float32)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "label": np.where(labels == 1, "male", "female"),
            "brain_ml": inside.sum((1, 2, 3)) * 3.4,
        }
    )
    return Cohort(table, ("female", "male"), GRID, lambda i: images[i])


def judged(tmp_path: Path, network: nn.Module, cohort: Cohort, **options: object) -> object:
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    given = ScanOptions(NET, (path,), (), tmp_path, **options)
    return judge_weights(given, cohort, ask_weights(given, cohort, Silent()))


def test_a_network_that_reads_head_size_is_called_so(tmp_path: Path) -> None:
    cohort = brains()
    found = judged(tmp_path, reading_size(cohort), cohort)
    size = found.head_size
    male = cohort.labels == 1
    assert size.size == pytest.approx(roc_auc_score(male, cohort.participants["brain_ml"]))
    assert size.network == pytest.approx(size.size, abs=0.03)
    assert size.masks > 0.8
    assert size.reads_size
    assert found.plausible
    assert found.first.startswith("This network reads head size: the network tells female from")
    assert found.first.endswith("Its maps explain head size.")
    require_plausible(found)
    told = plausibility_measurement(found)
    assert (told.test, told.value, told.words) == ("plausibility", 1.0, found.first)


def test_the_verdict_on_somebodys_weights(tmp_path: Path) -> None:
    cohort, study = brains(), tmp_path / "study"
    Study(study, "voxplain study", "0")
    write_store(study / "cohort", cohort, "test")
    torch.save(reading_size(cohort).state_dict(), tmp_path / "size.pt")
    options = ScanOptions(NET, (tmp_path / "size.pt",), (), study, methods=("gradient",))
    how = TrustOptions(study, budget="1m", device="cpu")
    found = trust_weights(options, how, Silent())
    assert found.first.startswith("This network reads head size")
    tests = {one.rule.test: one.outcome for one in found.study}
    assert tests == {
        "knowledge-chance": "pass", "knowledge-confounds": "fail", "plausibility": "pass",
    }  # fmt: skip
    assert [one.call for one in found.methods] == ["do not believe"]
    assert found.exit_code == 3
    told = json.loads((study / "trust-weights.json").read_text())
    assert told["first"] == found.first
    assert "head size" in (study / "trust-weights.html").read_text()
    strange = reading_size(cohort)
    with torch.no_grad():
        strange[4].weight.mul_(1e4)
    torch.save(strange.state_dict(), tmp_path / "size.pt")
    with pytest.raises(InputError, match=r"saturated logits.* Maps of it explain nothing"):
        trust_weights(options, how, Silent())
    assert trust_weights(options, how, Silent(), forced=True).exit_code == 3


def test_a_network_that_reads_something_else_is_not() -> None:
    cohort = brains()
    rng = np.random.default_rng(1)
    found = reads_head_size(cohort.labels + rng.normal(0, 0.5, 40), cohort)
    # Size tells these classes apart as well: that taking it out costs a lot says nothing.
    assert found.size > 0.9
    assert abs(found.r_within) < 0.4
    assert not found.reads_size
    assert "reads more than head size" in found.sentence
    nothing = reads_head_size(rng.normal(size=40), cohort)
    assert not nothing.reads_size
    assert "does not tell these scans apart" in nothing.sentence
    # The sense of the score does not matter.
    turned = reads_head_size(-(cohort.labels + np.random.default_rng(1).normal(0, 0.5, 40)), cohort)
    assert turned.network == pytest.approx(found.network)
    assert turned.removed == pytest.approx(found.removed)


def test_no_brain_volume_no_sentence() -> None:
    cohort = brains()
    bare = Cohort(
        cohort.participants.drop(columns="brain_ml"), cohort.class_names, GRID, cohort.load
    )
    assert reads_head_size(np.arange(40.0), bare) is None


def test_masks_hold_size_and_nothing_else() -> None:
    cohort = brains()
    masks = list(mask_scans(cohort))
    levels = {tuple(np.unique(mask).round(5)) for mask in masks}
    assert len(levels) == 1
    assert len(next(iter(levels))) == 2
    volumes = [(mask > 0).sum() for mask in masks]
    assert np.corrcoef(volumes, cohort.participants["brain_ml"])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("factor", "said"), [(255.0, "saturated logits"), (0.01, "All 40 scans are given class")]
)
def test_intensities_of_another_kind_are_refused(tmp_path: Path, factor: float, said: str) -> None:
    cohort = brains()
    other = Cohort(cohort.participants, cohort.class_names, GRID, lambda i: factor * cohort.load(i))
    found = judged(tmp_path, reading_size(cohort), other)
    assert not found.plausible
    assert said in found.first
    assert "features unlike those of the training" in found.first
    assert found.first.endswith("Maps of it explain nothing.")
    with pytest.raises(InputError, match="give --force to have them explained all the same"):
        require_plausible(found)
    require_plausible(found, forced=True)


def test_ages_that_nobody_has(tmp_path: Path) -> None:
    cohort = brains()
    network = head(1).eval()
    with torch.no_grad():
        network[4].weight.fill_(0.0)
        network[4].bias.fill_(150.0)
    network[1].load_state_dict(reading_size(cohort)[1].state_dict())
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.zero_()
    found = judged(tmp_path, network, cohort, unit="years")
    assert found.share == 0
    assert "40 of 40 predictions are no possible years from 0 to 110, such as 150." in found.first


def test_numbers() -> None:
    odd, said = implausible_numbers(np.array([40.0, 55, 160, -3]), "years", (0.0, 110.0))
    assert odd.tolist() == [False, False, True, True]
    assert "2 of 4 predictions are no possible years from 0 to 110, such as 160." in said
    odd, said = implausible_numbers(np.full(10, 47.0), "years", (0.0, 110.0))
    assert odd.all()
    assert "All 10 scans are given about the same number, 47 years." in said
    odd, said = implausible_numbers(np.linspace(30, 60, 10), "years", (0.0, 110.0))
    assert not odd.any()
    assert said == ""


def test_classes() -> None:
    labels = np.arange(10) % 2
    rng = np.random.default_rng(0)
    odd, said = implausible_outputs(rng.normal(size=(10, 2)), ("a", "b"), labels)
    assert (odd.any(), said) == (False, "")
    odd, said = implausible_outputs(np.tile([3.0, 1.0], (10, 1)), ("a", "b"), labels)
    assert odd.all()
    assert said.startswith("All 10 scans are given a")
    # Two of another class may be missed by any network.
    rare = np.array([0] * 8 + [1] * 2)
    assert not implausible_outputs(np.tile([3.0, 1.0], (10, 1)), ("a", "b"), rare)[0].any()
    logits = rng.normal(size=(10, 2))
    logits[0] = 90, -3
    assert implausible_outputs(logits, ("a", "b"), labels)[0].tolist() == [True] + [False] * 9


def test_features_like_those_of_the_training_are_left_alone() -> None:
    cohort = brains()
    odd, said = unlike_training(reading_size(cohort), cohort)
    assert (odd.any(), said) == (False, "")
    without = nn.Sequential(nn.Flatten(), nn.Linear(1200, 2))
    assert not unlike_training(without, cohort)[0].any()


def test_the_papers_weights_read_head_size(shared_dir: Path, tmp_path: Path) -> None:
    """Needs the 30 IXI brains as a study, which takes a minute to prepare."""
    from dataclasses import replace

    from voxplain.cohort import PRESETS
    from voxplain.cohort.build import build_store
    from voxplain.cohort.find.sources import from_bids

    scans, weights = shared_dir / "data/ixi30", shared_dir / "reference/kan2020_mrinet_hidden.pt"
    if not (scans.exists() and weights.exists()):
        pytest.skip("the scans or the weights are not there")
    recipe = replace(PRESETS["kan2020"], align="centre")
    build_store(from_bids(scans, "sex"), recipe, tmp_path / "cohort", 1, Silent())
    cohort = open_store(tmp_path / "cohort")
    given = ScanOptions("mrinet", (weights,), (), tmp_path)
    found = judge_weights(given, cohort, ask_weights(given, cohort, Silent()))
    size = found.head_size
    assert found.plausible
    assert size.network == pytest.approx(0.92, abs=0.01)
    assert size.size == pytest.approx(0.90, abs=0.01)
    assert size.removed == pytest.approx(0.65, abs=0.01)
    assert size.masks == pytest.approx(0.92, abs=0.01)
    assert found.first.startswith("This network reads head size")


def aged(cohort: Cohort, low: float, high: float) -> nn.Module:
    """Reads brain volume as a number from the one to the other over the cohort."""
    network, scans = head(1).eval(), torch.from_numpy(cohort.stack(np.arange(len(cohort))))
    network[1].load_state_dict(reading_size(cohort)[1].state_dict())
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.zero_()
        network[4].weight.fill_(1.0)
        network[4].bias.zero_()
        found = network(scans[:, None])[:, 0]
        slope = (high - low) / float(np.ptp(found.numpy()))
        network[4].weight.fill_(slope)
        network[4].bias.fill_(low - slope * float(found.min()))
    return network


@pytest.mark.parametrize(
    ("told", "spread", "share"),
    [
        # A network that says how ages are scaled: five standard deviations are believed.
        ({"unit": "years", "scale": [50.0, 4.0]}, (-2.0, 2.0), 1.0),
        ({"unit": "points", "scale": [0.0, 2.0]}, (-4.0, 90.0), None),
        # Without a scale, years may be what people live, and points anything.
        ({"unit": "years"}, (20.0, 80.0), 1.0),
        ({"unit": "points"}, (-900.0, 900.0), 1.0),
    ],
)
def test_numbers_are_held_against_those_of_the_training(
    tmp_path: Path, told: dict[str, object], spread: tuple[float, float], share: float | None
) -> None:
    cohort = brains()
    three = Cohort(
        cohort.participants.assign(label=np.array(["a", "b", "c"])[np.arange(40) % 3]),
        ("a", "b", "c"), GRID, cohort.load,
    )  # fmt: skip
    record = {"task": "regression", "name": "it", **told}
    (tmp_path / "weights.json").write_text(json.dumps(record))
    network = aged(cohort, *spread)
    found = judged(tmp_path, network, three, task="regression")
    assert found.head_size is None
    if share is not None:
        assert found.share == share
        assert found.first == ("Predictions and scans are like what the network was trained for.")
        return
    with torch.no_grad():
        out = network(torch.from_numpy(cohort.stack(np.arange(40)))[:, None])[:, 0].numpy()
    reach = plausibility._REACH * 2.0
    assert found.share == pytest.approx(np.mean(np.abs(2.0 * out) <= reach))
    assert "predictions are no possible points from" in found.first


def test_bins_say_which_numbers_are_possible() -> None:
    outputs = SimpleNamespace(task="regression", unit="points")
    told = [{"prediction": value} for value in (11.0, 19.0, 25.0)]
    record = SimpleNamespace(bins=(12.0, 10.0, 20.0), scale=1.0)
    answers: Any = SimpleNamespace(
        predicted=SimpleNamespace(outputs=outputs, of_scans=told),
        said=SimpleNamespace(records=[record]),
    )
    odd, said = plausibility._odd_predictions(answers, brains(4))
    assert odd.tolist() == [False, False, True]
    assert "no possible points from 10 to 20, such as 25" in said
    outputs.task = "unknown"
    odd, said = plausibility._odd_predictions(answers, brains(4))
    assert (odd.tolist(), said) == ([False] * 3, "")


def test_sizes_that_do_not_vary_tell_nothing() -> None:
    cohort = brains()
    flat = Cohort(
        cohort.participants.assign(brain_ml=1200.0), cohort.class_names, GRID, cohort.load
    )
    assert reads_head_size(np.arange(40.0), flat) is None
    assert _of_size(None) == []
