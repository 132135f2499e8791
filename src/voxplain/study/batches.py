"""Which maps lie together in a store: batches of scans, and blocks of batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from voxplain.files.atomic import plain
from voxplain.study.names import described, spelled
from voxplain.study.requests import LOGITS

__all__ = ["SCANS_OF_A_STORE", "Batch", "batch_at"]

SCANS_OF_A_STORE = 200
"""Scans whose maps by one method lie in one file, once it is whole."""


class Batch(NamedTuple):
    """Where the maps of a batch go.

    Parameters
    ----------
    block : str
        Name of the store that the batch will be a part of.
    number : int
        Of the batch in its block, from 0 on.
    of : int
        Batches of the block.
    """

    block: str
    number: int
    of: int


def batch_at(
    position: int,
    size: int,
    requests: Sequence[tuple[str, Mapping[str, Any]]],
    label: str,
    network: str = "",
) -> Batch:
    """Find the batch of a scan: its block is named by method, network and a hash of what is asked.

    Parameters
    ----------
    position : int
        Of the scan.
    size : int
        Scans of a batch.
    requests : sequence of (str, mapping)
        Of all scans that are explained by a network, in their order: the label of each, and what is
        asked of its map.
    label, network : str
        See `voxplain.study.Study.map_place`.
    """
    batches = max(SCANS_OF_A_STORE // size, 1)
    first = position // size // batches * batches
    block = requests[first * size : (first + batches) * size]
    # Outputs of networks are rounded otherwise on another machine.
    told = [[subject, {**asked, LOGITS: None}] for subject, asked in block]
    text = json.dumps(plain(told), sort_keys=True)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    model = f"model-{spelled(network)}_" * bool(network)
    name = f"{model}desc-{described('', label, '')}_store-{sha256[:16]}"
    return Batch(name, position // size - first, -(-len(block) // size))
