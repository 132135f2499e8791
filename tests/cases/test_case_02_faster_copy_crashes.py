"""https://github.com/pytorch/pytorch/issues/104593 : a fused network breaks code that looks at it.

The network's own ``forward`` reads an attribute of a module, asks for its class, or uses its
weights once more; it is right, and only the faster copy of it fails.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, correlation, gradient_of, scan
from torch import nn
from torch.nn import functional

import voxplain
from voxplain.attribution.fast import lowering


class Asks(nn.Module):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.conv, self.norm = nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool3d(2)
        self.more, self.head = nn.Conv3d(4, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, kept = x, []
        for layer in (self.conv, self.norm, self.relu, self.pool):
            y = layer(y)
            if isinstance(layer, nn.MaxPool3d) or type(layer).__name__ == "BatchNorm3d":
                kept.append(y.mean((2, 3, 4)))
        if self.what == "channels":
            y = y.reshape(len(y), self.conv.out_channels, *y.shape[2:])
        if self.what == "features":
            y = y / self.norm.num_features
        if self.what == "kernel":
            y = functional.avg_pool3d(y, self.pool.kernel_size - 1)
        if self.what == "tied":
            y = functional.conv3d(functional.relu(self.more(y)), self.more.weight, padding=1)
        if self.what == "bias":
            y = y + self.conv.bias.reshape(1, -1, 1, 1, 1)
        if self.what == "class":
            return self.head(sum(kept))
        return self.head(self.more(y).mean((2, 3, 4)))


class InPlace(nn.Module):
    """An in-place ReLU after a convolution whose output a gate has kept for its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv3d(1, 4, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        gate = torch.sigmoid(y) * y
        return self.head((self.relu(y) + gate).mean((2, 3, 4)))


NETWORKS = ["channels", "features", "kernel", "tied", "bias", "class", "in place"]


@pytest.mark.parametrize("method", ["gradient", "guided-backprop", "occlusion"])
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("what", NETWORKS)
def test_the_network_is_explained(
    what: str, bfloat16: bool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: bfloat16)
    torch.manual_seed(1)
    net = (InPlace() if what == "in place" else Asks(what)).eval()
    volume = scan(1)
    options = OPTIONS.get(method, {})
    exact = voxplain.explain(net, volume, method, 1, engine=EXACT, **options)
    made = voxplain.explain(net, volume, method, 1, engine=AUTO, **options)
    assert correlation(made.values, exact.values) > 0.95
    if method == "gradient":
        plain = gradient_of(net, volume) - gradient_of(net, volume, 0)
        assert correlation(exact.values, plain) > 0.9999
