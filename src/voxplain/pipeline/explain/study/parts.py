"""``voxplain explain STUDY`` in parts: what is fixed for all of them, and what each makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, overload

from torch import nn

from voxplain import __version__
from voxplain.attribution import DEFAULT_METHOD, GROUP_METHOD, Engine, weights_sha256
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.names import layer_name
from voxplain.attribution.variation import FEWEST_SCANS
from voxplain.cohort.store.reader import open_store
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.explain.study.targets import rule_of, sample_of
from voxplain.pipeline.explain.study.variation import components_of, with_scans
from voxplain.pipeline.fit.fitted import Fitted, networks_of_folds
from voxplain.pipeline.maps import Known, voxels_sha256
from voxplain.pipeline.shards.manifest import (
    BUSY,
    STORE,
    Manifest,
    cohort_hashes,
    find_manifest,
    unjoined,
)
from voxplain.pipeline.shards.parts import Part, PartRecord
from voxplain.pipeline.shards.stopping import stoppable
from voxplain.pipeline.streams import Some
from voxplain.study import Study
from voxplain.study.locks import at_work
from voxplain.volume import Cohort, Volume

__all__ = ["Opened", "StudyRun", "opened_run"]


@dataclass(frozen=True, eq=False)
class StudyRun:
    """A run over the scans of a study, or a part of it.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    manifest : Manifest
    given : mapping of str to mapping
        Options of each method, with what is learnt from the scans.
    part : Part, optional
        All of the run by default.
    between : callable
        Called after every batch.
    """

    study: Study
    cohort: Cohort
    manifest: Manifest
    given: Mapping[str, Mapping[str, Any]]
    part: Part | None = None
    between: Callable[[], None] = lambda: None

    @cached_property
    def record(self) -> PartRecord | None:
        """What is told of the part; of the whole run, and of part 0, nothing is."""
        if self.part is None or self.part.number == 0:
            return None
        each = product(range(1, len(self.rows) + 1), self.given)
        total = sum(len(self.wanted(fold, method)) for fold, method in each)
        return PartRecord(self.study, self.manifest.name, self.part, total)

    def told(self) -> AbstractContextManager[None]:
        """Tell others, while it is made, how the part goes."""
        return nullcontext() if self.record is None else self.record.kept()

    def join(self) -> None:
        """Note that the run is done, if it was fixed on disk."""
        if self.manifest.name in unjoined(self.study):
            self.manifest.join(self.study)

    @property
    def batch(self) -> int:
        """Scans in a batch, which is made whole or not at all."""
        return int(self.manifest.content["batch"])

    @property
    def rows(self) -> list[list[int]]:
        """Positions in the cohort of the scans of each fold that are explained."""
        return [list(one["rows"]) for one in self.manifest.content["folds"]]

    def wanted(self, fold: int, method: str) -> list[int]:
        """Return which scans of a fold get a map by a method, as positions among its rows.

        A method that surveys all scans of a fold makes them in one part.

        Parameters
        ----------
        fold : int
            From 1 on.
        method : str
        """
        count = len(self.rows[fold - 1])
        if self.part is None:
            return list(range(count))
        mine = [start for number, start in self.part.cut(self.batches) if number == fold]
        if make_method(method, self.given[method]).surveys:
            return list(range(count)) if 0 in mine else []
        return [i for start in mine for i in range(start, min(start + self.batch, count))]

    @property
    def batches(self) -> list[tuple[int, int]]:
        """Fold, from 1 on, and first position among its rows, of each batch."""
        return [
            (number, start)
            for number, rows in enumerate(self.rows, start=1)
            for start in range(0, len(rows), self.batch)
        ]

    def known(self, fold: int) -> list[Known]:
        """Return label and hash of the scans of a fold."""
        return [Known(*pair) for pair in self.manifest.content["scans"][fold - 1]]

    def scans(self, fold: int) -> Sequence[Volume]:
        """Give the scans of a fold, each compared with its hash whenever it is loaded."""
        return _Checked(self, Some(self.cohort, self.rows[fold - 1]), self.known(fold))

    def load(self, fold: int, fitted: Fitted) -> list[nn.Module]:
        """Load the network of a fold, one of each repeat, and compare them with their hashes.

        Raises
        ------
        StudyError
            If one is another.
        """
        networks = [one.load() for one in fitted.together]
        for one, network, told in zip(
            fitted.together, networks, self.manifest.content["weights"][fold - 1], strict=True
        ):
            if weights_sha256(network) != told:
                self.manifest.refuse(f"The network in {one.place}", self.study)
        return networks

    def took(self) -> None:
        """Count a map that is there."""
        if self.record is not None:
            self.record.done += 1

    def after_batch(self) -> None:
        """Tell how far the part is, and end here if that is asked for."""
        if self.record is not None:
            self.record.tell("running")
        self.between()


class _Checked(Sequence[Volume]):
    """Volumes, each compared with its hash when it is loaded."""

    def __init__(self, run: StudyRun, volumes: Some, known: Sequence[Known]) -> None:
        self.run, self.volumes, self.known = run, volumes, known

    def __len__(self) -> int:
        return len(self.volumes)

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> _Checked: ...
    def __getitem__(self, index: int | slice) -> Volume | _Checked:
        if isinstance(index, slice):
            return _Checked(self.run, self.volumes[index], self.known[index])
        volume, known = self.volumes[index], self.known[index]
        if Known(volume.subject, voxels_sha256(volume)) != known:
            self.run.manifest.refuse(f"The image of {known.subject}", self.run.study)
        return volume


class Opened(NamedTuple):
    """A study that is at work: what is asked, the run, its networks, and how targets are chosen."""

    options: ScanOptions
    run: StudyRun
    folds: list[Fitted]
    rule: str


@contextmanager
def opened_run(
    options: ScanOptions,
    part: Part | None = None,
    name: str | None = None,
    folds: list[Fitted] | None = None,
) -> Iterator[Opened]:
    """Hold a study, check what is asked, and fix what the run is about, or find it fixed.

    Parameters
    ----------
    options : ScanOptions
    part : Part, optional
        Others may work at other parts. The manifest is written if it is not there; without a part
        it is kept in memory, and nobody else may work.
    name : str, optional
        Of the run, which must be there then.
    folds : list of Fitted, optional
        Networks that were found and tried already.

    Yields
    ------
    Opened

    Raises
    ------
    VoxplainError
        If the study is at work already, has no such networks, or an option cannot be used, or what
        was fixed before is not what is there now.
    """
    cohort = open_store(options.out / "cohort")
    study = Study(options.out, "voxplain study", __version__)
    with at_work(study.folder / STORE, together=part is not None, busy=BUSY.format(options.out)):
        if not options.methods:
            enough = len(cohort) >= FEWEST_SCANS
            options = replace(options, methods=(DEFAULT_METHOD, *[GROUP_METHOD] * enough))
        if folds is None:
            folds = networks_of_folds(study, options.network, cohort, options.repeats)
            if options.layer != "auto":
                layer_name(folds[0].load(), options.layer)
        rule = rule_of(options, folds[0])
        if part is None:
            study.sweep()
        with stoppable() as stop:
            run = _fixed(options, study, cohort, folds, part, name)
            yield Opened(options, replace(run, between=stop), folds, rule)


def _fixed(
    options: ScanOptions,
    study: Study,
    cohort: Cohort,
    folds: Sequence[Fitted],
    part: Part | None,
    name: str | None,
) -> StudyRun:
    asked, chosen = _asked(options), sample_of(cohort, options.sample, options.seed)
    rows = [[row for row in fold.rows if row in chosen] for fold in folds]
    found = {
        **cohort_hashes(study),
        "folds": [
            {"places": [one.place for one in fold.together], "rows": mine}
            for fold, mine in zip(folds, rows, strict=True)
        ],
    }
    plain_options = {
        method: with_regions(options.options_of(method), [cohort[0]]) for method in options.methods
    }
    kept = find_manifest(study, asked, name)
    if kept is not None:
        kept.require(found, study)
        given = with_scans(plain_options, cohort, kept.content["components"])
        return StudyRun(study, cohort, kept, given, part)
    given = with_scans(plain_options, cohort)
    content = {
        "command": "explain",
        "asked": asked,
        **found,
        "batch": Engine().batch_size,
        "components": components_of(given),
        "weights": [[weights_sha256(one.load()) for one in fold.together] for fold in folds],
        "scans": [
            [[one.subject, voxels_sha256(one)] for one in Some(cohort, mine)] for mine in rows
        ],
    }
    manifest = Manifest(json.loads(json.dumps(content)))
    if part is not None:
        manifest.write(study)
    return StudyRun(study, cohort, manifest, given, part)


def _asked(options: ScanOptions) -> dict[str, Any]:
    """Return all that maps depend on and a user chose."""
    return {
        "network": options.network,
        "methods": list(options.methods),
        "target": options.target,
        "layer": options.layer,
        "options": sorted(options.options),
        "unit": options.unit,
        "precision": options.precision,
        "sample": options.sample,
        "repeats": options.repeats,
        "seed": options.seed,
    }
