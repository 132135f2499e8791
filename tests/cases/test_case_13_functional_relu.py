"""https://github.com/kazuto1011/grad-cam-pytorch/issues/2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from case_material import EXACT
from torch import nn
from torch.nn import functional

from voxplain.attribution import explain
from voxplain.grid import Grid
from voxplain.volume import Volume

SHAPE = (5, 4, 6)


class OneUnit(nn.Module):
    """Logit 1 is a·relu(x) + b·relu(c·x), voxel by voxel, its ReLUs as functions."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([a, b, c]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c = self.scale
        one = (a * functional.relu(x) + b * torch.relu(c * x)).sum((1, 2, 3, 4))
        return torch.stack([torch.zeros_like(one), one], 1)


@pytest.mark.parametrize(("a", "b", "c"), [(2.0, -3.0, 1.5), (-1.0, 4.0, -0.5), (1.0, 1.0, 2.0)])
def test_guided_backpropagation_and_deeplift_by_hand(a: float, b: float, c: float) -> None:
    pytest.importorskip("captum")
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    volume, net = Volume(x, Grid(SHAPE, np.eye(4))), OneUnit(a, b, c)
    # What comes to a ReLU is its weight; only what is positive goes on, where the ReLU is open.
    guided = max(a, 0) * (x > 0) + c * max(b, 0) * (c * x > 0)
    made = explain(net, volume, "captum:GuidedBackprop", 1, engine=EXACT)
    assert np.allclose(made.values, guided, atol=1e-6)
    # Each voxel's share of f(x) - f(0) is all that it gives.
    lifted = a * np.maximum(x, 0) + b * np.maximum(c * x, 0)
    made = explain(net, volume, "captum:DeepLift", 1, engine=EXACT)
    assert np.allclose(made.values, lifted, atol=1e-5)
