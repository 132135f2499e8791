"""https://github.com/pytorch/pytorch/pull/64100 : a gradient read in the wrong memory format.

There it was the synchronised batch norm. In PyTorch 2.13 on a processor the gradient of instance
norm is wrong in silence for a single scan where the layer after it hands back a gradient that is
stored channels last, as a faster copy's convolutions do.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, correlation, gradient_of, scan
from torch import nn

import voxplain
from voxplain.attribution.fast import lowering


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("channels", [2, 8])
@pytest.mark.parametrize("scans", [1, 2])
def test_the_gradient_is_that_of_the_network(
    scans: int, channels: int, bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: bfloat16)
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv3d(1, channels, 3, padding=1), nn.InstanceNorm3d(channels), nn.LeakyReLU()),
        *(nn.Conv3d(channels, channels, 3, padding=1), nn.ELU(), nn.Conv3d(channels, 3, 3)),
        *(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2)),
    ).eval()
    volumes = [scan(i) for i in range(scans)]
    made = voxplain.explain(net, volumes, "gradient", 1, engine=AUTO, score="logit")
    for one, volume in zip(made, volumes, strict=True):
        assert correlation(one.values, gradient_of(net, volume)) > 0.95
