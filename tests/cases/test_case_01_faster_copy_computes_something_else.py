"""https://github.com/pytorch/pytorch/issues/197539 : folding changes a tensor that is used twice.

A batch norm is folded, or a block fused, though a sum or a concatenation written in ``forward``
uses what lies between as well; the outputs of one scan, relative to their size, do not show it.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, correlation, gradient_of, scan, tensor
from torch import nn
from torch.nn import functional

import voxplain
from voxplain.attribution.fast import lowering


class PreActivation(nn.Module):
    """The sum takes the convolution's own output past the batch norm that comes next."""

    def __init__(self, outputs: int, bias: float) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, 4, 3, padding=1)
        self.norm, self.conv = nn.BatchNorm3d(4), nn.Conv3d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, outputs)
        with torch.no_grad():
            self.head.bias += bias
            self.norm.running_mean.normal_(0, 0.5)
            self.norm.running_var.uniform_(0.3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = self.stem(x)
        return self.head((self.conv(functional.relu(self.norm(side))) + side).mean((2, 3, 4)))


class Skip(nn.Module):
    """A block that could be fused, but for the skip connection that starts inside it."""

    def __init__(self, outputs: int, bias: float) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)
        self.low, self.last = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(8, 4, 3, padding=1)
        self.head = nn.Linear(4, outputs)
        with torch.no_grad():
            self.head.bias += bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.relu(self.conv(x))
        small = functional.interpolate(self.low(self.pool(wide)), wide.shape[2:])
        return self.head(functional.relu(self.last(torch.cat([small, wide], 1))).mean((2, 3, 4)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("outputs", "bias"), [(1, 60.0), (2, 0.0), (2, 5.0)])
@pytest.mark.parametrize("kind", [PreActivation, Skip])
def test_the_gradient_is_that_of_the_network(
    kind: type[nn.Module],
    outputs: int,
    bias: float,
    bfloat16: bool,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: bfloat16)
    torch.manual_seed(seed)
    net, volume = kind(outputs, bias).eval(), scan(seed)
    target = 1 if outputs > 1 else "predicted"
    made = voxplain.explain(net, volume, "gradient", target, engine=AUTO, score="logit")
    assert correlation(made.values, gradient_of(net, volume)) > (0.95 if bfloat16 else 0.9999)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_an_age_is_not_off_by_a_year(bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in a hundred of sixty years was allowed."""
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: bfloat16)
    torch.manual_seed(0)
    net, scans = PreActivation(1, 60.0).eval(), [scan(i, 1 + i) for i in range(4)]
    ages = AUTO.logits(net, scans)[:, 0]
    with torch.no_grad():
        wanted = net(torch.cat([tensor(s) for s in scans]))[:, 0].numpy()
    assert abs(ages - wanted).max() < 0.02 * (wanted.max() - wanted.min())
