"""A report without the labels of participants, in a folder that may be given away."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Final

from voxplain import __version__
from voxplain.errors import StudyError
from voxplain.pipeline.fit.places import file_part, folder_of
from voxplain.pipeline.report.maps import StudyMaps
from voxplain.pipeline.report.reading import rows_of
from voxplain.report.html.render import render
from voxplain.report.html.sections import Made, Page
from voxplain.report.words.pseudonyms import FILE, Pseudonyms
from voxplain.results.study import CohortFound, StudyFound
from voxplain.study import Study, StudyReader
from voxplain.tables.formulas import plain_lines
from voxplain.volume import Cohort

__all__ = [
    "FOLDER",
    "KEY",
    "anonymous_folder",
    "pseudonyms_of",
    "renamed_maps",
    "renamed_results",
    "write_anonymous",
]

FOLDER: Final = "anonymous"
"""Of the study: all in it is without labels."""

KEY: Final = "anonymous-key.tsv"
"""Beside that folder: who is who."""

_STUDY: Final = "STUDY"
_COMMAND: Final = f"voxplain report {_STUDY} --anonymise"


def anonymous_folder(study: StudyReader) -> Study:
    """Open the folder for what may be given away."""
    return Study(study.folder / FOLDER, "voxplain report without labels", __version__)


def pseudonyms_of(study: Study, cohort: Cohort, found: StudyFound) -> Pseudonyms:
    """Draw another name for each participant, or take those that were drawn before.

    Parameters
    ----------
    study : Study
        Holds the key, which is written here.
    cohort : Cohort
    found : StudyFound
        Tells who takes no part.
    """
    label = str.removeprefix
    people = [label(str(one), "sub-") for one in cohort.participants["participant_id"]]
    pairs = [*zip(people, cohort.subjects, strict=True)]
    excluded = found.cohort.exclusions if found.cohort else ()
    pairs += [(one, one) for one in (label(who, "sub-") for who, _, _ in excluded)]
    names = {row["label"]: row["name"] for row in rows_of(study.read_text(KEY))}
    new = [one for one in dict.fromkeys(person for person, _ in pairs) if one not in names]
    SystemRandom().shuffle(new)
    used = {name.partition("_")[0] for name in names.values()}
    free = (f"sub-{n:03d}" for n in range(1, 2 * (len(new) + len(used)) + 2))
    names |= zip(new, (name for name in free if name not in used), strict=False)
    counts = dict.fromkeys(used, 0)
    for name in names.values():
        counts[name.partition("_")[0]] = counts.get(name.partition("_")[0], 0) + 1
    for person, scan in pairs:
        if scan not in names:
            names[scan] = f"{names[person]}_scan-{counts[names[person]]}"
            counts[names[person]] += 1
    study.write_private(KEY, plain_lines([("label", "name"), *names.items()]))
    return Pseudonyms(names)


def renamed_maps(maps: StudyMaps, names: Pseudonyms, beside: Study) -> StudyMaps:
    """Return the same maps, their scans by other names, to be written into another folder.

    Parameters
    ----------
    maps : StudyMaps
    names : Pseudonyms
    beside : Study
    """
    found = copy(maps)
    other = [names.name(scan).partition("_") for scan in maps.cohort.subjects]
    table = maps.cohort.participants.drop(columns=["session_id", "run_id"], errors="ignore")
    table = table.assign(participant_id=[person for person, _, _ in other])
    if any(scan for _, _, scan in other):
        table["session_id"] = [scan for _, _, scan in other]
    found.cohort = replace(maps.cohort, participants=table)
    found.single = dict(sorted((names.name(scan), held) for scan, held in maps.single.items()))
    found.beside = beside
    return found


def renamed_results(found: StudyFound, names: Pseudonyms) -> StudyFound:
    """Return all that a study says with other names, in their order, and without paths.

    Parameters
    ----------
    found : StudyFound
    names : Pseudonyms
    """
    told = names.told(replace(found, path=_STUDY, name=_STUDY, pages=()))
    cohort = found.cohort and _renamed_cohort(found.cohort, names)
    scans = (
        replace(one, name=names.name(old.name))
        for one, old in zip(told.scans, found.scans, strict=True)
    )
    # Scans of one urgency stood in the order of their labels.
    ordered = tuple(sorted(scans, key=lambda one: (-one.urgency, one.name)))
    return replace(told, cohort=cohort, scans=ordered)


def _renamed_cohort(cohort: CohortFound, names: Pseudonyms) -> CohortFound:
    doubts = [
        {**one, "scans": sorted(names.name(scan) for scan in one["scans"])}
        for one in cohort.told.get("doubts", ())
    ]
    left_out = sorted(
        (names.name(who), FILE if what else "", names.text(why))
        for who, what, why in cohort.exclusions
    )
    plain = replace(cohort, told={**cohort.told, "outliers": {}, "doubts": []}, exclusions=())
    told = names.told(plain)
    return replace(
        told, told={**told.told, "doubts": names.told(doubts)}, exclusions=tuple(left_out)
    )


def write_anonymous(
    study: StudyReader, beside: Study, page: Page, name: str, found: StudyFound, names: Pseudonyms
) -> Path:
    """Write the page, and the predictions of each network as a table.

    Parameters
    ----------
    study : StudyReader
    beside : Study
        See `anonymous_folder`.
    page : Page
    name : str
        Of the page's file.
    found : StudyFound
    names : Pseudonyms

    Returns
    -------
    path
        Of the page.

    Raises
    ------
    StudyError
        If a label is left on the page, which is not written then.
    """
    date = datetime.now().astimezone().strftime("%Y-%m-%d")
    html = render(replace(page, made=Made(_STUDY, _COMMAND, date, __version__)))
    if names.named_in(html):
        raise StudyError(
            "The report would still name participants, so it was not written; labels that are also "
            "words of other meaning, such as names of classes, cannot be replaced."
        )
    for network in found.fit.models if found.fit else ():
        rows = rows_of(study.read_text(f"{folder_of(network)}/predictions.tsv"))
        if rows:
            cells = sorted([names.name(row["scan"]), *list(row.values())[1:]] for row in rows)
            beside.write_text(
                f"predictions-{file_part(network)}.tsv", plain_lines([[*rows[0]], *cells])
            )
    return beside.write_text(name, html)
