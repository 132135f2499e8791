"""What is asked of a network about many volumes, and what the answer depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from voxplain import __version__
from voxplain.attribution import Engine, weights_sha256
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.identity import code_name, logits_on_noise
from voxplain.attribution.network.target import TargetLike
from voxplain.study import LOGITS
from voxplain.volume import Volume

__all__ = [
    "Known", "Question", "Request", "identity_of", "networks_of", "requests_of", "voxels_sha256",
]  # fmt: skip

_BETWEEN = ", "


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of a network about every volume.

    Parameters
    ----------
    method : str
        Registry name.
    target : int, str, or sequence of them
    layer : str, default="auto"
    class_names : tuple of str, optional
    options : mapping, optional
        Of the method.
    seed : int, default=0
    context : mapping, optional
        What else the maps on disk depend on, such as the grid they are brought to.
    output_unit : str, optional
        Where the network's output is a number: its unit.
    network : str
        Name of the network, in a study that may hold several.
    """

    method: str
    target: TargetLike = "predicted"
    layer: str = "auto"
    class_names: tuple[str, ...] | None = None
    options: Mapping[str, Any] | None = None
    seed: int = 0
    context: Mapping[str, Any] | None = None
    output_unit: str | None = None
    network: str = ""

    @property
    def per_volume(self) -> bool:
        """Whether each volume has a target of its own."""
        return not (isinstance(self.target, int | str) or callable(self.target))

    def targets(self, count: int) -> list[int | str]:
        """Return the target of each of `count` volumes, a callable by its description."""
        if isinstance(self.target, int | str):
            return [self.target] * count
        if callable(self.target):
            return [repr(self.target)] * count
        return list(self.target)


class Request(NamedTuple):
    """What the map of one volume depends on, for a rerun to find it."""

    subject: str
    content: dict[str, Any]


class Known(NamedTuple):
    """What is known of a volume before it is loaded: its label, and the hash of its voxels."""

    subject: str
    sha256: str


def identity_of(networks: nn.Module | Sequence[nn.Module], shape: Sequence[int]) -> dict[str, Any]:
    """Tell networks from others with the same weights: by their code and by what it computes.

    Parameters
    ----------
    networks : torch.nn.Module, or several
    shape : sequence of 3 ints
        Of the volumes that they take.

    Returns
    -------
    dict
        To be part of a request.
    """
    each = [networks] if isinstance(networks, nn.Module) else networks
    return {
        "class": ", ".join(dict.fromkeys(code_name(one) for one in each)),
        LOGITS: [logits_on_noise(one, shape) for one in each],
    }


def requests_of(
    network: nn.Module | Sequence[nn.Module],
    volumes: Iterable[Volume],
    question: Question,
    engine: Engine,
    images: Sequence[str] = (),
    known: Sequence[Known] | None = None,
) -> list[Request]:
    """Write for each volume what its map depends on.

    Parameters
    ----------
    network : torch.nn.Module, or several
    volumes : iterable of Volume
        Gone through once, each held no longer than it takes.
    question : Question
    engine : Engine
    images : sequence of str, optional
        Hash of the file that each volume comes from.
    known : sequence of Known, optional
        Of each volume, none of which is loaded then; the context must tell the networks.
    """
    method = make_method(question.method, question.options)
    subjects, hashes, shape = list[str](), list[str](), None
    for volume in volumes if known is None else ():
        subjects.append(volume.subject)
        hashes.append(voxels_sha256(volume))
        shape = shape or volume.grid.shape
    for one in known or ():
        subjects.append(one.subject)
        hashes.append(one.sha256)
    networks = [network] if isinstance(network, nn.Module) else network
    targets, context = question.targets(len(subjects)), question.context or {}
    common = {
        "method": question.method,
        "options": describe_options(method),
        "layer": question.layer,
        "class_names": question.class_names,
        "output_unit": question.output_unit,
        "seed": question.seed,
        "precision": engine.precision,
        "weights_sha256": _BETWEEN.join(weights_sha256(one) for one in networks),
        "version": __version__,
        **({} if LOGITS in context or shape is None else identity_of(networks, shape)),
        **context,
    }
    if method.surveys:
        common["cohort_sha256"] = _joint(hashes, targets)
    own = [{"image_sha256": one} for one in images] or [{}] * len(hashes)
    return [
        Request(subject, common | {"target": target, "input_sha256": sha256, **image})
        for subject, sha256, target, image in zip(subjects, hashes, targets, own, strict=True)
    ]


def networks_of(request: Mapping[str, Any]) -> int:
    """Count the networks over which a map is the mean, by the request in its sidecar."""
    return len(str(request.get("weights_sha256", "")).split(_BETWEEN))


def _joint(hashes: Sequence[str], targets: Sequence[int | str]) -> str:
    """Hash all images and targets: a map may depend on each of them."""
    pairs = [f"{sha256} {target}" for sha256, target in zip(hashes, targets, strict=True)]
    return hashlib.sha256("\n".join(pairs).encode()).hexdigest()


def voxels_sha256(volume: Volume) -> str:
    """Hash the voxels of a scan and where they lie."""
    digest = hashlib.sha256(volume.values.tobytes())
    digest.update(volume.grid.affine.tobytes())
    return digest.hexdigest()
