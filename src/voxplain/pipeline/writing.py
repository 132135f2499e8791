"""Maps of many volumes: made, written as they come, and found again by a rerun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from voxplain.attribution import METHODS, Engine, iter_explain
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import prepare_method
from voxplain.maps import AttributionMap
from voxplain.pipeline.maps import Question, Request, requests_of
from voxplain.pipeline.streams import Some, Stopwatch, with_remarks
from voxplain.progress import Progress
from voxplain.study import Study
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
    """

    study: Study
    network: nn.Module | Sequence[nn.Module]
    volumes: Sequence[Volume] | Cohort
    question: Question
    engine: Engine
    progress: Progress
    place: Callable[[AttributionMap], AttributionMap] = lambda map_: map_
    sources: Sequence[Mapping[str, Any]] | None = None

    def write(self, take: Take) -> float:
        """Give every volume its map.

        Maps that the study holds already, made from the same image with the same network, weights
        and options, are kept, and come first; those that were made otherwise are made anew. Remarks
        on a map are shown as lines, not as warnings. No map is held once it was taken.

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
        requests = requests_of(self.network, self.volumes, self.question, self.engine, images)
        missing, seconds = self._take_kept(requests, take)
        if missing:
            seconds += self._make(missing, requests, take)
        return seconds / len(requests)

    @property
    def _label(self) -> str:
        return METHODS[self.question.method].info.label

    def _source(self, position: int) -> Mapping[str, Any]:
        return {} if self.sources is None else self.sources[position]

    def _take_kept(
        self,
        requests: Sequence[Request],
        take: Take,
    ) -> tuple[list[int], float]:
        """Hand on the maps that are there; return who has none, and the seconds that they took."""
        missing, taken = [], 0.0
        question = self.question
        for i, (subject, asked) in enumerate(requests):
            found = self.study.find_map(subject, question.method, asked, question.network)
            if found is None:
                missing.append(i)
                continue
            map_, seconds, path = found
            taken += seconds
            take(i, map_, path)
        if len(missing) < len(requests):
            self.progress.say(
                f"{self._label}: {len(requests) - len(missing)} of {len(requests)} maps are there "
                "already, made with the same options, and are kept."
            )
        return missing, taken

    def _make(
        self,
        missing: Sequence[int],
        requests: Sequence[Request],
        take: Take,
    ) -> float:
        """Make and write the maps that are missing; return the seconds that this took."""
        label, network = self._label, self.question.network
        remarks: dict[str, list[str]] = {}
        replaced: dict[str, list[str]] = {}
        watch = Stopwatch()
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
                path = self.study.write_map(map_, label, asked, each, network, self._source(i))
                take(i, map_, path)
        for what, subjects in replaced.items():
            self.progress.say(
                f"{label}: the map of {_named(subjects)} was there, made otherwise ({what}), and "
                "was made anew."
            )
        for text, subjects in remarks.items():
            self.progress.say(f"{label}, note on {_named(subjects)}: {text}")
        return watch.seconds

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
            Some(self.volumes, missing),
            ready,
            [targets[i] for i in missing] if question.per_volume else question.target,
            layer=question.layer,
            class_names=question.class_names,
            output_unit=question.output_unit,
            engine=self.engine,
            seed=question.seed,
            on_progress=on_progress,
        )


def _counted(label: str, count: int) -> str:
    return f"{label}, {count} volume{'s' * (count != 1)}"


def _named(subjects: Sequence[str]) -> str:
    shown = ", ".join(subjects[:_NAMES_SHOWN])
    return shown if len(subjects) <= _NAMES_SHOWN else f"{shown} and {len(subjects)} in all"
