"""Maps of many volumes: made, written as they come, and found again by a rerun."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from voxplain import __version__
from voxplain.errors import VoxplainWarning
from voxplain.explain import METHODS, Engine, iter_explain, weights_sha256
from voxplain.explain.method import describe_options
from voxplain.explain.target import TargetLike
from voxplain.maps import AttributionMap
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Volume

__all__ = ["Explained", "Question", "explain_and_write"]


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
    """

    method: str
    target: TargetLike = "predicted"
    layer: str = "auto"
    class_names: tuple[str, ...] | None = None
    options: Mapping[str, Any] | None = None
    seed: int = 0


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
    """

    maps: list[AttributionMap]
    seconds: float
    kept: int


def explain_and_write(
    study: Study,
    network: nn.Module,
    volumes: Sequence[Volume],
    question: Question,
    engine: Engine,
    progress: Progress,
    place: Callable[[AttributionMap], AttributionMap] | None = None,
) -> Explained:
    """Explain volumes with one method and write each map as soon as it is there.

    `place` may carry a map to another grid before it is written. Maps that the study holds already, made from the same image with the same weights and
    options, are kept. Remarks on a map are shown as lines, not as warnings.
    """
    label = METHODS[question.method].info.label
    common = _request(network, question, engine)
    requests = [common | {"image_sha256": _hash(volume)} for volume in volumes]
    found = [
        study.find_map(volume.subject, question.method, label, request)
        for volume, request in zip(volumes, requests, strict=True)
    ]
    missing = [i for i, old in enumerate(found) if old is None]
    maps = [None if old is None else old[0] for old in found]
    times = [None if old is None else old[1] for old in found]
    if len(missing) < len(volumes):
        progress.say(
            f"{label}: {len(volumes) - len(missing)} of {len(volumes)} maps are there already, "
            "made with the same options, and are kept."
        )
    if missing:
        with progress.step(f"{label}, {len(missing)} volumes", len(missing)) as advance:
            stream = iter_explain(
                network,
                [volumes[i] for i in missing],
                question.method,
                question.target,
                layer=question.layer,
                class_names=question.class_names,
                engine=engine,
                seed=question.seed,
                on_progress=lambda done, _: advance(done),
                **(question.options or {}),
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", VoxplainWarning)
                working = writing = 0.0
                began = time.perf_counter()
                made = []
                for i, map_ in zip(missing, stream, strict=True):
                    working = time.perf_counter() - began - writing
                    maps[i] = placed = place(map_) if place else map_
                    made.append(i)
                    study.write_map(placed, label, requests[i], working / len(made))
                    writing = time.perf_counter() - began - working
            each = working / len(missing)
            for i in missing:
                times[i] = each
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            progress.say(f"Note: {text}")
    return Explained(
        maps=[map_ for map_ in maps if map_ is not None],
        seconds=sum(t for t in times if t is not None) / len(times),
        kept=len(volumes) - len(missing),
    )


def _request(network: nn.Module, question: Question, engine: Engine) -> dict[str, Any]:
    method = METHODS[question.method].with_options(question.options or {})
    return {
        "method": question.method,
        "options": describe_options(method),
        "target": question.target,
        "layer": question.layer,
        "class_names": question.class_names,
        "seed": question.seed,
        "precision": engine.precision,
        "weights_sha256": weights_sha256(network),
        "version": __version__,
    }


def _hash(volume: Volume) -> str:
    digest = hashlib.sha256(volume.values.tobytes())
    digest.update(volume.grid.affine.tobytes())
    return digest.hexdigest()
