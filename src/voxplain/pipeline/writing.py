"""Maps of many volumes: made, written as they come, and found again by a rerun."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from voxplain.attribution import METHODS, Engine, iter_explain
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import prepare_method
from voxplain.errors import StudyError
from voxplain.maps import AttributionMap
from voxplain.pipeline.maps import Known, Question, Request, requests_of
from voxplain.pipeline.streams import Stopwatch, with_remarks
from voxplain.progress import Progress
from voxplain.study import MapToWrite, Study, batch_at
from voxplain.volume import Cohort, Volume

__all__ = ["Explained", "MapWriter", "explain_and_write"]

_NAMES_SHOWN = 6

Take = Callable[[int, AttributionMap, Path], None]


@dataclass(frozen=True, eq=False)
class Explained:
    """The maps of one method, in the order of the volumes.

    Parameters
    ----------
    maps : list of AttributionMap
    seconds : float
        Mean time per map, writing left out.
    """

    maps: list[AttributionMap]
    seconds: float


def explain_and_write(
    study: Study,
    network: nn.Module | Sequence[nn.Module],
    volumes: Sequence[Volume],
    question: Question,
    engine: Engine,
    progress: Progress,
) -> Explained:
    """Explain volumes with one method, write each map as soon as it is there, and keep them all."""
    maps: dict[int, AttributionMap] = {}

    def keep(position: int, map_: AttributionMap, path: Path) -> None:
        maps[position] = map_

    seconds = MapWriter(study, network, volumes, question, engine, progress).write(keep)
    return Explained([maps[i] for i in range(len(volumes))], seconds)


@dataclass(frozen=True, eq=False)
class MapWriter:
    """Explains volumes with one method, and writes each map as soon as it is there.

    Parameters
    ----------
    study : Study
    network : torch.nn.Module, or several
        Of several, the mean map is written, and its spread beside it.
    volumes : sequence of Volume, or Cohort
        One batch of them is held at a time, if they are loaded when asked for.
    question : Question
    engine : Engine
    progress : Progress
    place : callable, optional
        Carries a map to another grid before it is written.
    sources : sequence of mapping, optional
        Which files each volume and the weights come from.
    wanted : sequence of int, optional
        Positions of the volumes that are to have a map, ascending; all by default.
    known : sequence of Known, optional
        Label and hash of each volume, which need not be loaded for them then.
    between : callable, optional
        Called after every batch that was written; what it raises ends the work.
    stored : bool, default=False
        Whether maps are written into stores, a batch at a time, not as files of their own.
    """

    study: Study
    network: nn.Module | Sequence[nn.Module]
    volumes: Sequence[Volume] | Cohort
    question: Question
    engine: Engine
    progress: Progress
    place: Callable[[AttributionMap], AttributionMap] = lambda map_: map_
    sources: Sequence[Mapping[str, Any]] | None = None
    wanted: Sequence[int] | None = None
    known: Sequence[Known] | None = None
    between: Callable[[], None] = lambda: None
    stored: bool = False

    def write(self, take: Take) -> float:
        """Give every volume that is wanted its map, in order.

        Maps that the study holds already, made from the same image with the same network, weights
        and options, are kept; those that were made otherwise are made anew. Remarks on a map are
        shown as lines, not as warnings. No map is held once it was taken. What is made, and the
        order in which maps are taken, does not depend on what was there.

        Parameters
        ----------
        take : callable
            Takes the position of a volume, its map, and the path of the map's file.

        Returns
        -------
        float
            Mean seconds per map, writing left out.
        """
        images = [source["image_sha256"] for source in self.sources or ()]
        requests = requests_of(
            self.network, self.volumes, self.question, self.engine, images, self.known
        )
        wanted = range(len(requests)) if self.wanted is None else self.wanted
        missing, kept, seconds = self._take_kept(requests, wanted, take)
        if missing:
            seconds += self._make(missing, kept, requests, take)
        return seconds / max(len(wanted), 1)

    @property
    def _label(self) -> str:
        return METHODS[self.question.method].info.label

    def _source(self, position: int) -> Mapping[str, Any]:
        return {} if self.sources is None else self.sources[position]

    def _take_kept(
        self, requests: Sequence[Request], wanted: Sequence[int], take: Take
    ) -> tuple[list[int], list[int], float]:
        """Hand on the maps that are there, up to the first that is not.

        Returns
        -------
        missing : list of int
            Who has no map.
        kept : list of int
            Who has one, and comes after the first who has none.
        seconds : float
            That the maps took which are there.
        """
        missing, kept, taken = list[int](), list[int](), 0.0
        for i in wanted:
            found = self._find(requests[i])
            if found is None:
                missing.append(i)
                continue
            map_, seconds, path = found
            taken += seconds
            if missing:
                kept.append(i)
            else:
                take(i, map_, path)
        if len(missing) < len(wanted):
            self.progress.say(
                f"{self._label}: {len(wanted) - len(missing)} of {len(wanted)} maps are there "
                "already, made with the same options, and are kept."
            )
        return missing, kept, taken

    def _find(self, request: Request) -> tuple[AttributionMap, float, Path] | None:
        question = self.question
        return self.study.find_map(
            request.subject, question.method, request.content, question.network
        )

    def _make(
        self,
        missing: Sequence[int],
        kept: Sequence[int],
        requests: Sequence[Request],
        take: Take,
    ) -> float:
        """Make and write the maps that are missing; return the seconds that this took."""
        label, network, size = self._label, self.question.network, self.engine.batch_size
        remarks: dict[str, list[str]] = {}
        replaced: dict[str, list[str]] = {}
        watch, later = Stopwatch(), deque(kept)
        waiting: dict[int, MapToWrite] = {}

        def take_up_to(end: float) -> None:
            while later and later[0] < end:
                i = later.popleft()
                if (there := self._find(requests[i])) is None:
                    raise StudyError(
                        f"The map of {requests[i].subject} in {self.study.folder} went while it "
                        "was waited for; see who else works there, and run the same command again."
                    )
                take(i, there[0], there[2])

        with self.progress.step(_counted(label, len(missing)), len(missing)) as advance:
            stream = with_remarks(self._stream(missing, lambda done, _: advance(done)))
            made = zip(missing, watch.timed(stream), strict=True)
            for count, (i, (found, said)) in enumerate(made, start=1):
                map_ = self.place(found)
                for text in said:
                    remarks.setdefault(text, []).append(map_.subject)
                asked = requests[i].content
                if other := self.study.made_otherwise(map_, label, asked, network):
                    replaced.setdefault(", ".join(other), []).append(map_.subject)
                each = watch.seconds / count
                waiting[i] = MapToWrite(map_, label, asked, each, network, self._source(i))
                last = count == len(missing) or missing[count] // size > i // size
                if last or not self.stored:
                    for position, path in self._written(waiting, requests):
                        take_up_to(position)
                        take(position, waiting[position].map_, path)
                    waiting.clear()
                if last:
                    self.between()
        take_up_to(math.inf)
        for what, subjects in replaced.items():
            self.progress.say(
                f"{label}: the map of {_named(subjects)} was there, made otherwise ({what}), and "
                "was made anew."
            )
        for text, subjects in remarks.items():
            self.progress.say(f"{label}, note on {_named(subjects)}: {text}")
        return watch.seconds

    def _written(
        self, maps: Mapping[int, MapToWrite], requests: Sequence[Request]
    ) -> Iterator[tuple[int, Path]]:
        """Write maps, by position, of one batch, and give the path of each."""
        if self.stored:
            size, network = self.engine.batch_size, self.question.network
            batch = batch_at(min(maps), size, requests, self._label, network)
            paths = self.study.write_batch([*maps.values()], batch)
            yield from zip(maps, paths, strict=True)
            return
        for position, one in maps.items():
            yield position, self.study.write_map(*one)

    def _stream(
        self, missing: Sequence[int], on_progress: Callable[[float, int], None]
    ) -> Iterator[AttributionMap]:
        """Explain the volumes that have no map; a method that surveys them sees all."""
        question, targets = self.question, self.question.targets(len(self.volumes))
        ready = prepare_method(
            self.network,
            self.volumes,
            make_method(question.method, question.options),
            question.target,
            class_names=question.class_names,
            engine=self.engine,
            seed=question.seed,
        )
        return iter_explain(
            self.network,
            self.volumes,
            ready,
            targets if question.per_volume else question.target,
            layer=question.layer,
            class_names=question.class_names,
            output_unit=question.output_unit,
            engine=self.engine,
            seed=question.seed,
            on_progress=on_progress,
            only=missing,
        )


def _counted(label: str, count: int) -> str:
    return f"{label}, {count} volume{'s' * (count != 1)}"


def _named(subjects: Sequence[str]) -> str:
    shown = ", ".join(subjects[:_NAMES_SHOWN])
    return shown if len(subjects) <= _NAMES_SHOWN else f"{shown} and {len(subjects)} in all"
