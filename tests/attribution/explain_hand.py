"""What the second derivations share: slow and obvious arithmetic in float64."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from explain_nets import PaperLike
from torch import nn


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def trilinear(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate between cell centres that share the outer faces; flat beyond the last centre."""
    out = np.zeros(shape)
    for place in itertools.product(*map(range, shape)):
        corners, weights = [], []
        for i, n, m in zip(place, shape, coarse.shape, strict=True):
            at = min(max((i + 0.5) * m / n - 0.5, 0), m - 1)
            low = int(np.floor(at))
            corners.append((low, min(low + 1, m - 1)))
            weights.append((1 - (at - low), at - low))
        for pick in itertools.product((0, 1), repeat=3):
            weight = np.prod([w[p] for w, p in zip(weights, pick, strict=True)])
            out[place] += weight * coarse[tuple(c[p] for c, p in zip(corners, pick, strict=True))]
    return out


def dense_convolution(conv: nn.Conv3d, shape: tuple[int, ...]) -> np.ndarray:
    """Write a convolution as a matrix, one unit input at a time."""
    size = conv.in_channels * int(np.prod(shape))
    eye = torch.eye(size, dtype=torch.float64).reshape(size, conv.in_channels, *shape)
    with torch.no_grad():
        out = conv(eye) - conv(torch.zeros_like(eye[:1]))
    return out.reshape(size, -1).numpy().T


def last_layer_by_hand(
    model: PaperLike, x: torch.Tensor, target: int
) -> tuple[np.ndarray, np.ndarray]:
    """Activation of the last ReLU, and the logit's gradient there, through max-pooling of 2."""
    with torch.no_grad():
        a = model.features[:7](x).double().numpy()[0]
        weight = model.classifier[-1].weight[target].double().numpy()
    gradient = np.zeros_like(a)
    pooled = tuple(n // 2 for n in a.shape[1:])
    weight = weight.reshape(len(a), *pooled)
    for c in range(len(a)):
        for i, j, k in itertools.product(*map(range, pooled)):
            block = a[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2]
            where = np.unravel_index(block.argmax(), block.shape)
            gradient[c, 2 * i + where[0], 2 * j + where[1], 2 * k + where[2]] = weight[c, i, j, k]
    return a, gradient
