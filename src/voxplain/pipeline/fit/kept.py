"""Trained networks on disk: what their outputs mean, and whether their code has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from voxplain.attribution import weights_sha256
from voxplain.nets import WeightsRecord, serialise
from voxplain.study import LOGITS, Study, same_request

__all__ = ["same_code", "write_weights"]


def write_weights(
    study: Study, place: str, name: str, network: nn.Module, record: WeightsRecord
) -> dict[str, str]:
    """Write ``weights.safetensors``, and beside it what the outputs mean.

    Parameters
    ----------
    study : Study
    place : str
        Folder in the study.
    name : str
        Of the network.
    network : torch.nn.Module
    record : WeightsRecord

    Returns
    -------
    dict
        Hashes of the weights and of their file.
    """
    content = serialise(network)
    sha256 = hashlib.sha256(content).hexdigest()
    study.write_bytes(f"{place}/weights.safetensors", content)
    told = {"network": name, **record.to_dict(), "weights_file_sha256": sha256}
    study.write_json(f"{place}/weights.json", told)
    return {"weights_sha256": weights_sha256(network), "weights_file_sha256": sha256}


def same_code(kept: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """Tell whether a network computes what it did when it was kept; yes where nobody wrote it down.

    Parameters
    ----------
    kept : mapping
        What was written, with an ``identity``.
    identity : mapping
        See `voxplain.pipeline.maps.identity_of`.
    """
    told = kept.get("identity")
    return told is None or not all(told[LOGITS]) or same_request(told, identity)
