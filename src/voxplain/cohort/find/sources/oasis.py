"""OASIS-1 as nilearn fetches it: grey matter maps, the shortest way to real brains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Listing, Scan, listing
from voxplain.cohort.find.participants import plain_label
from voxplain.errors import InputError
from voxplain.images.files import ImageFile

__all__ = ["from_oasis"]


def from_oasis(
    folder: Path | None = None,
    label: str = "mf",
    coding: Coding | None = None,
    subjects: int | None = None,
) -> Listing:
    """Fetch OASIS-1's modulated grey matter maps, or take them where they are already.

    Parameters
    ----------
    folder : path, optional
        Where nilearn keeps its data; else where it always does.
    label : str, default="mf"
        Column of the table that holds the classes, such as sex (``mf``).
    coding : Coding, optional
        What its values mean.
    subjects : int, optional
        How many are fetched; all by default.

    Returns
    -------
    Listing

    Raises
    ------
    InputError
        If they cannot be fetched, or the table cannot be used.
    """
    found = _fetch(folder, subjects)
    table = found.ext_vars.astype(str)
    if "id" not in table.columns or len(table) != len(found.gray_matter_maps):
        raise InputError(
            "The table that nilearn fetched with OASIS is damaged: it does not name a participant "
            "for each map; delete nilearn's folder 'oasis1' and fetch it again."
        )
    names = [plain_label(who) for who in table["id"]]
    table = table.drop(columns="id").assign(participant_id=names)
    scans = [
        Scan(name, ImageFile(Path(path)))
        for name, path in zip(names, found.gray_matter_maps, strict=True)
    ]
    return listing(scans, table, label, coding)


def _fetch(folder: Path | None, subjects: int | None) -> Any:
    from nilearn.datasets import fetch_oasis_vbm

    try:
        return fetch_oasis_vbm(n_subjects=subjects, data_dir=folder, verbose=0)
    except (OSError, ValueError) as error:
        raise InputError(
            f"OASIS cannot be fetched ({str(error).splitlines()[0][:120]}); check the network, or "
            "give the folder that holds nilearn's 'oasis1'."
        ) from error
