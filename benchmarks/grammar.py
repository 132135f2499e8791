"""``python -m benchmarks.grammar``: small networks grown at random, explained in two ways.

Each network is explained as given and by its faster copy, those of odd seeds with bfloat16, and
its gradient is held against plain autograd. Prints the seeds of those that differ, and how the
others were run.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from voxplain.attribution import Engine
from voxplain.attribution.fast import lowering
from voxplain.attribution.run import explain
from voxplain.console import make_progress
from voxplain.errors import VoxplainError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

SHAPE = (10, 12, 8)
OTHERS = ("guided-backprop", "grad-cam", "integrated-gradients", "smoothgrad", "occlusion")
OPTIONS: dict[str, dict[str, Any]] = {
    "gradient": {"score": "logit"},
    "integrated-gradients": {"steps": 3, "reference": "zero"},
    "smoothgrad": {"samples": 3},
    "occlusion": {"block": 6.0, "stride": 6.0, "reference": "zero"},
}
EXACT = Engine("cpu", "exact")
LEAST = {False: 0.97, True: 0.85}
"""Least correlation with the network as given, without bfloat16 and with it."""

_NOTHING = 1e-7

_ACTIVATIONS: dict[str, tuple[type[nn.Module], Callable[..., Tensor]]] = {
    "relu": (nn.ReLU, functional.relu),
    "leaky": (nn.LeakyReLU, functional.leaky_relu),
    "elu": (nn.ELU, functional.elu),
}
_KINDS = (
    "plain",
    "plain",
    "plain",
    "add",
    "cat",
    "down and up",
    "branch",
    "gate",
    "tied",
    "twice",
    "asks",
)


class Unit(nn.Module):
    """Convolution, norm, activation and pooling in some order, each a module or a function."""

    def __init__(self, draw: random.Random, inputs: int, outputs: int, pools: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1, bias=draw.random() < 0.6)
        first = draw.random() < 0.25
        channels = inputs if first else outputs
        self.norm = _norm(draw, channels)
        kind = draw.choice([*_ACTIVATIONS, "relu", "relu", "relu"])
        self.written, self.in_place = draw.random() < 0.4, draw.random() < 0.4
        module, self.function = _ACTIVATIONS[kind]
        self.activation = module(inplace=self.in_place)
        self.pool = nn.MaxPool3d(2) if draw.random() < 0.7 else nn.AvgPool3d(2)
        self.pools, self.pool_written = pools, draw.random() < 0.2
        self.order = ("norm", "activation", "conv") if first else ("conv", "norm", "activation")
        self.asks = draw.choice(["", "", "channels", "features", "class"])

    def forward(self, x: Tensor) -> Tensor:
        if self.order[0] == "norm" and self.in_place:
            x = x.clone()
        for step in self.order:
            if step == "activation" and self.written:
                x = self.function(x, inplace=self.in_place)
            else:
                x = getattr(self, step)(x)
        if self.asks == "channels":
            x = x.reshape(len(x), self.conv.out_channels, *x.shape[2:])
        if self.asks == "features" and isinstance(self.norm, nn.BatchNorm3d):
            x = x * (self.norm.num_features / self.norm.num_features)
        if self.pools:
            x = functional.max_pool3d(x, 2) if self.pool_written else self.pool(x)
        if self.asks == "class" and isinstance(self.pool, nn.MaxPool3d):
            x = x + 0.1 * x.mean((2, 3, 4), keepdim=True)
        return x


class Block(nn.Module):
    """One or two units, put together in one of `_KINDS`."""

    def __init__(self, draw: random.Random, channels: int, pools: bool) -> None:
        super().__init__()
        self.kind = draw.choice(_KINDS)
        self.outputs = 2 * channels if self.kind in ("cat", "down and up", "branch") else channels
        inner = pools and self.kind in ("plain", "twice")
        self.one = Unit(draw, channels, channels, inner)
        self.two = Unit(draw, channels, channels, False)
        self.short = draw.choice([nn.Sequential(), nn.Identity(), nn.Conv3d(channels, channels, 1)])
        self.late = draw.random() < 0.5
        self.pool = nn.MaxPool3d(2) if pools and not inner else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self._joined(x))

    def _joined(self, x: Tensor) -> Tensor:
        y = self.one(x)
        if self.kind == "add":
            y = self.two(y) + self.short(x)
            return functional.relu(y) if self.late else y
        if self.kind == "cat":
            return torch.cat([y, x], 1)
        if self.kind == "down and up":
            small = self.two(functional.max_pool3d(y, 2))
            return torch.cat([functional.interpolate(small, y.shape[2:]), y], 1)
        if self.kind == "branch":
            return torch.cat([y, self.two(x)], 1)
        if self.kind == "gate":
            return y * torch.sigmoid(self.two(y).mean(1, keepdim=True))
        if self.kind == "tied":
            return functional.conv3d(functional.relu(y), self.one.conv.weight, padding=1) + y
        if self.kind == "twice":
            return self.two(self.two(y))
        if self.kind == "asks" and isinstance(self.one.activation, nn.ReLU):
            return y + self.one.conv.weight.mean()
        return y


class Grown(nn.Module):
    """A stem, two to eight blocks and a head with one to three outputs."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        channels = draw.choice([2, 4])
        self.stem = Unit(draw, 1, channels, draw.random() < 0.3)
        blocks: list[Block] = []
        pools = int(self.stem.pools)
        for _ in range(draw.randint(2, 8)):
            pool = pools < 2 and draw.random() < 0.5
            pools += pool
            block = Block(draw, channels, pool)
            if block.outputs > 16:
                break
            blocks.append(block)
            channels = block.outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(channels, draw.randint(1, 3))
        with torch.no_grad():
            self.head.bias += draw.choice([0.0, 4.0, 60.0])
            for module in self.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.5, 2)
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3, 4)))


