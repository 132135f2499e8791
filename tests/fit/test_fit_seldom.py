"""Trainings, groups and layers as they seldom are."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from test_fit_training import training
from torch import nn

from voxplain.errors import InputError
from voxplain.fit import Fold, Outcome, Schedule, find_groups
from voxplain.fit.morphometry import Features, fit_table, table_models
from voxplain.fit.prediction import has_bfloat16
from voxplain.fit.training import processes
from voxplain.fit.training.arithmetic import Arithmetic, in_float32
from voxplain.fit.training.augment import changer
from voxplain.fit.training.gradients import _close, _unlike, checked
from voxplain.grid import Grid


def test_a_site_that_all_scans_share_keeps_nothing_apart() -> None:
    table = pd.DataFrame({"participant_id": [f"{i}" for i in range(8)], "site": "A"})
    outcome = Outcome("label", np.arange(8) % 2, ("a", "b"))
    groups, said = find_groups(table, outcome, 2)
    assert groups is None
    assert said == "No participant, family or site has to be kept together."
    two = table.assign(site=["A", "B"] * 4)
    assert "sites (site) are mixed in all folds" in find_groups(two, outcome, 2)[1]


def test_without_its_packages_a_fit_goes_on_or_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "XGBoost" in table_models(True)
    monkeypatch.setitem(sys.modules, "xgboost", None)
    assert [*table_models(True)] == [
        "logistic regression", "SVC", "k-NN (15)", "gradient boosting",
    ]  # fmt: skip
    monkeypatch.setitem(sys.modules, "monai.transforms.intensity.array", None)
    grid = Grid((4, 4, 4), np.eye(4))
    assert changer((), grid)(np.ones(grid.shape, np.float32), 0).all()
    with pytest.raises(InputError, match=r"need MONAI; install it with: pip install 'voxplain\[m"):
        changer(("noise",), grid)


def test_a_single_scan_left_out_has_no_importances() -> None:
    rng = np.random.default_rng(0)
    outcome = Outcome("label", np.arange(12) % 2, ("a", "b"))
    features = Features(("one", "two"), rng.normal(size=(12, 2)) + outcome.values[:, None])
    make = table_models(True)["logistic regression"]
    every = np.arange(12)
    alone = [Fold(1, i + 1, np.delete(every, i), every[i : i + 1]) for i in range(3)]
    found = fit_table(make, features, outcome, alone)
    assert [len(one) for one in found.outputs] == [1, 1, 1]
    assert np.isnan(found.permutation).all()


def test_only_processors_and_gpus_have_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_bfloat16("meta")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert has_bfloat16("cuda")
    assert not has_bfloat16("mps")


def test_a_layer_whose_forward_was_replaced_gets_it_back() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    own = network[0].forward
    network[0].forward = lambda x: own(x) + 1
    replaced = vars(network[0])["forward"]
    with in_float32(network, ("0", "1")):
        assert vars(network[0])["forward"] is not replaced
        assert "forward" in vars(network[1])
    assert vars(network[0])["forward"] is replaced
    assert "forward" not in vars(network[1])


class Odd(nn.Module):
    """A layer called by name, one with its own parameters that fails alone, and one that works."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.alone, self.last = nn.Linear(3, 3), Once(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.alone.left = 1
        return self.last(self.alone(self.first(input=x)))


class Once(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.left = nn.Parameter(torch.ones(3)), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.left:
            raise RuntimeError("Once is enough.")
        self.left -= 1
        return x * self.scale


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_layers_that_cannot_be_run_alone_are_tried_through_the_network(factor: float) -> None:
    torch.manual_seed(0)
    network, x = Odd(), torch.randn(4, 3)
    before = copy.deepcopy(network.state_dict())

    def loss(low: bool) -> torch.Tensor:
        out = network(x)
        # As if bfloat16 got all gradients wrong by this factor.
        return (out * (factor if low else 1.0)).square().mean()

    found = checked(network, loss, "cpu", Arithmetic(True))
    assert found.bfloat16 == (factor == 1.0)
    if factor != 1.0:
        assert {"first.weight", "first.bias", "alone.scale"} <= {*found.wrong}
        assert "last.weight" not in found.wrong
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_gradients_that_are_none_are_not_compared() -> None:
    one = torch.ones(2, 2)
    assert _close([None, one, one[:0]], [one, one, one[:0]], 1.0)
    assert not _close([one, 2 * one], [one, one], 1.0)
    nan = one * torch.nan
    assert _unlike(["a", "b", "c"], {"a": nan, "c": one}, {"a": nan, "c": -one}) == ["c"]
    assert _unlike(["b"], {}, {"b": one}) == ["b"]


def test_a_training_kept_by_an_earlier_version_goes_on() -> None:
    state = training(Schedule(epochs=1)).state()
    found = []
    for kept in (state, {name: value for name, value in state.items() if name != "arithmetic"}):
        one = training(Schedule(epochs=1))
        one.resume(kept)
        one.run()
        found.append(one.history)
    assert found[0] == found[1]


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_norms_over_processes_may_lack_what_they_learn(
    monkeypatch: pytest.MonkeyPatch, tracked: bool, affine: bool
) -> None:
    """Of one process, whose sums are its own: as PyTorch normalises."""
    monkeypatch.setattr(processes, "_summed", lambda value: value)
    made, wanted = (nn.BatchNorm3d(3, affine=affine, track_running_stats=tracked) for _ in range(2))
    if tracked:
        made.num_batches_tracked = None
    x = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0)) + 2
    torch.testing.assert_close(processes._normalised(made, x), wanted(x))
    if tracked:
        torch.testing.assert_close(made.running_var, wanted.running_var)
    else:
        assert made.running_var is None


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", said.append)
    monkeypatch.setattr(processes.distributed, "init_process_group", said.append)
    monkeypatch.setattr(processes.distributed, "destroy_process_group", lambda: said.append("end"))
    monkeypatch.setattr(processes.distributed, "get_rank", lambda: 1)
    with processes.joined("cuda") as found:
        assert (found.rank, found.count, found.device) == (1, 3, "cuda:1")
    assert said == [1, "nccl", "end"]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with (
        pytest.raises(InputError, match=r"more processes than this machine has GPUs \(2\); lower"),
        processes.joined("cuda"),
    ):
        pass
