"""Networks that learnt nothing, and their maps of the scans that the study's own explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

from torch import nn

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.errors import InputError
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.study.untrained import fixed_target, untrained_network
from voxplain.pipeline.explain.study.variation import options_again
from voxplain.pipeline.fit.fitted import Fitted, networks_of_folds
from voxplain.pipeline.fit.permuted import permuted_studies
from voxplain.pipeline.fit.places import null_place
from voxplain.pipeline.group.options import FEWEST_NULL_STUDIES, GroupOptions
from voxplain.pipeline.group.sample.maps import MapsOfScans, Scans
from voxplain.pipeline.maps import Question, networks_of
from voxplain.pipeline.streams import Some
from voxplain.pipeline.writing import MapWriter
from voxplain.progress import Progress, Silent, adding
from voxplain.report.words.numbers import duration
from voxplain.study import SCANS_OF_A_STORE, Study
from voxplain.volume import Cohort

__all__ = ["explained_by_null_networks"]


@dataclass(frozen=True, eq=False)
class _NullNetwork:
    """One network for each fold of the study, none of which learnt anything of the labels."""

    study: Study
    folds: Sequence[Fitted]
    load: Callable[[Fitted, int], nn.Module]


def explained_by_null_networks(
    options: GroupOptions,
    study: Study,
    maps: MapsOfScans,
    scans: Scans,
    progress: Progress,
) -> tuple[Path, ...]:
    """Explain the scans of a test with networks that learnt nothing, as they were explained before.

    Each scan is explained by the network of the fold that held it out, by the same method with the
    same options, for the same target. Maps are kept below ``null/`` of the study, one folder for
    each network; those that are there are not made again.

    Parameters
    ----------
    options : GroupOptions
        Whose null is ``labels`` or ``untrained``.
    study : Study
    maps : MapsOfScans
        Those that are tested.
    scans : Scans
    progress : Progress

    Returns
    -------
    tuple of path
        A folder for each null network.

    Raises
    ------
    VoxplainError
        If the study has no fit, or fewer than 19 networks on permuted labels, or the maps are
        means over several networks.
    """
    cohort, network, request = scans.cohort, scans.network, maps.sidecar["request"]
    if networks_of(request) > 1:
        raise InputError(
            f"The maps of {maps.label} are means over several networks, and --null {options.null} "
            "makes maps of one network a scan, which vary more; run 'voxplain explain' on the "
            "study without --repeats, which makes these maps anew, or leave --null out."
        )
    found = _networks(options, study, cohort, network)
    every = len(found) * len(scans.rows)
    missing = every - sum(_there(one.study, maps, scans) for one in found)
    if missing:
        each = float(maps.sidecar["Seconds"])
        size = 4 * prod(maps.grid.shape) / 1e6
        progress.say(
            f"{len(found)} networks that learnt nothing, {len(scans.rows)} scans each: {missing} "
            f"maps of {maps.label} are to be made, about {duration(each * missing)} and "
            f"at most {size * missing:.0f} MB. A rerun goes on where this one stops."
        )
    engine = Engine(device=options.device, precision=request.get("precision", "auto"))
    given = options_again(maps.method, request["options"], cohort)
    wanted = frozenset(scans.rows)
    with (
        progress.step(f"{maps.label} of networks that learnt nothing", every) as advance,
        engine.run() as shared,
    ):
        add = adding(advance)

        def take(position: int, map_: AttributionMap, path: Path) -> None:
            add(1)

        for one in found:
            for number, fold in enumerate(one.folds, start=1):
                rows = [row for row in fold.rows if row in wanted]
                if not rows:
                    continue
                question = Question(
                    maps.method,
                    fixed_target(fold, maps.target),
                    request["layer"],
                    fold.class_names or None,
                    given,
                    int(request["seed"]),
                    None,
                    request.get("output_unit"),
                    network,
                )
                some, made = Some(cohort, rows), one.load(fold, number)
                writer = MapWriter(
                    one.study,
                    made,
                    some,
                    question,
                    shared,
                    Silent(),
                    stored=len(cohort) >= SCANS_OF_A_STORE,
                )
                writer.write(take)
            one.study.tidy_maps()
    return tuple(one.study.folder for one in found)


def _there(study: Study, maps: MapsOfScans, scans: Scans) -> int:
    """Count the scans that have such a map."""
    held = (
        study.maps_of(scans.cohort.subjects[row], maps.method, scans.network) for row in scans.rows
    )
    return sum(any(told == maps.target for _, told, _ in one) for one in held)


def _networks(
    options: GroupOptions, study: Study, cohort: Cohort, network: str
) -> list[_NullNetwork]:
    if options.null == "labels":
        kept = permuted_studies(study.folder, network)
        if len(kept) < FEWEST_NULL_STUDIES:
            raise InputError(
                f"{study.folder} has {len(kept)} networks {network} that were trained on permuted "
                f"labels, and --null labels needs {FEWEST_NULL_STUDIES} or more for a p of .05; "
                f"make them with 'voxplain fit {study.folder} --permuted-labels "
                f"{FEWEST_NULL_STUDIES}'."
            )
        return [
            _NullNetwork(own, networks_of_folds(own, network, cohort), lambda fold, _: fold.load())
            for own in kept
        ]
    folds = networks_of_folds(study, network, cohort)
    return [_untrained(study, number, folds) for number in range(1, options.null_networks + 1)]


def _untrained(study: Study, number: int, folds: Sequence[Fitted]) -> _NullNetwork:
    own = Study(study.folder / null_place("untrained", number), "voxplain study", __version__)
    return _NullNetwork(own, folds, partial(untrained_network, number=number))
