"""Grey matter maps of CAT12, modulated and warped to MNI152."""

from __future__ import annotations

import re
from pathlib import Path

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Listing, Scan, listing, require_folder
from voxplain.cohort.find.participants import plain_label
from voxplain.cohort.find.sessions import read_names
from voxplain.cohort.find.sources.choice import one_each
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.images.files import ImageFile
from voxplain.images.names import subject_name

__all__ = ["from_cat12"]

_MAP = re.compile(r"^mwp1(.+?)\.nii(\.gz)?$")
_VOLUME = re.compile(r"<vol_TIV>\s*([0-9.]+)\s*</vol_TIV>")


# CAT12's longitudinal stream writes r before the name of a scan.
_LONGITUDINAL = re.compile(r"^r(?=sub-)")


def from_cat12(
    folder: Path,
    participants: Path,
    label: str,
    coding: Coding | None = None,
    session: str | None = None,
    all_scans: bool = False,
) -> Listing:
    """Read a cohort from CAT12's output.

    Names such as ``sub-01_ses-2`` and ``S01_visit2`` are sessions of one participant; see
    `read_names`. A map of the longitudinal stream is used where its session has no other.

    Parameters
    ----------
    folder : path
        With ``mwp1<name>.nii`` at any depth. Where there is a report ``cat_<name>.xml``, the total
        intracranial volume is taken from it as ``tiv_ml``, since warped maps have lost it.
    participants : path
        Table whose ``participant_id`` is the name, with or without the session, or what follows
        ``sub-`` in it.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.
    session : str, optional
        Label of the session to be used; by default each participant's first.
    all_scans : bool, default=False
        Whether every session and run is a scan of its own, instead of one per participant.

    Returns
    -------
    Listing
        Sessions and runs that are not used are among its exclusions.

    Raises
    ------
    InputError
        If there are no maps, or the table cannot be used.
    """
    require_folder(folder, "CAT12's output")
    table = read_table(participants)
    found = [
        (path, match[1])
        for path in sorted(folder.rglob("mwp1*.nii*"))
        if (match := _MAP.match(path.name))
    ]
    names = read_names([_name(path, text) for path, text in found], table["participant_id"])
    there = [
        Scan(
            plain_label(name.participant), ImageFile(path),
            session=name.session, run=name.run, given=name.participant,
        )
        for path, name in zip((path for path, _ in found), names, strict=True)
    ]  # fmt: skip
    longitudinal = {path for path, text in found if _LONGITUDINAL.match(text)}
    scans, gone = one_each(there, longitudinal, session, all_scans)
    if not scans:
        raise InputError(f"{folder} holds no mwp1*.nii; give the folder of CAT12's output.")
    reports = {path.stem: path for path in folder.rglob("cat_*.xml") if path.is_file()}
    volumes: dict[str, str] = {}
    for scan in scans:
        report = reports.get(f"cat_{dict(found)[scan.image.path]}")
        volume = None if report is None else _VOLUME.search(report.read_text(errors="replace"))
        if volume is not None:
            volumes[scan.name] = volume[1]
    return listing(scans, table, label, coding, gone, {"tiv_ml": volumes} if volumes else None)


def _name(path: Path, text: str) -> str:
    """Take a map's name, or its folder's where it says no more than T1."""
    said = subject_name(path, text)
    return _LONGITUDINAL.sub("", text) if said in text else said
