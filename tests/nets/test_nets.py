"""The paper's network, and weights from files that may be anything."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from voxplain.errors import InputError, NetworkError
from voxplain.nets import (
    MRINet,
    build_network,
    count_parameters,
    load_into,
    read_weights,
    serialise,
)

SMALL = (22, 24, 23)


def small(seed: int = 0, **options: object) -> MRINet:
    torch.manual_seed(seed)
    return MRINet(SMALL, channels=(2, 3, 4), **options)  # type: ignore[arg-type]


def outputs(network: nn.Module) -> torch.Tensor:
    x = torch.randn(2, 1, *SMALL, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return network.eval()(x)


def as_published(network: MRINet, layout: str) -> dict[str, torch.Tensor]:
    """Rename a state dict tensor by tensor, as the notes list the published names."""
    out = {}
    for name, tensor in network.state_dict().items():
        room, _, rest = name.partition(".")
        if room == "classifier":
            out[("linear." if layout == "hidden" else "classifier.3.") + rest] = tensor
            continue
        kind, block, leaf = rest[:4], int(rest[4]), rest[6:]
        index = 0 if kind == "conv" else 1
        start = (
            f"hidden{block}.{index}" if layout == "hidden" else f"features.{4 * block - 4 + index}"
        )
        out[f"{start}.{leaf}"] = tensor
    return out


def test_parameters_are_the_paper_s() -> None:
    network = MRINet()
    assert count_parameters(network) == 322_818
    assert network.classifier.in_features == 128 * 5 * 7 * 5


@pytest.mark.parametrize("layout", ["hidden", "features"])
@pytest.mark.parametrize("old_format", [True, False])
def test_published_layouts_give_the_same_network(tmp_path: Path, layout: str, old_format: bool):
    source, path = small(1), tmp_path / "weights"
    torch.save(as_published(source, layout), path, _use_new_zipfile_serialization=not old_format)
    target = small(2)
    load_into(target, read_weights(path))
    torch.testing.assert_close(outputs(target), outputs(source), rtol=0, atol=0)


def test_weights_survive_safetensors_data_parallel_and_checkpoints(tmp_path: Path) -> None:
    source = small(1)
    (tmp_path / "a.safetensors").write_bytes(serialise(source))
    parallel = {f"module.{k}": v for k, v in source.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": parallel}, tmp_path / "b.pt")
    for name in ("a.safetensors", "b.pt"):
        target = small(2)
        load_into(target, read_weights(tmp_path / name))
        torch.testing.assert_close(outputs(target), outputs(source), rtol=0, atol=0)


def test_first_mismatch_is_named_with_both_shapes() -> None:
    with pytest.raises(
        NetworkError, match=r"'classifier.weight' is \(2, 4\).*\(2, 108\) in MRINet; .*grid"
    ):
        load_into(MRINet((38, 38, 38), channels=(2, 3, 4)), small().state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.conv2.bias": None}, "no tensor 'features.conv2.bias'"),
        ({"extra.weight": torch.zeros(3)}, r"hold a tensor 'extra.weight' \(3\)"),
    ],
)
def test_missing_and_left_over_tensors_are_named(change: dict, message: str) -> None:
    state = small().state_dict() | change
    state = {k: v for k, v in state.items() if v is not None}
    network = small(3)
    before = outputs(network)
    with pytest.raises(NetworkError, match=message):
        load_into(network, state)
    torch.testing.assert_close(outputs(network), before)


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    bomb = Bomb()
    bomb.path = tmp_path / "exploded"
    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps(bomb))
    torch.save({"weight": bomb}, zipped)
    for path in (plain, zipped):
        with pytest.raises(NetworkError, match="wants to run code"):
            read_weights(path)
    assert not bomb.path.exists()


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\x80\x02", b"PK\x03\x04broken"])
def test_files_that_are_no_weights(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((InputError, NetworkError), match=r"is not a (whole )?|is a pickle"):
        read_weights(path)


def test_truncated_weights(tmp_path: Path) -> None:
    for name, content in (("x.safetensors", serialise(small())), ("x.pt", None)):
        path = tmp_path / name
        if content is None:
            torch.save(small().state_dict(), path)
            content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match="not a whole"):
            read_weights(path)


def test_missing_file_and_content_that_is_no_state_dict(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file of weights at .*nowhere.pt"):
        read_weights(tmp_path / "nowhere.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(NetworkError, match="holds no state dict"):
        read_weights(tmp_path / "list.pt")
    torch.save({"a": "text"}, tmp_path / "text.pt")
    with pytest.raises(NetworkError, match="'a', which is not a tensor"):
        read_weights(tmp_path / "text.pt")
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(NetworkError, match="holds no state dict"):
        read_weights(tmp_path / "empty.safetensors")


def test_networks_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ournets.py").write_text(
        "from torch import nn\n"
        "def build(classes): return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))\n"
        "def plain(): return nn.Identity()\n"
        "def wrong(): return 3\n"
        "def broken(): raise KeyError('key')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert isinstance(build_network("mrinet", SMALL), MRINet)
    assert build_network("ournets:build", SMALL, 5)[1].out_features == 5
    assert isinstance(build_network("ournets:plain", SMALL), nn.Identity)
    for name, kind, message in (
        ("mrnet", InputError, "Unknown network 'mrnet'.*Did you mean 'mrinet'"),
        ("nowhere.at.all:f", InputError, "'nowhere.at.all' cannot be imported"),
        ("ournets:biuld", InputError, "Unknown function of ournets 'biuld'.*'build'"),
        ("ournets:wrong", NetworkError, "returned int, not a torch.nn.Module"),
        ("ournets:broken", NetworkError, "failed with KeyError"),
    ):
        with pytest.raises(kind, match=message):
            build_network(name, SMALL)
    sys.modules.pop("ournets")


def test_too_small_a_grid() -> None:
    with pytest.raises(NetworkError, match=r"at least 22 voxels; the shape \(22, 21, 22\)"):
        MRINet((22, 21, 22))


def test_published_weights_load(shared_dir: Path) -> None:
    path = shared_dir / "reference" / "kan2020_mrinet_hidden.pt"
    if not path.exists():
        pytest.skip("the published weights are not here")
    network = MRINet()
    load_into(network, read_weights(path))
    assert network.features.conv1.weight.abs().sum() > 0
