"""``python -m benchmarks.checks``: what it costs to find out how a network may be run.

Times `Engine.place`, which examines a network and its faster copy once a run, beside one forward
pass of the network as given on the same scan, and prints seconds and their ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from voxplain.attribution import METHODS, Engine
from voxplain.attribution.network.needs import Needs
from voxplain.grid import KAN2020_GRID
from voxplain.nets import build_network
from voxplain.volume import Volume

NETWORKS = ("mrinet", "densenet121")
METHOD_NAMES = ("grad-cam", "gradient", "integrated-gradients", "occlusion")
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    values = np.random.default_rng(0).random(KAN2020_GRID.shape, dtype=np.float32)
    volume = Volume(values, KAN2020_GRID)
    table = Table("network", "asked", "seconds", "forward passes as given", "how it runs")
    for name in NETWORKS:
        torch.manual_seed(0)
        network = build_network(name, volume.grid.shape).eval()
        passed = _seconds(lambda net=network: _forward(net, volume), rounds)
        table.add_row(name, "forward pass as given", f"{passed:.3f}", "1.0", "")
        for asked, needs in _asked().items():
            layer = "auto" if needs.layer else None
            for precision in ("auto", "exact"):
                engine = Engine("cpu", precision)  # type: ignore[arg-type]
                took = _seconds(
                    lambda e=engine, net=network, la=layer, n=needs: e.place(net, volume, la, n),
                    rounds,
                )
                how = engine.place(network, volume, layer, needs).precision
                table.add_row(name, asked, f"{took:.3f}", f"{took / passed:.1f}", how)
    Console(width=140).print(table)


def _asked() -> dict[str, Needs]:
    methods = {name: METHODS[name].needs for name in METHOD_NAMES}
    return {"scoring": Needs(gradient=False), **methods}


def _forward(network: nn.Module, volume: Volume) -> None:
    with torch.inference_mode():
        network(torch.from_numpy(volume.values)[None, None])


def _seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    main()
