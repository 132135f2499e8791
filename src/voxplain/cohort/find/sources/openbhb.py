"""OpenBHB: thousands of healthy brains, prepared, as arrays without a header."""

from __future__ import annotations

import re
from pathlib import Path

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Listing, Scan, listing, require_folder
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.images.files import ImageFile

__all__ = ["KINDS", "from_openbhb"]

# Skull-stripped T1w in MNI152 by an affine; grey matter of CAT12.
KINDS = {"quasiraw": "quasiraw_T1w.npy", "cat12vbm": "cat12vbm_desc-gm_T1w.npy"}


def from_openbhb(
    folder: Path,
    label: str = "sex",
    coding: Coding | None = None,
    kind: str = "quasiraw",
    participants: Path | None = None,
) -> Listing:
    """Read a cohort from OpenBHB's folders.

    Parameters
    ----------
    folder : path
        With ``sub-<id>_preproc-<kind>_T1w.npy`` at any depth.
    label : str, default="sex"
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.
    kind : {"quasiraw", "cat12vbm"}, default="quasiraw"
    participants : path, optional
        The table, where it is not ``participants.tsv`` in the folder.

    Returns
    -------
    Listing

    Raises
    ------
    InputError
        If there are no such arrays, a participant has two, or the table cannot be used.
    """
    if kind not in KINDS:
        raise InputError(f"The kind must be {' or '.join(KINDS)}; {kind!r} was given.")
    require_folder(folder, "OpenBHB")
    scans = []
    for path in sorted(folder.rglob(f"sub-*_preproc-{KINDS[kind]}")):
        match = re.match(r"sub-([0-9a-zA-Z]+)_", path.name)
        if match is not None:
            scans.append(Scan(match[1], ImageFile(path)))
    if not scans:
        raise InputError(f"{folder} holds no sub-*_preproc-{KINDS[kind]}; give that of OpenBHB.")
    table = read_table(participants or folder / "participants.tsv")
    return listing(scans, table, label, coding)
