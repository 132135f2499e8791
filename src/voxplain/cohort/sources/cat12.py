"""Grey matter maps of CAT12, modulated and warped to MNI152."""

from __future__ import annotations

import re
from pathlib import Path

from voxplain.cohort.files import ImageFile
from voxplain.cohort.labels import Coding
from voxplain.cohort.listing import Exclusion, Listing, Scan, listing, plain_label, require_folder
from voxplain.cohort.tables import read_table
from voxplain.errors import InputError

__all__ = ["from_cat12"]

_MAP = re.compile(r"^mwp1(.+?)\.nii(\.gz)?$")
_VOLUME = re.compile(r"<vol_TIV>\s*([0-9.]+)\s*</vol_TIV>")


def from_cat12(
    folder: Path, participants: Path, label: str, coding: Coding | None = None
) -> Listing:
    """Read a cohort from CAT12's output.

    Parameters
    ----------
    folder : path
        With ``mwp1<name>.nii`` at any depth. Where there is a report ``cat_<name>.xml``, the total
        intracranial volume is taken from it as ``tiv_ml``, since warped maps have lost it.
    participants : path
        Table whose ``participant_id`` is the name, or what follows ``sub-`` in it.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.

    Returns
    -------
    Listing
        Sessions and runs beyond each participant's first are among its exclusions.

    Raises
    ------
    InputError
        If there are no maps, or the table cannot be used.
    """
    require_folder(folder, "CAT12's output")
    scans: dict[str, Scan] = {}
    gone: list[Exclusion] = []
    volumes: dict[str, str] = {}
    reports = {path.stem: path for path in folder.rglob("cat_*.xml") if path.is_file()}
    for path in sorted(folder.rglob("mwp1*.nii*")):
        match = _MAP.match(path.name)
        if match is None:
            continue
        entity = re.search(r"(?:^|_)sub-([0-9a-zA-Z+]+)", match[1])
        subject = entity[1] if entity else plain_label(match[1])
        if subject in scans:
            gone.append(Exclusion(subject, str(path), "another session or run"))
            continue
        scans[subject] = Scan(subject, ImageFile(path))
        report = reports.get(f"cat_{match[1]}")
        found = None if report is None else _VOLUME.search(report.read_text(errors="replace"))
        volumes[subject] = "n/a" if found is None else found[1]
    if not scans:
        raise InputError(f"{folder} holds no mwp1*.nii; give the folder of CAT12's output.")
    table = read_table(participants)
    if any(volume != "n/a" for volume in volumes.values()):
        names = [plain_label(who) for who in table["participant_id"]]
        table = table.assign(tiv_ml=[volumes.get(name, "n/a") for name in names])
    return listing(list(scans.values()), table, label, coding, gone)
