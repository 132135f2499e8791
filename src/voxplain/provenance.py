"""Where a map came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Provenance"]


@dataclass(frozen=True)
class Provenance:
    """All that is needed to make a map again.

    Parameters
    ----------
    method : str
        Registry name of the method.
    options : mapping
        The method's options, defaults included.
    target : str
        What was explained, in words: ``"logit margin of class 1 (case)"``.
    layer : str or None
        Dotted path of the layer, where the method needs one.
    network : str
        Class of the network.
    weights_sha256 : str
        Hash over names and values of all parameters and buffers; of several networks, one each,
        with commas between them.
    precision : str
        How the engine ran the network, such as ``"float32, batch norm folded, channels last"``.
    device : str
    seed : int
    grid : mapping
        `Grid.to_dict` of the grid on which the network saw the scan.
    versions : mapping of str to str
        Versions of voxplain and torch.
    notes : tuple of str
        Warnings raised and quantities reported on the way.
    """

    method: str
    options: Mapping[str, Any]
    target: str
    layer: str | None
    network: str
    weights_sha256: str
    precision: str
    device: str
    seed: int
    grid: Mapping[str, Any]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self) | {"notes": list(self.notes)}

    def __repr__(self) -> str:
        layer = f", layer {self.layer!r}" if self.layer else ""
        weights = self.weights_sha256[:8]
        return (
            f"Provenance({self.method} of {self.target}, {self.network} {weights}{layer}, "
            f"seed {self.seed})"
        )
