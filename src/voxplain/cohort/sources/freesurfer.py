"""A subjects folder of FreeSurfer or FastSurfer."""

from __future__ import annotations

from pathlib import Path

from voxplain.cohort.files import ImageFile
from voxplain.cohort.labels import Coding
from voxplain.cohort.listing import Exclusion, Listing, Scan, listing, plain_label, require_folder
from voxplain.cohort.tables import read_table
from voxplain.errors import InputError
from voxplain.pointers import is_named

__all__ = ["from_freesurfer"]

# The first pair that is whole: image, and the mask where the skull is still on.
_IMAGES = (
    ("brain.mgz", None),
    ("brainmask.mgz", None),
    ("orig_nu.mgz", "mask.mgz"),
    ("orig.mgz", "mask.mgz"),
)
_NOT_SUBJECTS = ("fsaverage",)


def from_freesurfer(
    folder: Path, participants: Path, label: str, coding: Coding | None = None
) -> Listing:
    """Read a cohort from a subjects folder.

    Parameters
    ----------
    folder : path
        With ``<subject>/mri/brain.mgz``, else ``brainmask.mgz``, else, as FastSurfer writes them,
        ``orig_nu.mgz`` or ``orig.mgz`` with ``mask.mgz``.
    participants : path
        Table whose ``participant_id`` is the name of the subject's folder.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.

    Returns
    -------
    Listing
        Subjects whose images are not finished are among its exclusions.

    Raises
    ------
    InputError
        If there are no subjects, or the table cannot be used.
    """
    require_folder(folder, "the FreeSurfer subjects")
    scans: list[Scan] = []
    gone: list[Exclusion] = []
    for mri in sorted(folder.glob("*/mri")):
        if mri.parent.name.startswith(_NOT_SUBJECTS):
            continue
        subject = plain_label(mri.parent.name)
        for name, mask_name in _IMAGES:
            files = [mri / part for part in (name, mask_name) if part]
            if all(map(is_named, files)):
                mask = ImageFile(files[1]) if len(files) > 1 else None
                scans.append(Scan(subject, ImageFile(files[0]), mask))
                break
        else:
            gone.append(Exclusion(subject, str(mri), "no brain.mgz yet, nor a mask.mgz"))
    if not scans:
        raise InputError(
            f"{folder} holds no <subject>/mri/brain.mgz; give the FreeSurfer subjects folder."
        )
    return listing(scans, read_table(participants), label, coding, gone)
