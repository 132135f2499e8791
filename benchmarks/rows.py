"""What is timed: our methods and the peers', on the same network and the same images."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.peers import PEERS, SAMPLES, STEPS, TARGET, Peer, quietly
from voxplain.attribution import Engine
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import explain
from voxplain.errors import VoxplainWarning
from voxplain.volume import Volume

__all__ = ["AS_GIVEN", "CHECKS", "MANY_PASSES", "OURS", "PASSES", "Maps", "make_rows"]

OURS, EXACT, AS_GIVEN = "voxplain", "voxplain, exact", "PyTorch, as given"
# What comes before the first map, once a run: the faster copy, and the checks of the network.
CHECKS = "voxplain, checks"

Maps = NDArray[np.float32]

# The same estimand and as many passes as the peers make.
_OPTIONS: dict[str, dict[str, Any]] = {
    "gradient": {"score": "logit"},
    "grad-cam": {},
    "guided-backprop": {},
    "smoothgrad": {"samples": SAMPLES},
    "integrated-gradients": {"steps": STEPS, "score": "logit", "reference": "zero"},
}
MANY_PASSES = ("smoothgrad", "integrated-gradients")
# `SAMPLES` gradients of each image: long enough to be the unit of methods of many passes.
PASSES = "passes"
_ALSO_EXACT = ("grad-cam", "guided-backprop")


def make_rows(
    network: nn.Module,
    volumes: list[Volume],
    batch: int,
    methods: Collection[str],
    device: str = "cpu",
) -> tuple[dict[tuple[str, str], Callable[[], Maps]], dict[tuple[str, str], str]]:
    """Make one callable per method and tool for some methods, and say why a peer has none.

    A row of ours is the user's whole call: hashing the weights, making the faster copy and
    checking it are inside; they have a row of their own besides, as they come once a run. A peer's
    row is its call for each batch in turn. On an accelerator both begin with images in the
    machine's memory and end with maps there.
    """
    x = torch.from_numpy(np.stack([v.values for v in volumes]))[:, None]
    batches = list(x.split(batch))
    network = copy.deepcopy(network).to(device)
    rows: dict[tuple[str, str], Callable[[], Maps]] = {}
    if "forward" in methods:
        rows["forward", AS_GIVEN] = partial(_forward, network, batches, device)
        rows["forward", OURS] = partial(Engine(device, batch_size=batch).logits, network, volumes)
    if PASSES in methods:
        rows[PASSES, OURS] = partial(
            _ours, network, volumes * SAMPLES, "gradient", Engine(device, batch_size=batch),
            _OPTIONS["gradient"],
        )  # fmt: skip
    for method, options in _OPTIONS.items():
        if method not in methods:
            continue
        engine = Engine(device, batch_size=batch)
        rows[method, OURS] = partial(_ours, network, volumes, method, engine, options)
        rows[method, CHECKS] = partial(_checks, network, volumes, method, engine, options)
        if method in _ALSO_EXACT:
            exact = replace(engine, precision="exact")
            rows[method, EXACT] = partial(_ours, network, volumes, method, exact, options)
    missing = {}
    for key, peer in PEERS.items():
        if key[0] not in methods:
            continue
        # Copies, because peers leave hooks and flags behind that break one another.
        work = partial(_theirs, peer, copy.deepcopy(network), batches, device)
        try:
            _theirs(peer, copy.deepcopy(network), [x[:1]], device)
        except ImportError as error:
            missing[key] = f"cannot be imported: {error}"
        else:
            rows[key] = work
    return rows, missing


def _forward(network: nn.Module, batches: list[Tensor], device: str) -> Maps:
    with torch.inference_mode():
        return np.concatenate([network(part.to(device)).cpu().numpy() for part in batches])


def _ours(
    network: nn.Module,
    volumes: list[Volume],
    method: str,
    engine: Engine,
    options: dict[str, Any],
) -> Maps:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VoxplainWarning)
        found = explain(network, volumes, method, TARGET, engine=engine, **options)
    return np.stack([one.values for one in found])


def _checks(
    network: nn.Module,
    volumes: list[Volume],
    method: str,
    engine: Engine,
    options: dict[str, Any],
) -> Maps:
    needs = make_method(method, options).requires
    engine.place(network, volumes[0], "auto" if needs.layer else None, needs)
    return np.empty((0, 0, 0, 0), dtype=np.float32)


def _theirs(peer: Peer, network: nn.Module, batches: list[Tensor], device: str) -> Maps:
    made = (quietly(partial(peer, network, part.to(device))) for part in batches)
    return np.concatenate([maps.cpu().numpy() for maps in made])
