"""From a study folder to one page of everything that it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.cohort.store.reader import STORE, open_store
from voxplain.pipeline.made import write_page
from voxplain.pipeline.report.anonymous import (
    anonymous_folder,
    pseudonyms_of,
    renamed_maps,
    renamed_results,
    write_anonymous,
)
from voxplain.pipeline.report.maps import StudyMaps
from voxplain.pipeline.report.options import ReportOptions
from voxplain.pipeline.report.pictures import draw_pictures, kept_pictures, write_for_print
from voxplain.pipeline.report.reading import (
    PAGES,
    cohort_found,
    group_tests,
    mean_maps,
    method_told,
    predictions,
)
from voxplain.pipeline.report.regions import regions_of
from voxplain.pipeline.report.scans import judge_scans
from voxplain.pipeline.report.scenery import look_around
from voxplain.pipeline.shards.alone import works_alone
from voxplain.pipeline.truth import read_truth
from voxplain.progress import Progress
from voxplain.report.html.viewer import Scenery, viewer_data
from voxplain.report.pages.study.page import study_page
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.places import without_folders
from voxplain.report.words.pseudonyms import Pseudonyms
from voxplain.results.saved import fit_of, judged_maps_of, reclassify_of, trust_of
from voxplain.results.study import StudyFound
from voxplain.study import Study

__all__ = ["Reported", "write_report"]

PAGE = "report.html"

Read = TypeVar("Read")


@dataclass(frozen=True)
class Reported:
    """What a report was made of.

    Parameters
    ----------
    page : path
    megabytes : float
        Of the page.
    missing : tuple of str
        Titles of the sections that say only what was not run.
    figures : int
        Files in ``figures/`` for a paper.
    beside : int
        Scans whose maps lie in a folder beside the page.
    """

    page: Path
    megabytes: float
    missing: tuple[str, ...]
    figures: int
    beside: int


@works_alone
def write_report(options: ReportOptions, progress: Progress) -> Reported:
    """Put everything that a study holds on one page, ``report.html``.

    The page is made anew from the saved results and maps; nothing is computed that a command has
    not computed, but for sums over maps: peaks, regions, and how like each other maps are.

    Parameters
    ----------
    options : ReportOptions
    progress : Progress

    Returns
    -------
    Reported

    Raises
    ------
    VoxplainError
        If the study cannot be read or written.
    """
    study = beside = Study(options.study, "voxplain study", __version__)
    found, maps, truth, names = _read(study, options), None, None, Pseudonyms({})
    shown = Shown()
    if options.anonymise:
        beside = anonymous_folder(study)
    if study.find_file(f"cohort/{STORE}"):
        maps, found = _looked(study, found, options, progress)
        if options.anonymise:
            names = pseudonyms_of(study, maps.cohort, found)
            maps, found = renamed_maps(maps, names, beside), renamed_results(found, names)
        truth = read_truth(study.folder)
        support = None if truth is None else truth.support
        shown = _maps_shown(maps, found, support, options, progress)
    support = None if truth is None else truth.support
    pictures, printed = draw_pictures(found, maps, support, progress, options.figures)
    shown = replace(shown, pictures=kept_pictures(study, found) | pictures)
    files = write_for_print(beside, found, printed)
    page = study_page(found, shown)
    if options.anonymise:
        path = write_anonymous(study, beside, page, PAGE, found, names)
    else:
        path = write_page(study, PAGE, page)
    return Reported(
        path,
        len(beside.read_bytes(PAGE) or b"") / 1e6,
        tuple(section.title for section in page.sections if section.empty),
        files,
        len(shown.beside),
    )


def _read(study: Study, options: ReportOptions) -> StudyFound:
    summary, explain = study.read_json("summary.json"), study.read_json("explain.json")
    trust, group = study.read_json("trust.json"), study.read_json("group.json")
    remarks: list[str] = []

    def part(told: Any, read: Callable[[Any], Read], where: str) -> Read | None:
        """Read a part, or say that it cannot be read."""
        if not told:
            return None
        try:
            return read(told)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            remarks.append(
                f"{where} is left out: it was written by another version of voxplain, or is "
                f"damaged ({type(error).__name__} {error}). Run its command again."
            )
            return None

    means = part(explain, partial(mean_maps, study), "explain.json") or ()
    if options.network is not None:
        means = tuple(one for one in means if one.network == options.network)
    beside = str(study.folder.resolve().parent)
    in_summary = "Part {} of summary.json".format
    return StudyFound(
        name=study.folder.resolve().name,
        path=without_folders(str(options.study), beside),
        fit=part(summary.get("fit"), fit_of, in_summary("fit")),
        explain=explain,
        means=means,
        judged=part(summary.get("explain"), judged_maps_of, in_summary("explain")) or (),
        tests=part(group, partial(group_tests, study), "group.json") or (),
        reclassify=part(summary.get("reclassify"), reclassify_of, in_summary("reclassify")),
        features=summary.get("features", {}),
        trust=part(trust, trust_of, "trust.json"),
        pages=tuple((title, file) for file, title in PAGES if study.find_file(file)),
        versions=_versions(summary, explain, trust, group),
        remarks=tuple(remarks),
        beside=beside,
    )


def _versions(*parts: dict[str, Any]) -> dict[str, str]:
    """Join the versions that the parts were made with; of several of one package, all."""
    seen: dict[str, list[str]] = {}
    inner = [part["versions"] for part in parts if "versions" in part]
    inner += [
        one["versions"]
        for part in parts
        for one in part.values()
        if isinstance(one, dict) and "versions" in one
    ]
    for versions in inner:
        for name, version in versions.items():
            known = seen.setdefault(name, [])
            if version not in known:
                known.append(version)
    return {name: ", ".join(versions) for name, versions in seen.items()}


def _looked(
    study: Study, found: StudyFound, options: ReportOptions, progress: Progress
) -> tuple[StudyMaps, StudyFound]:
    """Look at the scans and maps, and add to what the study says what they say."""
    cohort = open_store(study.folder / "cohort")
    told = cohort_found(study, cohort)
    place = look_around(cohort, options.atlas, progress)
    network = options.network or str(found.explain.get("network", ""))
    numbers = found.fit is not None and not found.fit.class_names
    maps = StudyMaps(study, cohort, place, found.means, network, progress)
    profiles = maps.profiles()
    main = maps.label(maps.means[0]) if maps.means else ""
    odd = {f"sub-{name}": why for name, why in told.told.get("outliers", {}).items()}
    of_main = [one for (label, _), one in profiles.items() if label == main]
    return maps, replace(
        found,
        cohort=told,
        means=tuple(maps.means),
        methods={
            one.method: method_told(one.method, maps.options_of(one.method)) for one in maps.means
        },
        regions=regions_of(maps, profiles),
        peaks=maps.peaks(),
        atlas=place.atlas.name if place.atlas else "",
        off_cortex=place.off_cortex,
        scans=judge_scans(predictions(study, cohort, found.fit, network), of_main, odd, numbers),
        remarks=(*found.remarks, *place.remarks),
    )


def _maps_shown(
    maps: StudyMaps,
    found: StudyFound,
    truth: NDArray[np.bool_] | None,
    options: ReportOptions,
    progress: Progress,
) -> Shown:
    """Pack the maps for the viewer, those of the scans to look at first among them."""
    group = maps.group_maps(found.tests)
    if not group:
        return Shown()
    ranked = [one.name for one in found.scans if one.name in maps.single]
    first, others = ranked[: options.subjects], ranked[options.subjects :]
    beside = maps.write_beside(others) if options.everyone else maps.found_beside(others)
    atlas = maps.place.atlas
    with progress.step("Packing the maps", 1):
        scenery = Scenery(
            maps.place.grid,
            maps.place.anatomy,
            atlas.labels if atlas else None,
            atlas.names if atlas else {},
            found.atlas,
            None if truth is None else truth.astype(np.float32),
            maps.place.cortex,
        )
        single = [one for name in first for one in maps.scan_maps(name)]
        anatomies = {name: maps.anatomy(name) for name in first}
        data = viewer_data(scenery, [*group, *single], anatomies, beside)
    return Shown(viewer=data, in_page=frozenset(first), beside=frozenset(beside))
