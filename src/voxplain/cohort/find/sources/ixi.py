"""The IXI data set of Imperial College London."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.cohort.find.listing import Exclusion, Listing, Scan, listing, require_folder
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.images.files import ImageFile

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_ixi"]

_NAME = re.compile(r"^IXI(\d{3})-(Guys|HH|IOP)-\d+-T1\.nii(\.gz)?$")
_SEX = {"1": "male", "2": "female"}


def from_ixi(folder: Path, participants: Path, masks: Path | None = None) -> Listing:
    """Read IXI as it is downloaded, with sex as label.

    Parameters
    ----------
    folder : path
        With ``IXI<number>-<site>-<number>-T1.nii.gz``.
    participants : path
        ``IXI.xls``, or the same saved as ``.csv`` or ``.xlsx``; SEX_ID is 1 for men and 2 for
        women, and 0 stands for a missing value.
    masks : path, optional
        Folder with a brain mask of each scan, whose name begins like the scan's; IXI has none, and
        a whole head is no input for a network that was trained on brains.

    Returns
    -------
    Listing
        With ``site`` from the file's name. Participants whose rows contradict each other are among
        its exclusions.

    Raises
    ------
    InputError
        If there are no scans, or the table cannot be used.
    """
    require_folder(folder, "the IXI scans")
    table, doubtful = _agreeing(read_table(participants, "IXI_ID"))
    scans: list[Scan] = []
    gone: list[Exclusion] = []
    sites: dict[str, str] = {}
    for path in sorted(folder.glob("IXI*-T1.nii*")):
        match = _NAME.match(path.name)
        if match is None:
            continue
        subject = f"IXI{match[1]}"
        mask = None if masks is None else _mask(masks, path)
        if subject in doubtful:
            gone.append(Exclusion(subject, str(path), "rows of the table contradict each other"))
        elif masks is not None and mask is None:
            gone.append(Exclusion(subject, str(path), "no mask was found"))
        else:
            scans.append(Scan(subject, ImageFile(path), mask))
            sites[subject] = match[2]
    if not scans:
        raise InputError(f"{folder} holds no IXI*-T1.nii.gz that can be used; give that of IXI-T1.")
    return listing(scans, table, "SEX_ID", _SEX, gone, {"site": sites})


def _agreeing(table: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """Drop repeated rows; those of one participant that differ in sex are no use."""
    if "SEX_ID (1=m, 2=f)" in table.columns:
        table = table.rename(columns={"SEX_ID (1=m, 2=f)": "SEX_ID"})
    if "SEX_ID" not in table.columns:
        raise InputError(
            "The IXI table has no column 'SEX_ID (1=m, 2=f)'; give IXI.xls as it was downloaded."
        )
    numbers = [re.sub(r"\.0$", "", who).removeprefix("IXI") for who in table["participant_id"]]
    table = table.assign(participant_id=[f"IXI{number:0>3}" for number in numbers])
    measured = [name for name in table.columns if name.isupper() or name == "SEX_ID"]
    table[measured] = table[measured].replace({"0": "n/a", "0.0": "n/a"})
    kinds = table.groupby("participant_id")["SEX_ID"].nunique()
    doubtful = set(kinds.index[kinds > 1])
    once = table.drop_duplicates("participant_id")
    return once[~once["participant_id"].isin(doubtful)], doubtful


def _mask(masks: Path, scan: Path) -> ImageFile | None:
    start = scan.name.partition(".nii")[0]
    found = sorted(masks.glob(f"{start}*.nii*"))
    return ImageFile(found[0]) if found else None
