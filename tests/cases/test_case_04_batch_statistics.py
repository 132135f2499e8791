"""https://github.com/pytorch/pytorch/issues/44415 : batch norm uses the batch's statistics.

A scan's output, and so its map, then depends on which scans share its batch.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, scan
from torch import nn
from torch.nn import functional

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import VoxplainWarning


class Mixing(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv, self.head = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 2)
        self.norm = nn.BatchNorm3d(4, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "largest":
            x = x / (1 + x.abs().max())
        y = self.conv(x)
        if self.how == "module":
            y = self.norm(y)
        if self.how == "function":
            y = functional.batch_norm(y, None, None, training=True)
        if self.how == "centred":
            y = y - y.mean(0, keepdim=True).detach()[:, :1] * 0.5
        if self.how == "one by one":
            return self.head(y.relu().mean((2, 3, 4)).reshape(1, 4, -1).mean(2))
        return self.head(y.relu().mean((2, 3, 4)))


WAYS = ["module", "function", "largest", "centred", "one by one"]


@pytest.mark.filterwarnings("ignore:.*take more steps")
@pytest.mark.parametrize("method", ["gradient", "occlusion", "integrated-gradients", "smoothgrad"])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("exact", [False, True])
def test_a_map_does_not_depend_on_the_batch(how: str, method: str, exact: bool) -> None:
    torch.manual_seed(0)
    net, scans = Mixing(how).eval(), [scan(0), scan(1, 3.0), scan(2, 0.5)]
    precision = "exact" if exact else "auto"
    options = OPTIONS.get(method, {})
    single, several = Engine("cpu", "exact", 1), Engine("cpu", precision, 8)
    alone = voxplain.explain(net, scans[0], method, 1, engine=single, **options)
    with pytest.warns(VoxplainWarning, match="does not keep the scans of a batch apart"):
        beside = voxplain.explain(net, scans, method, 1, engine=several, **options)[0]
    assert np.abs(beside.values).max() > 0
    assert np.allclose(beside.values, alone.values, atol=1e-4 * np.abs(alone.values).max())
    assert any("each scan is run alone" in note for note in beside.provenance.notes)


@pytest.mark.parametrize("engine", [AUTO, EXACT])
def test_scores_do_not_depend_on_the_batch(engine: Engine) -> None:
    torch.manual_seed(0)
    net, scans = Mixing("module").eval(), [scan(0), scan(1, 3.0)]
    with pytest.warns(VoxplainWarning, match="does not keep the scans of a batch apart"):
        both = engine.logits(net, scans)
    with torch.no_grad():
        each = np.stack([net(torch.tensor(s.values)[None, None])[0].numpy() for s in scans])
    assert np.allclose(both, each, atol=1e-5)
