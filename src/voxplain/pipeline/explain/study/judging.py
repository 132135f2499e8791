"""Maps of a study held against its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.maps import AttributionMap
from voxplain.pipeline.truth import OwnTruths, Truth
from voxplain.progress import Progress
from voxplain.results.judgement import Judgements
from voxplain.study import Study
from voxplain.trust import UNTRAINED, SubjectMaps, TMap, judge
from voxplain.volume import Cohort

__all__ = ["MadeMap", "StudyJudge"]

_FEWEST = 2


class MadeMap(NamedTuple):
    """A map of the study, in a file of its own or in a store.

    Parameters
    ----------
    row : int
        Of the scan in the cohort.
    fold : int
        Whose network made it.
    path : pathlib.Path
    """

    row: int
    fold: int
    path: Path


class StudyJudge:
    """Holds the maps of a study against its truth, beside what needs no network.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    truth : Truth
    fold_of : sequence of int
        Which fold held out each scan.
    seed : int
    """

    def __init__(
        self, study: Study, cohort: Cohort, truth: Truth, fold_of: Sequence[int], seed: int
    ) -> None:
        self.study = study
        self.cohort, self.truth, self.fold_of, self.seed = cohort, truth, fold_of, seed
        self.own = OwnTruths(study.folder, cohort, truth)
        self._trained: dict[int, NDArray[np.float32] | None] = {}
        self.people = cohort.participants["participant_id"].astype(str).tolist()

    def judge(
        self,
        maps: Sequence[MadeMap],
        name: str,
        smooth_mm: float,
        untrained: Mapping[int, Path],
        progress: Progress,
    ) -> Judgements:
        """Judge the maps of one method and target.

        Parameters
        ----------
        maps : sequence of MadeMap
            Read one by one, in an order drawn by lot.
        name : str
            Of the method.
        smooth_mm : float, mm
            By which it smooths its maps itself.
        untrained : mapping of int to path
            Maps of untrained networks of some of the scans, by row.
        progress : Progress
        """
        order = np.random.default_rng(self.seed).permutation(len(maps))
        controls = {"cohort-mean": self.cohort_mean}
        if self._t_maps is not None:
            controls["t-map-all"] = TMap.joined(self._t_maps.values()).t()
        with progress.step(f"Holding {name} against the truth", len(maps)) as advance:

            def each() -> Iterator[SubjectMaps]:
                for done, i in enumerate(order, start=1):
                    yield self._subject(maps[int(i)], untrained)
                    advance(done)

            return judge(
                each(),
                self.truth.known,
                self.cohort.grid,
                networks=tuple(str(fold) for fold in sorted({one.fold for one in maps})),
                controls=controls,
                smooth_mm=smooth_mm,
                seed=self.seed,
            )

    def _subject(self, made: MadeMap, untrained: Mapping[int, Path]) -> SubjectMaps:
        image = self.cohort.load(made.row)
        t_map = self._t_map_of_training(made.fold)
        beside = {} if t_map is None else {"t-map-train": t_map}
        if made.row in untrained:
            beside[UNTRAINED] = AttributionMap.load(untrained[made.row]).values
        return SubjectMaps(
            {str(made.fold): self.study.load_map(made.path).values},
            image,
            self.own.of(made.row, image),
            beside,
            self.people[made.row],
        )

    @cached_property
    def cohort_mean(self) -> NDArray[np.float32]:
        """Mean of all scans, array (X, Y, Z)."""
        return self.cohort.mean(np.arange(len(self.cohort)))

    @cached_property
    def _t_maps(self) -> dict[int, TMap] | None:
        """The scans of each fold; None where there are not two classes."""
        if len(self.cohort.class_names) != 2:
            return None
        parts: dict[int, TMap] = {}
        labels = self.cohort.labels
        for row, fold in enumerate(self.fold_of):
            parts.setdefault(fold, TMap()).add(self.cohort.load(row), int(labels[row]))
        whole = TMap.joined(parts.values())
        return parts if min(whole.counts) >= _FEWEST else None

    def _t_map_of_training(self, fold: int) -> NDArray[np.float32] | None:
        """Return the t-map of the scans that a fold did not hold out."""
        if fold not in self._trained:
            parts = self._t_maps or {}
            rest = TMap.joined(part for number, part in parts.items() if number != fold)
            self._trained[fold] = rest.t() if min(rest.counts) >= _FEWEST else None
        return self._trained[fold]
