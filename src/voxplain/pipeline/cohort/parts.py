"""``voxplain cohort`` in parts: one scan is a unit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from voxplain import __version__
from voxplain.cohort.build import begin_store, build_part
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.store.reader import PLAN
from voxplain.pipeline.cohort.run import COHORT, CohortOptions, make_cohort
from voxplain.pipeline.shards.alone import alone
from voxplain.pipeline.shards.manifest import BUSY, find_manifest, fixed_run
from voxplain.pipeline.shards.parts import Part, PartRecord
from voxplain.pipeline.shards.stopping import Stop, stoppable
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.locks import at_work

__all__ = ["cohort_part", "whole_cohort"]


def whole_cohort(found: Listing, options: CohortOptions, progress: Progress) -> dict[str, Any]:
    """Prepare what no part has prepared, and describe all; see `make_cohort`.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    VoxplainError
        As `make_cohort`; and if others work in the study, or the listing is another than that of
        its parts.
    """
    with alone(options.out), _held(found, options, together=False) as (study, stop):
        kept = find_manifest(study, _asked(options), None)
        if kept is not None:
            kept.require(_listed(found), study)
        study.sweep()
        result = make_cohort(found, options, progress, stop)
        if kept is not None:
            kept.join(study)
        return result


def cohort_part(
    found: Listing, options: CohortOptions, part: Part, progress: Progress, name: str | None = None
) -> str:
    """Prepare a part of the scans, for `whole_cohort` to find.

    Parameters
    ----------
    found : Listing
    options : CohortOptions
    part : Part
    progress : Progress
    name : str, optional
        Of the run, as part 0 returns it; by default the one that was asked the same.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    VoxplainError
        As `voxplain.cohort.build_store`; and if the listing changed since the run was fixed.
    """
    with _held(found, options, together=True) as (study, stop):
        manifest = fixed_run(study, "cohort", _asked(options), _listed(found), name)
        if part.number:
            mine = part.cut(range(len(found)))
            record = PartRecord(study, manifest.name, part, len(mine))

            def told() -> None:
                record.done += 1
                record.tell("running")
                stop()

            with record.kept():
                own = (f"{part.number:04d}-of-{part.of:04d}", mine)
                place, workers = options.out / COHORT, options.workers
                build_part(found, options.recipe, place, own, workers, progress, told)
                record.done = len(mine)
        return manifest.name


@contextmanager
def _held(
    found: Listing, options: CohortOptions, *, together: bool
) -> Iterator[tuple[Study, Stop]]:
    """Fix of what the store is made, and keep out those who may not be at work there."""
    study = Study(options.out, "voxplain cohort", __version__)
    begin_store(found, options.recipe, options.out / COHORT)
    plan, busy = options.out / COHORT / PLAN, BUSY.format(options.out)
    with at_work(plan, together=together, busy=busy), stoppable() as stop:
        yield study, stop


def _asked(options: CohortOptions) -> dict[str, Any]:
    return {"recipe_sha256": options.recipe.digest()}


def _listed(found: Listing) -> dict[str, str]:
    """Hash who takes part, and where the images lie; files that change are seen scan by scan."""
    paths = "\n".join(f"{scan.name}\t{scan.image}\t{scan.mask or ''}" for scan in found.scans)
    table = found.participants.to_csv(sep="\t", index=False)
    return {
        "version": __version__,
        "listing_sha256": hashlib.sha256(f"{paths}\n{table}".encode()).hexdigest(),
    }
