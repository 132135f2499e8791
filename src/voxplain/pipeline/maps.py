"""Maps of many volumes: made, written as they come, and found again by a rerun."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from voxplain import __version__
from voxplain.attribution import METHODS, Engine, Method, iter_explain, weights_sha256
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.identity import code_name, logits_on_noise
from voxplain.attribution.network.target import TargetLike
from voxplain.attribution.run import prepare_method
from voxplain.errors import VoxplainWarning
from voxplain.maps import AttributionMap
from voxplain.progress import Progress
from voxplain.study import LOGITS, Study
from voxplain.volume import Volume

__all__ = ["Explained", "Question", "explain_and_write", "identity_of", "voxels_sha256"]

_NAMES_SHOWN = 6
_Item = TypeVar("_Item")


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


@dataclass(frozen=True, eq=False)
class Explained:
    """The maps of one method, in the order of the volumes.

    Parameters
    ----------
    maps : list of AttributionMap
    seconds : float
        Mean time per map, writing left out.
    kept : int
        How many were there already.
    paths : list of pathlib.Path
        Where each map lies.
    """

    maps: list[AttributionMap]
    seconds: float
    kept: int
    paths: list[Path]


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


def explain_and_write(
    study: Study,
    network: nn.Module | Sequence[nn.Module],
    volumes: Sequence[Volume],
    question: Question,
    engine: Engine,
    progress: Progress,
    place: Callable[[AttributionMap], AttributionMap] | None = None,
    sources: Sequence[Mapping[str, Any]] | None = None,
) -> Explained:
    """Explain volumes with one method and write each map as soon as it is there.

    Of several networks, the mean map is written, and its spread beside it.
    `place` may carry a map to another grid before it is written; `sources` says which files each
    volume and the weights come from. Maps that the study holds already, made from the same image
    with the same network, weights and options, are kept; those that were made otherwise are made
    anew. Remarks on a map are shown as lines, not as warnings.
    """
    label = METHODS[question.method].info.label
    targets = question.targets(len(volumes))
    method = make_method(question.method, question.options)
    common = _request(network, volumes, method, question, engine)
    hashes = [voxels_sha256(volume) for volume in volumes]
    if method.surveys:
        common["cohort_sha256"] = _joint(hashes, targets)
    sources = sources or [{}] * len(volumes)
    requests = [
        common | {"target": target, "input_sha256": sha256, **_of_image(source)}
        for sha256, target, source in zip(hashes, targets, sources, strict=True)
    ]
    maps: dict[int, AttributionMap] = {}
    seconds: dict[int, float] = {}
    paths: dict[int, Path] = {}
    for i, volume in enumerate(volumes):
        found = study.find_map(volume.subject, question.method, requests[i], question.network)
        if found:
            maps[i], seconds[i], paths[i] = found
    kept = len(maps)
    if kept:
        progress.say(
            f"{label}: {kept} of {len(volumes)} maps are there already, made with the same "
            "options, and are kept."
        )
    missing = [i for i in range(len(volumes)) if i not in maps]
    remarks: dict[str, list[str]] = {}
    replaced: dict[str, list[str]] = {}
    if missing:
        with progress.step(_counted(label, len(missing)), len(missing)) as advance:
            ready = prepare_method(
                network,
                volumes,
                method,
                question.target,
                class_names=question.class_names,
                engine=engine,
                seed=question.seed,
            )
            stream = iter_explain(
                network,
                [volumes[i] for i in missing],
                ready,
                [targets[i] for i in missing] if question.per_volume else question.target,
                layer=question.layer,
                class_names=question.class_names,
                output_unit=question.output_unit,
                engine=engine,
                seed=question.seed,
                on_progress=lambda done, _: advance(done),
            )
            watch = _Stopwatch()
            for i, (map_, said) in zip(missing, watch.timed(_with_remarks(stream)), strict=True):
                for text in said:
                    remarks.setdefault(text, []).append(map_.subject)
                maps[i] = place(map_) if place else map_
                seconds[i] = watch.seconds / (1 + missing.index(i))
                if other := study.made_otherwise(maps[i], label, requests[i], question.network):
                    replaced.setdefault(", ".join(other), []).append(map_.subject)
                paths[i] = study.write_map(
                    maps[i], label, requests[i], seconds[i], question.network, sources[i]
                )
            each = watch.seconds / len(missing)
        seconds |= dict.fromkeys(missing, each)
    for what, subjects in replaced.items():
        progress.say(
            f"{label}: the map of {_named(subjects)} was there, made otherwise ({what}), and was "
            "made anew."
        )
    for text, subjects in remarks.items():
        progress.say(f"{label}, note on {_named(subjects)}: {text}")
    return Explained(
        maps=[maps[i] for i in range(len(volumes))],
        seconds=sum(seconds.values()) / len(seconds),
        kept=kept,
        paths=[paths[i] for i in range(len(volumes))],
    )


def _counted(label: str, count: int) -> str:
    return f"{label}, {count} volume{'s' * (count != 1)}"


def _named(subjects: Sequence[str]) -> str:
    shown = ", ".join(subjects[:_NAMES_SHOWN])
    return shown if len(subjects) <= _NAMES_SHOWN else f"{shown} and {len(subjects)} in all"


class _Stopwatch:
    """Time spent waiting for items, what is done with them left out."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterator[_Item]) -> Iterator[_Item]:
        while True:
            began = time.perf_counter()
            item = next(items, None)
            self.seconds += time.perf_counter() - began
            if item is None:
                return
            yield item


def _with_remarks(
    stream: Iterator[AttributionMap],
) -> Iterator[tuple[AttributionMap, list[str]]]:
    """Hand on each map with the warnings that came with it."""
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VoxplainWarning)
            map_ = next(stream, None)
        said = []
        for warning in caught:
            if issubclass(warning.category, VoxplainWarning):
                said.append(str(warning.message).partition(": ")[2] or str(warning.message))
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if map_ is None:
            return
        yield map_, said


def _request(
    network: nn.Module | Sequence[nn.Module],
    volumes: Sequence[Volume],
    method: Method,
    question: Question,
    engine: Engine,
) -> dict[str, Any]:
    networks = [network] if isinstance(network, nn.Module) else network
    context = question.context or {}
    known = LOGITS in context or not len(volumes)
    return {
        "method": question.method,
        "options": describe_options(method),
        "layer": question.layer,
        "class_names": question.class_names,
        "output_unit": question.output_unit,
        "seed": question.seed,
        "precision": engine.precision,
        "weights_sha256": ", ".join(weights_sha256(one) for one in networks),
        "version": __version__,
        **({} if known else identity_of(networks, volumes[0].grid.shape)),
        **context,
    }


def _of_image(sources: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sources[key] for key in ("image_sha256",) if key in sources}


def _joint(hashes: Sequence[str], targets: Sequence[int | str]) -> str:
    """Hash all images and targets: a map may depend on each of them."""
    pairs = [f"{sha256} {target}" for sha256, target in zip(hashes, targets, strict=True)]
    return hashlib.sha256("\n".join(pairs).encode()).hexdigest()


def voxels_sha256(volume: Volume) -> str:
    """Hash the voxels of a scan and where they lie."""
    digest = hashlib.sha256(volume.values.tobytes())
    digest.update(volume.grid.affine.tobytes())
    return digest.hexdigest()
