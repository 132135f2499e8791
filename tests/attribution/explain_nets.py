"""Small networks and volumes for the tests of the room."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from voxplain.attribution import Engine
from voxplain.grid import Grid
from voxplain.volume import Volume

SHAPE = (7, 8, 9)
EXACT = Engine("cpu", "exact")
OBLIQUE = np.array(
    [[-8.0, 0.9, 0.0, 10.0], [0.6, 11.0, -1.5, -4.0], [0.3, 1.2, 6.5, 7.0], [0, 0, 0, 1]]
)


def volumes(count: int, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> list[Volume]:
    rng = np.random.default_rng(seed)
    grid = Grid(shape, OBLIQUE)
    return [Volume(rng.normal(size=shape), grid, f"{i:02d}") for i in range(count)]


def batch(items: list[Volume]) -> torch.Tensor:
    return torch.as_tensor(np.stack([v.values for v in items]))[:, None]


class PaperLike(nn.Module):
    """Conv, batch norm, ReLU, pooling, like the paper's network but tiny."""

    def __init__(self, outputs: int = 2, inplace: bool = False, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1),
            nn.BatchNorm3d(4),
            nn.ReLU(inplace=inplace),
            nn.MaxPool3d(2),
            nn.Conv3d(4, 5, 3, padding=1),
            nn.BatchNorm3d(5),
            nn.ReLU(inplace=inplace),
            nn.MaxPool3d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.LazyLinear(outputs))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2.0)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def paper_like(
    outputs: int = 2,
    inplace: bool = False,
    shape: tuple[int, int, int] = SHAPE,
    seed: int = 0,
) -> PaperLike:
    """Copy one, which takes a third of the time of making it, and leave torch's seed as made."""
    net, state = _made(outputs, inplace, shape, seed)
    torch.set_rng_state(state)
    return copy.deepcopy(net)


@cache
def _made(
    outputs: int, inplace: bool, shape: tuple[int, int, int], seed: int
) -> tuple[PaperLike, torch.Tensor]:
    net = PaperLike(outputs, inplace, seed).eval()
    with torch.no_grad():
        net(torch.zeros(1, 1, *shape))
        net.classifier[-1].weight.mul_(-5)
        # So that the predicted classes of the test's volumes differ.
        net.classifier[-1].bias -= net(batch(volumes(6, shape))).mean(0)
    return net, torch.get_rng_state()


class Rectified(nn.Module):
    """One network whose two ReLUs can be written in every way."""

    def __init__(self, style: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv3d(1, 3, 3, padding=1)
        self.second = nn.Conv3d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 2)
        self.style = style
        self.module = nn.ReLU(inplace=style == "module in place")

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        if self.style.startswith("module"):
            return self.module(x)
        if self.style == "views":
            x[:, :2].relu_()
            x[:, 2:].relu_()
            return x
        return {
            "functional": lambda: functional.relu(x),
            "functional in place": lambda: functional.relu(x, inplace=True),
            "functional_": lambda: functional.relu_(x),
            "torch.relu": lambda: torch.relu(x),
            "torch.relu_": lambda: torch.relu_(x),
            "Tensor.relu": lambda: x.relu(),
            "Tensor.relu_": lambda: x.relu_(),
        }[self.style]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x)
        # The in-place forms must change the tensor that is still held here.
        rectified = self.relu(hidden)
        again = self.second(rectified)
        return self.head(self.relu(again).mean((2, 3, 4)))


STYLES = [
    "module",
    "module in place",
    "functional",
    "functional in place",
    "functional_",
    "torch.relu",
    "torch.relu_",
    "Tensor.relu",
    "Tensor.relu_",
    "views",
]


class Linear(nn.Module):
    """Logit 1 is a weighted sum of voxels, logit 0 is zero."""

    def __init__(self, weights: np.ndarray, bias: float = 0.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.as_tensor(weights))
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = (x[:, 0] * self.weights).sum((1, 2, 3)) + self.bias
        return torch.stack([torch.zeros_like(one), one], 1)


class Counted(nn.Module):
    """Counts the volumes that a network is run on, but for the first, on which it is checked.

    An engine that runs networks as given looks at a scan alone, and beside another.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.samples = inner, -3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.samples += len(x)
        return self.inner(x)
