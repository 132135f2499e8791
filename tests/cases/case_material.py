"""What the cases of networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain.attribution import Engine
from voxplain.grid import Grid
from voxplain.volume import Volume

EXACT = Engine("cpu", "exact")
AUTO = Engine("cpu")
SHAPE = (9, 11, 8)
# Blocks that are smaller than the volume, of 2 mm voxels.
OPTIONS: dict[str, dict[str, Any]] = {
    "occlusion": {"block": 6.0, "stride": 6.0},
    "rise": {"masks": 40, "cell": 6.0},
    "integrated-gradients": {"steps": 8},
}


def scan(seed: int = 0, scale: float = 1.0, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """A volume of noise with a margin of zeros."""
    values = np.zeros(shape, np.float32)
    inner = tuple(n - 2 for n in shape)
    values[1:-1, 1:-1, 1:-1] = scale * np.random.default_rng(seed).random(inner)
    return Volume(values, Grid(shape, np.diag([2.0, 2, 2, 1])), f"{seed:02d}")


def tensor(volume: Volume) -> torch.Tensor:
    return torch.tensor(volume.values)[None, None]


def gradient_of(net: nn.Module, volume: Volume, index: int = 1) -> np.ndarray[Any, Any]:
    """Plain autograd, in float64."""
    x = tensor(volume).double().requires_grad_()
    z = net.double().eval()(x).reshape(1, -1)
    found = torch.autograd.grad(z[0, index if z.shape[1] > 1 else 0], x)[0][0, 0].numpy()
    net.float()
    return found


def correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])
