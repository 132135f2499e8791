"""Layer-wise relevance propagation once more: dense matrices, and units one at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from voxplain.attribution import probe
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.target import make_target

TINY = (4, 3, 5)


def relevance(model: nn.Module, x: torch.Tensor, target: int = 1, **options: object) -> np.ndarray:
    """Relevance of a batch in the network's own precision, array (N, X, Y, Z)."""
    with probe(model) as p:
        made = make_method("lrp", options).attribute(p, x, make_target(target, len(x)), 0)
    return made.values.numpy()


def dense(layer: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """Write a linear layer as a matrix, one unit input at a time."""
    size = int(np.prod(shape))
    eye = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    with torch.no_grad():
        out = layer(eye) - layer(torch.zeros_like(eye[:1]))
    return out.reshape(size, -1).numpy().T


class Tiny(nn.Module):
    """Every kind of layer that relevance passes, once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Conv3d(1, 4, 2, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.pool = nn.MaxPool3d(2)
        self.skipped = nn.Conv3d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.lone = nn.BatchNorm3d(4)
        self.strided = nn.Conv3d(4, 6, 2, stride=(1, 2, 2), padding=(0, 0, 1), bias=False)
        self.mean = nn.AvgPool3d((1, 1, 2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(6, 8), nn.ReLU())
        self.last = nn.Linear(8, 2)
        for norm in (self.norm, self.lone):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias, 0, 0.3)
        nn.init.normal_(self.head[2].weight)
        nn.init.normal_(self.last.weight)
        self.double().eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.pool(torch.relu(self.norm(self.first(x))))
        h = functional.relu(self.skipped(h) + h)
        h = self.lone(h)
        h = torch.relu(self.strided(h))
        return self.last(self.head(self.mean(h)))


def share(
    matrix: np.ndarray, bias: np.ndarray, a: np.ndarray, out: np.ndarray, rule: str, **how: float
) -> np.ndarray:
    """Hand the relevance of each unit to its inputs, by the paper's formulas, unit by unit."""
    taken = np.zeros_like(a)
    z = matrix @ a + bias
    margin = how["epsilon"] * np.sqrt(np.mean(z**2))
    for j, row in enumerate(matrix):
        parts = row * a
        if rule == "epsilon":
            sign = 1 if z[j] >= 0 else -1
            taken += parts * out[j] / (z[j] + margin * sign)
            continue
        if rule == "flat":
            taken += (row != 0) * out[j] / np.count_nonzero(row)
            continue
        if rule == "w2":
            taken += row**2 * out[j] / np.sum(row**2)
            continue
        plus = np.maximum(parts, 0).sum() + max(bias[j], 0)
        minus = np.minimum(parts, 0).sum() + min(bias[j], 0)
        alpha, beta = 1 + how["beta"], how["beta"]
        if minus == 0:
            alpha = 1
        if plus == 0:
            beta = -1
        if plus > 0:
            taken += alpha * np.maximum(parts, 0) / plus * out[j]
        if minus < 0:
            taken -= beta * np.minimum(parts, 0) / minus * out[j]
    return taken


def bias_of(layer: nn.Module, units: int) -> np.ndarray:
    bias = layer.bias.detach().numpy()
    return np.repeat(bias, units // len(bias))


def by_hand(
    model: Tiny, x: torch.Tensor, target: int, rule: str, first: str, **how: float
) -> tuple[np.ndarray, float]:
    with torch.no_grad():
        raw = model.norm(model.first(x))
        pooled = model.pool(raw.relu())
        branch = model.skipped(pooled)
        joined = (branch + pooled).relu()
        normed = model.lone(joined)
        strided = model.strided(normed).relu()
        averaged = model.mean(strided)
        hidden = model.head(averaged)
        logits = model.last(hidden)[0].numpy()
    conv = "epsilon" if rule == "epsilon" else "alpha-beta"
    linear = "alpha-beta" if rule == "alpha-beta" else "epsilon"

    def flat(t: torch.Tensor) -> np.ndarray:
        return t[0].numpy().ravel()

    def matrix(layer: Callable[[torch.Tensor], torch.Tensor], t: torch.Tensor) -> np.ndarray:
        return dense(layer, tuple(t.shape[1:]))

    r = np.zeros(2)
    r[target] = logits[target]
    last = bias_of(model.last, 2)
    r = share(matrix(model.last, hidden), last, flat(hidden), r, linear, **{**how, "epsilon": 0})
    m = matrix(model.head[2], averaged.flatten(1))
    r = share(m, bias_of(model.head[2], 8), flat(averaged), r, linear, **how)
    m = matrix(model.mean, strided)
    r = share(m, np.zeros(len(m)), flat(strided), r, "epsilon", epsilon=1e-300)
    m = matrix(model.strided, normed)
    r = share(m, np.zeros(len(m)), flat(normed), r, conv, **how)
    m = matrix(model.lone, joined)
    offset = flat(normed) - m @ flat(joined)
    r = share(m, offset, flat(joined), r, "epsilon", epsilon=0)
    total = flat(branch) + flat(pooled)
    part = np.divide(r, total, out=np.zeros_like(r), where=r != 0)
    m = matrix(model.skipped, pooled)
    into = share(m, bias_of(model.skipped, len(m)), flat(pooled), flat(branch) * part, conv, **how)
    r = flat(pooled) * part + into
    # Winner takes all, by loops.
    shape, spread = pooled.shape[1:], np.zeros(raw.shape[1:])
    for number, (c, i, j, k) in enumerate(itertools.product(*map(range, shape))):
        block = raw[0, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2].numpy()
        at = np.unravel_index(block.argmax(), block.shape)
        spread[c, 2 * i + at[0], 2 * j + at[1], 2 * k + at[2]] = r[number]
    m = matrix(lambda t: model.norm(model.first(t)), x)
    offset = flat(raw) - m @ flat(x)
    r = share(m, offset, flat(x), spread.ravel(), conv if first == "same" else first, **how)
    return r.reshape(x.shape[2:]), float(logits[target])
