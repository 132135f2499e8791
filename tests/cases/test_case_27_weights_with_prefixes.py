"""https://github.com/bearpaw/pytorch-classification/issues/27"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from voxplain.errors import NetworkError
from voxplain.nets import load_into, read_weights


def body(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv3d(1, 3, 3), nn.BatchNorm3d(3), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2)
    )


class Holder(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.module = inner


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.",
        "net.",
        "model.net.module.",
        "x.y.",
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda n: n, nn.DataParallel, Holder], ids=["", "parallel", "own"]
)
def test_the_right_weights_are_found_under_any_prefix(tmp_path: Path, prefix: str, wrap) -> None:
    source, target = body(1), wrap(body(2))
    state = {f"{prefix}{name}": tensor for name, tensor in source.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "lr": 1e-3}, tmp_path / "w.pt")
    load_into(target, read_weights(tmp_path / "w.pt"))
    for own, given in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        torch.testing.assert_close(own, given, rtol=0, atol=0)


def test_weights_of_another_network_are_still_refused() -> None:
    state = {f"model.{name}": tensor for name, tensor in body().state_dict().items()}
    with pytest.raises(NetworkError, match=r"no tensor '4.weight' \(2, 3\).*another network"):
        load_into(body(), {k: v for k, v in state.items() if k != "model.4.weight"})
    with pytest.raises(NetworkError, match="more than once, under 'ema"):
        load_into(body(), state | {f"ema.{k}": v for k, v in body(5).state_dict().items()})
