"""The networks that scans are explained by: read, built, and what they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.network.names import layer_name
from voxplain.errors import NetworkError, remarks
from voxplain.nets import (
    build_network,
    file_sha256,
    load_into,
    read_weights,
    takes,
)
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import (
    OutputRecord,
    Outputs,
    likely_counts,
    read_output_record,
)
from voxplain.progress import Progress
from voxplain.volume import Volume

__all__ = ["Predicted", "Weights", "one_or_list", "predict_scans", "read_network_weights"]


@dataclass(frozen=True, eq=False)
class Weights:
    """Files of weights, before there is a network for them.

    Parameters
    ----------
    states : sequence of mapping
        State dict of each.
    said : OutputRecord
        What is said of the outputs.
    sources : dict
        The files and their hashes.
    """

    states: Sequence[Mapping[str, torch.Tensor]]
    said: OutputRecord
    sources: dict[str, Any]

    def networks(
        self, options: ScanOptions, example: Volume, progress: Progress
    ) -> list[nn.Module]:
        """Build the network of each, for volumes like the example."""
        return [_network(options, self.said, state, example, progress) for state in self.states]


def read_network_weights(options: ScanOptions, progress: Progress) -> Weights:
    """Read the files of weights, and what is known of the outputs."""
    with remarks() as caught:
        states = [read_weights(path) for path in options.weights]
    said = read_output_record(options, states)
    for note in (*caught, *said.notes):
        progress.say(f"Weights: {note}")
    sources = {
        "weights": one_or_list([str(path) for path in options.weights]),
        "weights_file_sha256": one_or_list([file_sha256(path) for path in options.weights]),
    }
    return Weights(states, said, sources)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the networks make of the scans.

    Parameters
    ----------
    outputs : Outputs
        What the outputs mean, and what is explained of them.
    of_scans : list of dict
        As ``explain.json`` holds it, in the order of the scans.
    """

    outputs: Outputs
    of_scans: list[dict[str, Any]]

    def tell(self, volumes: Sequence[Volume], progress: Progress) -> None:
        """Show it, and what to do where the outputs are not known."""
        for volume, told in zip(volumes, self.of_scans, strict=True):
            progress.say(f"{volume.subject}: {self.outputs.words(told)}")
        if self.outputs.advice:
            progress.say(self.outputs.advice)


def predict_scans(
    options: ScanOptions,
    said: OutputRecord,
    networks: Sequence[nn.Module],
    volumes: Sequence[Volume],
    engine: Engine,
    progress: Progress,
) -> Predicted:
    """Run the networks on the scans, and settle what their outputs are.

    Raises
    ------
    InputError
        If what was said of the outputs does not fit them, or there is no such layer or target.
    """
    numbers = options.task == "regression" and not options.bins
    with remarks() as found:
        of_networks = [engine.logits(network, volumes, numbers) for network in networks]
    for remark in dict.fromkeys(found):
        progress.say(remark)
    _require_one_size(of_networks)
    outputs = Outputs.of(options, said, of_networks[0].shape[1])
    if options.layer != "auto":
        layer_name(networks[0], options.layer)
    return Predicted(outputs, outputs.read(of_networks))


def _network(
    options: ScanOptions,
    said: OutputRecord,
    state: Mapping[str, torch.Tensor],
    example: Volume,
    progress: Progress,
) -> nn.Module:
    """Build the network with as many outputs as its weights have."""
    counts = [*likely_counts(state), len(said.names or ()), 2, 1]
    counts = [options.classes] if options.classes else [n for n in dict.fromkeys(counts) if n]
    failed: NetworkError | None = None
    for count in counts if takes(options.network, "classes") else counts[:1]:
        try:
            network = build_network(options.network, example.grid.shape, count)
            notes = load_into(network, state)
        except NetworkError as error:
            failed = failed or error
            continue
        for note in notes:
            progress.say(f"Weights: {note}")
        return network.eval()
    raise failed or NetworkError(f"The network {options.network!r} cannot be built.")


def _require_one_size(of_networks: Sequence[NDArray[np.float32]]) -> None:
    counts = sorted({rows.shape[1] for rows in of_networks})
    if len(counts) > 1:
        raise NetworkError(
            f"The networks have different numbers of outputs ({' and '.join(map(str, counts))}); "
            "explain them one at a time."
        )


def one_or_list(values: list[str]) -> str | list[str]:
    """Write what is mostly one as itself."""
    return values[0] if len(values) == 1 else values
