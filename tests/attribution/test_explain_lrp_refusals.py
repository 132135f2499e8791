"""What layer-wise relevance propagation refuses, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from explain_nets import EXACT, Rectified, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution.methods import make_method
from voxplain.attribution.run import explain
from voxplain.errors import InputError, NetworkError


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.GroupNorm(1, 3), r"NativeGroupNorm in or before '1' \(GroupNorm\)"),
        (nn.InstanceNorm3d(3), r"NativeBatchNorm.* '1' \(InstanceNorm3d\)"),
        (nn.BatchNorm3d(3, track_running_stats=False), r"NativeBatchNorm.* '1' \(BatchNorm3d\)"),
        (nn.Sigmoid(), r"Sigmoid in or before '1' \(Sigmoid\)"),
        (nn.ConvTranspose3d(3, 3, 1), r"Convolution in or before '1' \(ConvTranspose3d\)"),
        (nn.ReLU6(), r"Hardtanh in or before '1' \(ReLU6\)"),
        (nn.Softmax(1), r"Softmax in or before '1' \(Softmax\)"),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore:Sequential does not keep the scans of a batch apart")
def test_what_has_no_rule_is_refused(layer: nn.Module, words: str) -> None:
    model = nn.Sequential(nn.Conv3d(1, 3, 3), layer, nn.Flatten(), nn.Linear(3 * 5 * 6 * 7, 2))
    with pytest.raises(NetworkError, match=f"Sequential runs {words}, for which relevance"):
        explain(model, volumes(1)[0], "lrp", engine=EXACT)


class Tokens(nn.Module):
    """Turns the volume's slices into tokens for some layer."""

    def __init__(self, inner: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(72, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(x.flatten(3)[:, 0]).mean(1))


class Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.relu(x.mean(2, keepdim=True))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(72, 72, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: object, *grads: torch.Tensor) -> torch.Tensor:
        return 2 * grads[0]


class OwnBackward(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Doubled.apply(x)


class Dynamic(nn.Module):
    """A linear layer whose weights come from the volume."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, x[0, :, :1].expand(7, 72).mean(0).expand(72, 72))


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        (Gate(), r"Mul in or before 'inner' \(Gate\)"),
        (Recurrent(), r"\w+ in or before 'inner.lstm' \(LSTM\)"),
        (nn.TransformerEncoderLayer(72, 2, 8, batch_first=True), r"\w+ in or before 'inner"),
        (OwnBackward(), r"Doubled in or before 'inner' \(OwnBackward\)"),
        (Dynamic(), r"\w+ in or before 'inner' \(Dynamic\)"),
    ],
    ids=["gate", "lstm", "attention", "function", "dynamic"],
)
def test_a_product_or_a_hidden_derivative_is_refused(layer: nn.Module, where: str) -> None:
    with pytest.raises(NetworkError, match=f"Tokens runs {where}"):
        explain(Tokens(layer), volumes(1)[0], "lrp", engine=EXACT)


def test_a_change_of_a_part_in_place_is_refused() -> None:
    """PyTorch's record does not tell what was done to the part."""
    with pytest.raises(NetworkError, match="Rectified runs CopySlices"):
        explain(Rectified("views"), volumes(1)[0], "lrp", engine=EXACT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_refused() -> None:
    """The layers in it cannot be given rules."""
    layers = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(420, 2))
    scripted = torch.jit.trace(layers, torch.rand(1, 1, *volumes(1)[0].values.shape))
    with pytest.raises(NetworkError, match="for which relevance has no rule"):
        explain(scripted, volumes(1)[0], "lrp", engine=EXACT)


def test_a_first_rule_needs_a_layer_that_takes_the_volume() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = paper_like()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x / 2)

    item = volumes(1)[0]
    assert explain(Scaled(), item, "lrp", first="same", engine=EXACT).values.any()
    with pytest.raises(
        NetworkError, match=r"first='w2' needs .* Scaled has none; use first='same'"
    ):
        explain(Scaled(), item, "lrp", engine=EXACT)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "gamma"}, "rule must be 'composite', 'epsilon' or 'alpha-beta'; 'gamma'"),
        ({"first": "zb"}, "first must be 'w2', 'flat' or 'same'; 'zb'"),
        ({"epsilon": -1}, "epsilon must be 0 or more, and finite; -1"),
        ({"beta": float("nan")}, "beta must be a number; nan"),
        ({"score": "probability"}, "score must be 'margin' or 'logit'; 'probability'"),
    ],
)
def test_bad_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_method("lrp", options)
