"""A network in no time, or one that takes as long as it is told."""

from __future__ import annotations

import os
import time

import torch
from torch import nn


class Sleepy(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(float(os.environ.get("SLEEPY", "0")))
        return super().forward(x)


def build() -> nn.Module:
    return Sleepy(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2)
    )


def narrow() -> nn.Module:
    return Sleepy(nn.AvgPool3d(6), nn.Flatten(), nn.Linear(64, 2))
