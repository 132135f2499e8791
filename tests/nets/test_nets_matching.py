"""Weights under other names: found where all of them fit, refused where they do not."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from voxplain.errors import InputError, NetworkError, VoxplainWarning
from voxplain.nets import load_into, read_record, read_weights, serialise

PREFIXES = ["module", "_orig_mod", "model", "net", "backbone", "_fsdp_wrapped_module", "a"]


class Branches(nn.Module):
    """Two layers of the same shape, so that a wrong assignment would load too."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.left, self.right = nn.Conv3d(1, 2, 3), nn.Conv3d(1, 2, 3)
        self.norm, self.head = nn.BatchNorm3d(2), nn.Linear(2, 2)


def equal(network: nn.Module, source: nn.Module) -> bool:
    pairs = zip(network.state_dict().values(), source.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.sampled_from(PREFIXES), max_size=4),
    inside=st.dictionaries(
        st.sampled_from(["left", "right", "norm", "head"]),
        st.sampled_from(["module", "_orig_mod", "_checkpoint_wrapped_module"]),
    ),
    own=st.lists(st.sampled_from(["module", "model"]), max_size=2),
    extra=st.sets(
        st.sampled_from(["total_ops", "total_params", "criterion.weight", "train_acc.n"])
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_nest_of_prefixes(before, inside, own, extra, order) -> None:
    source = Branches(1)
    target = network = Branches(2)
    for name in reversed(own):
        holder = nn.Module()
        holder.add_module(name, network)
        network = holder
    state = {}
    for name, tensor in source.state_dict().items():
        first, rest = name.split(".", 1)
        middle = [inside[first]] if first in inside else []
        state[".".join([*before, first, *middle, rest])] = tensor
    state |= {name: torch.zeros(2) for name in extra}
    names = list(state)
    order.shuffle(names)
    notes = load_into(network, {name: state[name] for name in names})
    assert equal(target, source)
    for name in extra:
        assert any(name.split(".")[0] in note for note in notes) or len(extra) > 1


@pytest.mark.parametrize(
    "content",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 1},
        lambda s: {
            "model_state_dict": s,
            "optimizer_state_dict": {"state": {}, "param_groups": []},
        },
        lambda s: {"net": s, "best": torch.tensor(0.9)},
        lambda s: {"ema": s, "updates": 7},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"anything": s, "config": {"lr": 0.1}},
    ],
)
def test_containers_of_training_checkpoints(tmp_path: Path, content) -> None:
    torch.save(content(dict(Branches(1).state_dict())), tmp_path / "w.pt")
    target = Branches(2)
    load_into(target, read_weights(tmp_path / "w.pt"))
    assert equal(target, Branches(1))


def test_of_a_network_and_its_average_the_network_is_taken_and_told(tmp_path: Path) -> None:
    states = {"ema": dict(Branches(5).state_dict()), "model": dict(Branches(1).state_dict())}
    torch.save(states, tmp_path / "w.pt")
    with pytest.warns(VoxplainWarning, match="under 'model' and 'ema'; those under 'model' are"):
        state = read_weights(tmp_path / "w.pt")
    target = Branches(2)
    load_into(target, state)
    assert equal(target, Branches(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"head.weight": None}, r"no tensor 'head.weight' \(2, 2\), which Branches"),
        (
            lambda s: s | {"more.weight": torch.zeros(3, 1)},
            r"hold a tensor 'm.more.weight' \(3, 1\)",
        ),
        (
            lambda s: s | {"head.weight": torch.zeros(3, 2)},
            r"'m.head.weight' is \(3, 2\).*\(2, 2\)",
        ),
    ],
)
def test_partial_matches_are_refused_by_name(change, message: str) -> None:
    state = {f"m.{k}": v for k, v in change(dict(Branches().state_dict())).items() if v is not None}
    network = Branches(3)
    with pytest.raises(NetworkError, match=message):
        load_into(network, state)
    assert equal(network, Branches(3))


@pytest.mark.parametrize(
    ("kind", "word"),
    [(torch.complex64, "complex64"), (torch.bool, "bool"), (torch.int8, "int8")],
)
def test_numbers_of_another_kind_are_refused(tmp_path: Path, kind: torch.dtype, word: str) -> None:
    state = dict(Branches().state_dict())
    state["head.weight"] = state["head.weight"].to(kind)
    torch.save(state, tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = read_weights(tmp_path / "w.pt")
    with pytest.raises(NetworkError, match=rf"'head.weight' of the weights is of type {word}, and"):
        load_into(Branches(), state)
    half = {k: v.half() if v.is_floating_point() else v for k, v in Branches().state_dict().items()}
    load_into(Branches(), half)


def test_tied_weights_are_written() -> None:
    network = Branches()
    network.right.weight = network.left.weight
    assert len(serialise(network)) > 0


def test_a_record_beside_the_weights(tmp_path: Path) -> None:
    weights, beside = tmp_path / "w.pt", tmp_path / "w.json"
    torch.save(Branches().state_dict(), weights)
    assert read_record(weights) == (None, "")
    beside.write_text('{"class_names": {"0": "female", "1": "male"}}')
    assert read_record(weights)[0].class_names == ("female", "male")
    beside.write_text('{"unit": "years", "name": "age", "scale": [50, 10]}')
    record = read_record(weights)[0]
    assert (record.unit, record.mean, record.scale) == ("years", 50, 10)
    beside.write_text('{"unit": "years", "weights_file_sha256": "other"}')
    assert read_record(weights)[0] is None
    assert "belongs to other weights" in read_record(weights)[1]
    for text, message in (
        ('{"class_names": "female,male"}', "class_names in .* must be a list of names"),
        ('{"unit": "years", "scale": [1, 0]}', "must give scale as"),
        ('{"unit": "years", "scale": "big"}', "must give scale as"),
    ):
        beside.write_text(text)
        with pytest.raises(InputError, match=message):
            read_record(weights)
