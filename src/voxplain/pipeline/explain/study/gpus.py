"""What a GPU that is not here would take, from what one was measured to take elsewhere."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import torch

from voxplain.attribution import Engine, iter_explain
from voxplain.errors import unknown_name
from voxplain.grid import KAN2020_GRID
from voxplain.nets import MRINet
from voxplain.volume import Volume

__all__ = ["GPUS", "gpu_ratio"]

GPUS: Final = {"h100": 1.6648785781250286e-3}
"""Seconds of a gradient map of the paper's network at the paper's grid, in batches of 8: of
``benchmarks/results-cuda.json``, row "gradient" by voxplain."""

_BATCH = 8


def gpu_ratio(name: str, engine: Engine) -> float:
    """Measure how many times less a GPU would take than this machine does.

    The paper's network, untrained, explains a batch of noise twice; the second time counts.

    Parameters
    ----------
    name : str
        Of `GPUS`.
    engine : Engine
        Of this machine.

    Returns
    -------
    float
        Seconds of the GPU for each second of this machine.

    Raises
    ------
    InputError
        If that GPU was not measured.
    """
    if name not in GPUS:
        raise unknown_name("GPU", name, GPUS)
    rng = np.random.default_rng(0)
    shape = KAN2020_GRID.shape
    scans = [
        Volume(rng.normal(size=shape).astype(np.float32), KAN2020_GRID, f"{i}")
        for i in range(_BATCH)
    ]
    with torch.random.fork_rng(devices=[]):
        network = MRINet(shape)
    network.eval()
    with engine.run() as shared:
        for _ in range(2):
            began = time.perf_counter()
            for _ in iter_explain(network, scans, "gradient", 1, engine=shared):
                pass
            seconds = time.perf_counter() - began
    return GPUS[name] * _BATCH / seconds
