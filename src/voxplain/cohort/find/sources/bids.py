"""A BIDS dataset, or a derivative of one such as fMRIPrep's."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Exclusion, Listing, Scan, listing, require_folder
from voxplain.cohort.find.participants import plain_label, some_of
from voxplain.cohort.find.sessions import PLACED, entities
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError, VoxplainWarning
from voxplain.files.pointers import is_named
from voxplain.images.files import ImageFile

__all__ = ["bids_scans", "from_bids"]

_SUFFIX = re.compile(r"_T1w\.nii(\.gz)?$")
_NATIVE = "native"


@dataclass(frozen=True)
class _Image:
    path: Path
    entities: dict[str, str]

    @property
    def subject(self) -> str:
        return plain_label(self.entities["sub"])

    @property
    def session(self) -> str:
        return self.entities.get("ses", "")

    @property
    def run(self) -> str:
        """What tells scans of one session apart."""
        return "_".join(f"{k}-{v}" for k, v in self.entities.items() if k not in PLACED)

    @property
    def space(self) -> str:
        return self.entities.get("space", _NATIVE)

    @property
    def prepared(self) -> bool:
        return self.entities.get("desc") == "preproc"

    def mask(self) -> Path | None:
        """Find the brain mask that fMRIPrep puts beside a scan."""
        stem = _SUFFIX.sub("", self.path.name).removesuffix("_desc-preproc")
        for ending in (".nii.gz", ".nii"):
            path = self.path.with_name(f"{stem}_desc-brain_mask{ending}")
            if is_named(path):
                return path
        return None


def from_bids(
    folder: Path,
    label: str,
    coding: Coding | None = None,
    session: str | None = None,
    space: str | None = None,
    participants: Path | None = None,
    all_scans: bool = False,
) -> Listing:
    """Read a cohort from a BIDS dataset or derivative.

    Parameters
    ----------
    folder : path
        With folders ``sub-<label>[/ses-<label>]/anat``.
    label : str
        Column of the participants' table that holds the classes.
    coding : Coding, optional
        What its values mean.
    session : str, optional
        Label of the session to be used; by default each participant's first. Of several runs or
        acquisitions, the first by name is used.
    space : str, optional
        ``"native"``, or a template's name, such as ``"MNI152NLin2009cAsym"``; by default the one
        there is.
    participants : path, optional
        The table, where it is not ``participants.tsv`` in the folder or, for a derivative, in the
        dataset around it.
    all_scans : bool, default=False
        Whether every session and run is a scan of its own, instead of one per participant. A
        table with a column ``session_id`` then tells the label and covariates of each session.

    Returns
    -------
    Listing
        Sessions and runs that are not used are among its exclusions.

    Raises
    ------
    InputError
        If there are no T1w images, none in that session or space, several spaces to choose from,
        or the table cannot be used.

    Warns
    -----
    VoxplainWarning
        If some of the scans have a brain mask beside them, and others none.
    """
    scans, gone = bids_scans(folder, session, space, all_scans)
    table = read_table(participants or _participants(folder))
    found = listing(scans, table, label, coding, gone)
    _say_who_has_no_mask(found.scans)
    return found


def bids_scans(
    folder: Path, session: str | None = None, space: str | None = None, all_scans: bool = False
) -> tuple[list[Scan], list[Exclusion]]:
    """Find the T1w scans of a BIDS dataset, whatever is known of the participants.

    Parameters
    ----------
    folder, session, space, all_scans
        See `from_bids`.

    Returns
    -------
    scans : list of Scan
    gone : list of Exclusion
        Sessions and runs that are not used.

    Raises
    ------
    InputError
        As `from_bids`, but for the table.
    """
    images = _in_space(_images(folder), space, folder)
    chosen, gone = _chosen(images, session, all_scans)
    scans = []
    for image in chosen:
        mask = image.mask()
        scan = Scan(image.subject, ImageFile(image.path), None if mask is None else ImageFile(mask))
        if all_scans:
            scan = replace(scan, session=image.session, run=image.run)
        scans.append(scan)
    return scans, gone


def _say_who_has_no_mask(scans: Sequence[Scan]) -> None:
    without = [scan.name for scan in scans if scan.mask is None]
    if 0 < len(without) < len(scans):
        warnings.warn(
            f"{len(without)} of {len(scans)} scans have no brain mask beside them "
            f"({some_of(without)}): whole heads among brains mislead a network; add their masks, "
            "or find them with --skull-strip.",
            VoxplainWarning,
            stacklevel=3,
        )


def _images(folder: Path) -> list[_Image]:
    require_folder(folder, "a BIDS dataset")
    found = [
        path
        for pattern in ("sub-*/anat/*_T1w.nii*", "sub-*/ses-*/anat/*_T1w.nii*")
        for path in folder.glob(pattern)
        if _SUFFIX.search(path.name)
    ]
    images = [_Image(path, entities(path.name.rpartition("_")[0])) for path in sorted(found)]
    images = [image for image in images if "sub" in image.entities]
    if not images:
        raise InputError(
            f"{folder} holds no sub-*/[ses-*/]anat/*_T1w.nii.gz; give the folder of a BIDS dataset "
            "or of a derivative with anatomical scans."
        )
    # A derivative may also hold the scan as it came.
    return [image for image in images if image.prepared] or images


def _in_space(images: Sequence[_Image], space: str | None, folder: Path) -> list[_Image]:
    spaces = sorted({image.space for image in images})
    if space is None and len(spaces) > 1:
        raise InputError(
            f"{folder} holds scans in several spaces ({', '.join(spaces)}); choose one with "
            "--space."
        )
    wanted = space or spaces[0]
    found = [image for image in images if image.space == wanted]
    if not found:
        raise InputError(f"{folder} holds no scan in space {wanted!r}, only {', '.join(spaces)}.")
    return found


def _chosen(
    images: Iterable[_Image], session: str | None, every: bool
) -> tuple[list[_Image], list[Exclusion]]:
    wanted = None if session is None else session.removeprefix("ses-")
    all_images = list(images)
    chosen: list[_Image] = []
    first: dict[str, _Image] = {}
    gone: list[Exclusion] = []
    for image in sorted(all_images, key=lambda image: (image.subject, image.session, image.path)):
        if wanted is not None and image.session != wanted:
            reason = f"not of session {wanted}"
        elif image.subject in first and not every:
            same = first[image.subject].session == image.session
            reason = "another run of this participant" if same else "another session"
        else:
            first[image.subject] = image
            chosen.append(image)
            continue
        gone.append(Exclusion(image.subject, str(image.path), reason))
    if not chosen:
        sessions = sorted({image.session for image in all_images if image.session})
        have = f"the sessions are {some_of(sessions)}" if sessions else "there are no sessions"
        raise InputError(f"No scan is of session {wanted!r}; {have}.")
    return chosen, gone


def _participants(folder: Path) -> Path:
    inside = folder / "participants.tsv"
    around = [parent / "participants.tsv" for parent in folder.absolute().parents[:2]]
    for path in (inside, *around):
        if is_named(path):
            return path
    raise InputError(
        f"{inside} does not exist, nor is there one in the dataset around it; give the table with "
        "--participants."
    )
