"""A subjects folder of FreeSurfer or FastSurfer."""

from __future__ import annotations

from pathlib import Path

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Exclusion, Listing, Scan, listing, require_folder
from voxplain.cohort.find.participants import plain_label
from voxplain.cohort.find.sessions import read_names
from voxplain.cohort.find.sources.choice import one_each
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.files.pointers import is_named
from voxplain.images.files import ImageFile

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
    folder: Path,
    participants: Path,
    label: str,
    coding: Coding | None = None,
    session: str | None = None,
    all_scans: bool = False,
) -> Listing:
    """Read a cohort from a subjects folder.

    Folders such as ``sub-01_ses-2`` and ``S01_visit2`` are sessions of one participant; see
    `read_names`. Templates of a longitudinal stream are passed over, and a longitudinal run
    (``.long.``) is used where its session has no other.

    Parameters
    ----------
    folder : path
        With ``<subject>/mri/brain.mgz``, else ``brainmask.mgz``, else, as FastSurfer writes them,
        ``orig_nu.mgz`` or ``orig.mgz`` with ``mask.mgz``.
    participants : path
        Table whose ``participant_id`` is the name of the subject's folder, with or without the
        session.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.
    session : str, optional
        Label of the session to be used; by default each participant's first.
    all_scans : bool, default=False
        Whether every session is a scan of its own, instead of one per participant.

    Returns
    -------
    Listing
        Subjects whose images are not finished, and sessions that are not used, are among its
        exclusions.

    Raises
    ------
    InputError
        If there are no subjects, or the table cannot be used.
    """
    require_folder(folder, "the FreeSurfer subjects")
    table = read_table(participants)
    found = [
        mri for mri in sorted(folder.glob("*/mri")) if not mri.parent.name.startswith(_NOT_SUBJECTS)
    ]
    names = read_names([mri.parent.name for mri in found], table["participant_id"])
    templates = {name.template for name in names if name.template}
    several = {name.participant for name in names if name.session}
    gone: list[Exclusion] = []
    there: list[Scan] = []
    longitudinal: set[Path] = set()
    for mri, name in zip(found, names, strict=True):
        subject = plain_label(name.participant)
        whole = [pair for pair in _IMAGES if all(is_named(mri / part) for part in pair if part)]
        made_of_others = mri.parent.name in templates or (mri.parent / "base-tps").exists()
        if made_of_others or (name.participant in several and not name.session):
            gone.append(Exclusion(subject, str(mri), "a template of this participant's sessions"))
        elif not whole:
            gone.append(Exclusion(subject, str(mri), "no brain.mgz yet, nor a mask.mgz"))
        else:
            image, mask = whole[0]
            there.append(
                Scan(
                    subject, ImageFile(mri / image), ImageFile(mri / mask) if mask else None,
                    name.session, name.run, name.participant,
                )
            )  # fmt: skip
            longitudinal |= {there[-1].image.path} if name.template else set()
    scans, others = one_each(there, longitudinal, session, all_scans)
    if not scans:
        raise InputError(
            f"{folder} holds no <subject>/mri/brain.mgz; give the FreeSurfer subjects folder."
        )
    return listing(scans, table, label, coding, (*gone, *others))
