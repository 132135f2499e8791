"""One run of one method over some volumes: batches, progress, and where each map came from."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.attribution.engine import Engine
from voxplain.attribution.method import Attribution, Method, describe_options
from voxplain.attribution.network.identity import weights_sha256
from voxplain.attribution.network.numbers import (
    ExpectedValue,
    Output,
    in_unit,
    number_sign,
    unit_word,
)
from voxplain.attribution.network.placed import Placed, full_precision
from voxplain.attribution.network.target import SCORE_WORDS, Target
from voxplain.attribution.streams import batches, indexable
from voxplain.attribution.survey import Survey
from voxplain.errors import VoxplainWarning
from voxplain.maps import AttributionMap
from voxplain.provenance import Provenance
from voxplain.volume import Cohort, Volume

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxplain.attribution.network.numbers import Number
    from voxplain.attribution.network.target import Chosen, Score

__all__ = ["Job"]

OnProgress = Callable[[float, int], None]


@dataclass(frozen=True, eq=False)
class Job:
    """What `iter_explain` was asked for, checked.

    Parameters
    ----------
    model : torch.nn.Module
    method : Method
    target : Target
        For all volumes together.
    layer : str
        Dotted path, or ``"auto"``.
    class_names : tuple of str
        Empty where the classes have no names.
    engine : Engine
    seed : int
    total : int
        Number of volumes.
    member : str, default=""
        Which network of an ensemble this is, for warnings: ``"network 2"``.
    output_unit : str, optional
        Unit of what is explained, where that is a number and no logit.
    only : tuple of int, optional
        Positions of the volumes whose maps are wanted, ascending.
    """

    model: nn.Module
    method: Method
    target: Target
    layer: str
    class_names: tuple[str, ...]
    engine: Engine
    seed: int
    total: int
    member: str = ""
    output_unit: str | None = None
    only: tuple[int, ...] | None = None

    def maps(
        self,
        volumes: Iterable[Volume],
        on_progress: OnProgress,
        placed: Placed | None = None,
    ) -> Iterator[AttributionMap]:
        """Explain the volumes in order; where some are wanted, those alone, in the same batches.

        Parameters
        ----------
        volumes : iterable of Volume
            As many as `total`.
        on_progress : callable
            Takes the number of volumes done and their total.
        placed : Placed, optional
            The network as the method needs it, where that was settled before.

        Yields
        ------
        AttributionMap
        """
        on_progress = self._counting(on_progress)
        on_progress(0, self.total)
        if self.method.surveys and self.total:
            volumes = indexable(volumes)
            placed = self._placed(volumes[0])
            yield from self._prepared(volumes, placed).maps(volumes, on_progress, placed)
            return
        weights = weights_sha256(self.model)
        wanted = None if self.only is None else frozenset(self.only)
        for start, batch, first in batches(volumes, self.engine.batch_size, self.only):
            placed = placed or self._placed(first)
            run, done = _Run(self, placed, weights, start, on_progress), start
            for part, attribution in placed.batcher.run(batch, run.attribute):
                values = attribution.values.detach().float().cpu().numpy()
                for row, volume in enumerate(part):
                    if wanted is None or done + row in wanted:
                        yield run.map(volume, values[row], attribution, row)
                done += len(part)
                on_progress(done, self.total)

    def _counting(self, on_progress: OnProgress) -> OnProgress:
        """Count of some volumes the wanted ones."""
        if (only := self.only) is None:
            return on_progress
        return lambda done, _: on_progress(bisect_left(only, done), len(only))

    def prepared(self, volumes: Sequence[Volume] | Cohort) -> Job:
        """Let the method see all volumes, and ask the same of what it becomes."""
        return self._prepared(volumes, self._placed(volumes[0]))

    def _prepared(self, volumes: Sequence[Volume] | Cohort, placed: Placed) -> Job:
        survey = Survey(volumes, placed, self.target)
        return replace(self, method=self.method.prepare(survey, self.seed))

    def _placed(self, example: Volume) -> Placed:
        function = self.target.function
        numbers = function is not None and not isinstance(function, ExpectedValue)
        needs = replace(self.method.requires, numbers=numbers)
        layer = self.layer if needs.layer else None
        kind: Score = getattr(self.method, "score", "logit")
        first = self.target.part(0, 1)
        score = _FirstScore(
            first.classes, first.function, first.names, kind if kind in SCORE_WORDS else "logit"
        )
        return self.engine.place(self.model, example, layer, needs, score)


@dataclass(frozen=True)
class _FirstScore:
    """From outputs to the scalar that is explained in the first volume; equal where it is."""

    classes: tuple[int, ...] | None
    function: Number | None = field(hash=False)
    names: int
    kind: Score

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        target = Target(self.classes, self.function, self.names)
        chosen = target.choose(logits[:1].detach()).repeat(len(logits))
        return chosen.score(logits, self.kind)


@dataclass(frozen=True, eq=False)
class _Run:
    job: Job
    placed: Placed
    weights: str
    first: int
    on_progress: OnProgress

    def attribute(self, part: Sequence[Volume], start: int) -> tuple[Sequence[Volume], Attribution]:
        position = self.first + start

        def report(share: float) -> None:
            self.on_progress(position + share * len(part), self.job.total)

        x = self.placed.tensor(part)
        target = self.job.target.part(position, position + len(part))
        size = part[0].grid.voxel_size
        with (
            full_precision(self.placed.device),
            self.placed.open(self.placed.layer, size, report) as p,
        ):
            return part, self.job.method.attribute(p, x, target, self.job.seed)

    def map(
        self, volume: Volume, values: NDArray[np.float32], attribution: Attribution, row: int
    ) -> AttributionMap:
        info = self.job.method.info
        notes = attribution.notes[row] if attribution.notes else ()
        for note in notes:
            if note.warn:
                who = f"Subject {volume.subject}" if volume.subject else "The volume"
                who += f", {self.job.member}" * bool(self.job.member)
                warnings.warn(f"{who}: {note.text}.", VoxplainWarning, stacklevel=2)
        chosen, sign = attribution.chosen, self.job.method.sign
        short, words = self._target_words(chosen, row)
        word = unit_word(chosen.function, chosen.indices is not None, self.job.output_unit)
        provenance = Provenance(
            method=info.name,
            options=describe_options(self.job.method),
            target=words,
            layer=self.placed.layer,
            network=type(self.job.model).__name__,
            weights_sha256=self.weights,
            precision=self.placed.precision,
            device=str(self.placed.device),
            seed=self.job.seed,
            grid=volume.grid.to_dict(),
            versions=dict(_versions()),
            notes=(*self.placed.notes, *(note.text for note in notes)),
        )
        return AttributionMap(
            values=values,
            grid=volume.grid,
            subject=volume.subject,
            method=info.name,
            target=short,
            unit=in_unit(self.job.method.unit, word),
            sign=sign if word == "logit" else number_sign(sign),
            provenance=provenance,
            additive=self.job.method.additive,
            complete=info.complete,
        )

    def _target_words(self, chosen: Chosen, row: int) -> tuple[str, str]:
        if isinstance(chosen.function, Output | ExpectedValue):
            return chosen.function.name, chosen.function.words
        if chosen.function is not None:
            name = getattr(chosen.function, "__name__", type(chosen.function).__name__)
            short = name if name.isidentifier() else "custom"
            return short, f"the callable {name} of the output"
        index = chosen.class_of(row)
        if index is None:
            return "output", "the network's single output"
        names = self.job.class_names
        name = f" ({names[index]})" if names else ""
        how = ", the predicted class" if chosen.predicted else ""
        words = f"{self.job.method.score_words} of class {index}{name}{how}"
        return (names[index] if names else f"class {index}"), words


@cache
def _versions() -> Mapping[str, str]:
    return {"voxplain": version("voxplain"), "torch": torch.__version__}
