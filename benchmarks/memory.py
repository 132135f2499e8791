"""One batch of maps in a process of its own, and the memory it took at most, in MB.

``python -m benchmarks.memory '["guided-backprop", "voxplain", 8, [58, 70, 58]]'``
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.peers import PEERS, TARGET, quietly
from voxplain.attribution import Engine
from voxplain.attribution.run import explain
from voxplain.grid import Grid
from voxplain.nets import MRINet
from voxplain.volume import Volume

PAPERS_SHAPE = (58, 70, 58)


def network(shape: tuple[int, int, int]) -> nn.Module:
    """Return the paper's network; above its grid, its blocks with pooling over the whole map."""
    torch.manual_seed(0)
    if shape == PAPERS_SHAPE:
        return MRINet().eval()
    head = (nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(128, 2))
    return nn.Sequential(MRINet().features, *head).eval()


def main() -> None:
    """Make the maps, print the peak."""
    method, tool, batch, size = json.loads(sys.argv[1])
    shape = tuple(size)
    model = network(shape)
    x = torch.rand(batch, 1, *shape)
    if tool == "forward pass":
        with torch.no_grad():
            model(x)
    elif tool.startswith("voxplain"):
        engine = Engine(precision="exact" if "exact" in tool else "auto", batch_size=batch)
        volumes = [Volume(image[0].numpy(), Grid(shape, np.eye(4))) for image in x]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if method == "forward":
                engine.logits(model, volumes)
            else:
                explain(model, volumes, method, TARGET, engine=engine)
    else:
        quietly(lambda: PEERS[method, tool](model, x))
    print(_peak())


def _peak() -> float:
    """Peak resident memory, MB; Linux's ``ru_maxrss`` would begin with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
