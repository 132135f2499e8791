"""Files of weights and makers of networks as they seldom are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from voxplain.errors import InputError, NetworkError
from voxplain.nets import load_into, read_weights
from voxplain.nets.build import _parameters
from voxplain.nets.record import read_record


def test_a_maker_that_does_not_tell_its_arguments_has_none() -> None:
    assert _parameters(dict) == set()
    assert _parameters(lambda shape, outputs: nn.Identity()) == {"shape", "outputs"}


@pytest.mark.parametrize("said", ["hello, these are no weights\n", "\\ It is.", "", "{}", "I3\n."])
def test_a_text_is_no_file_of_weights(tmp_path: Path, said: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_text(said)
    with pytest.raises(InputError, match=r"is not a file of weights; give a \.safetensors or a"):
        read_weights(path)


def test_a_counter_of_batches_may_be_of_any_kind() -> None:
    source, target = nn.BatchNorm3d(2), nn.BatchNorm3d(2)
    with torch.no_grad():
        source.weight.fill_(3)
    state = source.state_dict()
    state["num_batches_tracked"] = torch.tensor(7.0)
    load_into(target, state)
    assert torch.equal(target.weight, source.weight)
    state["weight"] = torch.ones(2, dtype=torch.int64)
    with pytest.raises(NetworkError, match=r"Tensor 'weight' of the weights is of type int64"):
        load_into(target, state)


def test_names_that_would_be_one_without_their_tools_stay_apart() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.module = nn.Linear(1, 1), nn.Module()
            self.module.head = nn.Linear(1, 1)

    source, target = Two(), Two()
    with torch.no_grad():
        source.head.weight.fill_(1)
        source.module.head.weight.fill_(2)
    state = {f"net.{name}": value for name, value in source.state_dict().items()}
    load_into(target, state)
    assert (target.head.weight.item(), target.module.head.weight.item()) == (1, 2)


def test_a_record_that_says_nothing_of_outputs_is_passed_over(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"...")
    assert read_record(weights) == (None, "")
    for content in ({"epochs": 3}, ["class_names"]):
        weights.with_suffix(".json").write_text(json.dumps(content))
        assert read_record(weights) == (None, "")
    weights.with_suffix(".json").write_text(json.dumps({"class_names": ["a", "b"]}))
    found, note = read_record(weights)
    assert found is not None
    assert (found.class_names, note) == (("a", "b"), "")
