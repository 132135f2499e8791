"""A table with the path of each participant's image."""

from __future__ import annotations

from pathlib import Path

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Exclusion, Listing, Scan, listing
from voxplain.cohort.find.participants import given_label, plain_label, session_label, some_of
from voxplain.cohort.find.sessions import with_sessions
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.files.pointers import is_named
from voxplain.images.files import ImageFile
from voxplain.tables.cells import missing
from voxplain.volume import scan_name

__all__ = ["from_table"]


def from_table(path: Path, label: str, coding: Coding | None = None) -> Listing:
    """Read a cohort from a table.

    Parameters
    ----------
    path : path
        With the columns ``participant_id``, ``image``, optionally ``mask``, and the labels; of a
        participant with several scans a row each, with ``session_id``, ``run_id`` or both, or with
        the session in the name (``01_ses-2``). Paths are relative to the table's folder.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.

    Returns
    -------
    Listing
        Rows whose image or mask is missing are among its exclusions.

    Raises
    ------
    InputError
        If the table cannot be used, as for `voxplain.cohort.find.listing.listing`.
    """
    table = with_sessions(read_table(path))
    if "image" not in table.columns:
        raise InputError(
            f"{path} has no column 'image' with the paths of the scans; it has: "
            f"{', '.join(table.columns)}."
        )
    scans: list[Scan] = []
    gone: list[Exclusion] = []
    for row in table.to_dict("records"):
        subject = plain_label(row["participant_id"])
        session = session_label(row.get("session_id", ""))
        run = _run(row.get("run_id", ""))
        name = scan_name(subject, session and f"ses-{session}", run)
        files = [row[name] for name in ("image", "mask") if name in row and not missing(row[name])]
        found = [path.parent / file for file in files]
        lost = [file for file in found if not is_named(file)]
        if missing(row["image"]):
            gone.append(Exclusion(name, str(path), "no image is named"))
        elif lost:
            gone.append(Exclusion(name, str(lost[0]), "there is no such file"))
        else:
            mask = ImageFile(found[1]) if len(found) > 1 else None
            who = given_label(row["participant_id"])
            scans.append(Scan(subject, ImageFile(found[0]), mask, session, run, who))
    if not scans:
        raise InputError(
            f"None of the images that {path} names is there ({some_of(e.what for e in gone)}); "
            "paths are taken from the table's folder."
        )
    rest = table.drop(columns=["image", "mask"], errors="ignore")
    return listing(scans, rest, label, coding, gone)


def _run(value: object) -> str:
    label = session_label(str(value).strip().removeprefix("run-"))
    return f"run-{label}" if label else ""