def _norm(draw: random.Random, channels: int) -> nn.Module:
    batch = [nn.BatchNorm3d(channels)] * 4
    others = [nn.InstanceNorm3d(channels), nn.GroupNorm(1, channels), nn.Identity()]
    return draw.choice([*batch, *others])


def scan(seed: int) -> Volume:
    """Make a volume of noise."""
    values = np.random.default_rng(seed).random(SHAPE, dtype=np.float32)
    return Volume(values, Grid(SHAPE, np.diag([2.0, 2, 2, 1])))


def differences(seed: int) -> tuple[list[str], str]:
    """Explain one grown network as given and by its faster copy, by its gradient and another way.

    Returns
    -------
    list of str
        What differs; empty where all is right.
    str
        How the faster copy was run, for the count.
    """
    network, volume = Grown(seed).eval(), scan(seed)
    bfloat16 = seed % 2 == 1
    methods = ("gradient", OTHERS[seed // 2 % len(OTHERS)])
    try:
        network(torch.tensor(volume.values)[None, None])
    except ValueError:
        # Such as instance norm of a single voxel.
        return [], "no network of this shape"
    found, how = [], ""
    pays = lowering.bfloat16_pays
    lowering.bfloat16_pays = lambda device: bfloat16
    try:
        for name in methods:
            options = OPTIONS.get(name, {})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VoxplainWarning)
                try:
                    exact = explain(network, volume, name, engine=EXACT, **options).values
                    made = explain(network, volume, name, engine=Engine("cpu"), **options)
                except VoxplainError as error:
                    if "runs no ReLU" not in str(error) and "no layer" not in str(error):
                        found.append(f"{name}: {error}")
                    continue
                except Exception as error:
                    found.append(f"{name}: {type(error).__name__}: {error}")
                    continue
            how = how or made.provenance.precision
            r = _correlation(made.values, exact)
            if r < LEAST[bfloat16]:
                found.append(f"{name}: correlation {r:.3f} with the network as given")
            if name == "gradient" and _correlation(exact, _autograd(network, volume)) < 0.9999:
                found.append("gradient as given: not that of plain autograd")
    finally:
        lowering.bfloat16_pays = pays
    return found, how


def _autograd(network: nn.Module, volume: Volume) -> np.ndarray[Any, Any]:
    x = torch.tensor(volume.values)[None, None].requires_grad_()
    z = network(x)
    return torch.autograd.grad(z.max(1).values.sum(), x)[0][0, 0].numpy()


def _correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    # What a network does not look at has no map but rounding.
    if max(a.std(), b.std()) < _NOTHING:
        return 1.0
    if not (a.std() and b.std()):
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def main() -> None:
    """Grow many networks, and print which differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grammar")
    parser.add_argument("--networks", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    given = parser.parse_args()
    console = Console(width=110)
    ways: Counter[str] = Counter()
    wrong = 0
    with make_progress(console).step("Networks", given.networks) as advance:
        for i in range(given.networks):
            found, how = differences(given.first + i)
            ways[how.partition(" (")[0]] += 1
            wrong += bool(found)
            for line in found:
                console.print(f"seed {given.first + i}: {line}", markup=False, soft_wrap=True)
            advance(i + 1)
    for how, count in ways.most_common():
        console.print(f"{count:6d}  {how}", markup=False)
    console.print(f"{wrong} of {given.networks} networks differ (seeds from {given.first})")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
