"""Several networks as one: the mean of their maps, and how far they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import tee
from typing import TYPE_CHECKING

import numpy as np

from voxplain.attribution.job import Job
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.numbers import PerNetwork
from voxplain.attribution.network.outputs import probabilities
from voxplain.attribution.streams import alike
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn

    from voxplain.attribution.network.target import Target
    from voxplain.maps import AttributionMap
    from voxplain.volume import Volume

__all__ = ["Ensemble"]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A job that is done by several networks.

    Parameters
    ----------
    job : Job
        What each network is asked.
    models : sequence of torch.nn.Module
        Two or more.
    """

    job: Job
    models: Sequence[nn.Module]

    def maps(
        self, volumes: Iterable[Volume], on_progress: Callable[[float, int], None]
    ) -> Iterator[AttributionMap]:
        """Explain the volumes in order, batch by batch with every network.

        Parameters
        ----------
        volumes : iterable of Volume
            Gone through once; and once more before that, where the target is the predicted class.
        on_progress : callable
            Takes the number of volumes done and their total.

        Yields
        ------
        AttributionMap
            The mean over the networks, with their standard deviation as `spread`.
        """
        with self.job.engine.run() as engine:
            yield from replace(self, job=replace(self.job, engine=engine))._maps(
                volumes, on_progress
            )

    def _maps(
        self, volumes: Iterable[Volume], on_progress: Callable[[float, int], None]
    ) -> Iterator[AttributionMap]:
        on_progress(0, self.job.total)
        target, how = self._target(volumes)
        done = [0.0] * len(self.models)

        def reporter(member: int) -> Callable[[float, int], None]:
            def report(finished: float, total: int) -> None:
                done[member] = finished
                on_progress(sum(done) / len(done), total)

            return report

        # The networks take turns, so that no more than one batch of volumes waits in memory.
        count = len(self.models)
        streams = tee(volumes, count) if self.job.only is None else (volumes,) * count
        makers = [
            replace(
                self.job, model=model, target=_of_one(target, i), member=f"network {i + 1}"
            ).maps(stream, reporter(i))
            for i, (model, stream) in enumerate(zip(self.models, streams, strict=True))
        ]
        for maps in zip(*makers, strict=True):
            yield _together(maps, how)

    def _target(self, volumes: Iterable[Volume]) -> tuple[Target, str]:
        """One class per volume for all networks, and how it was found."""
        target = self.job.target
        if target.function is not None or target.classes is not None:
            return target, ""
        engine = self.job.engine
        classes: list[int] = []
        placed = None
        for batch in alike(volumes, engine.batch_size):
            placed = placed or [
                engine.place(model, batch[0], needs=Needs(gradient=False)) for model in self.models
            ]
            logits = [one.logits(batch) for one in placed]
            outputs = sorted({rows.shape[1] for rows in logits})
            if len(outputs) > 1:
                told = " and ".join(map(str, outputs))
                raise NetworkError(
                    f"The networks have different numbers of outputs ({told}), so they predict "
                    "no class together; name a target."
                )
            if outputs == [1] and not target.names:
                return target, ""
            chances = np.mean([probabilities(z) for z in logits], axis=0)
            if outputs == [1]:
                chances = np.hstack([1 - chances, chances])
            classes += chances.argmax(1).tolist()
        settled = replace(target, classes=tuple(classes))
        return settled, ", the class of the largest mean probability"


def _of_one(target: Target, network: int) -> Target:
    if isinstance(target.function, PerNetwork):
        return replace(target, function=target.function.members[network])
    return target


def _together(maps: Sequence[AttributionMap], how: str) -> AttributionMap:
    values = np.stack([one.values for one in maps]).astype(np.float64)
    sources = [one.provenance for one in maps]
    first = sources[0]
    layers = _each_once(source.layer for source in sources if source.layer is not None)
    shared = [note for note in first.notes if all(note in source.notes for source in sources)]
    own = [
        f"network {i + 1}: {note}"
        for i, source in enumerate(sources)
        for note in source.notes
        if note not in shared
    ]
    return replace(
        maps[0],
        values=values.mean(0).astype(np.float32),
        spread=values.std(0, ddof=1).astype(np.float32),
        provenance=replace(
            first,
            target=first.target + how,
            layer=layers or None,
            network=_each_once(source.network for source in sources),
            weights_sha256=", ".join(source.weights_sha256 for source in sources),
            precision=_each_once((source.precision for source in sources), "; "),
            notes=(f"mean of {len(maps)} networks", *shared, *own),
        ),
    )


def _each_once(words: Iterable[str], between: str = ", ") -> str:
    return between.join(dict.fromkeys(words))
