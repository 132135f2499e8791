"""The Human Connectome Project, young adults: packages as downloaded, or their folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.cohort.find.labels import Coding
from voxplain.cohort.find.listing import Exclusion, Listing, Scan, listing, require_folder
from voxplain.cohort.find.participants import some_of
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.images.archives import Archive, open_archive
from voxplain.images.files import ImageFile

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IMAGES", "from_hcp"]

# Brain-extracted T1w scans of a package: at the subject's own size, or warped to MNI152.
IMAGES = {
    "acpc": "T1w/T1w_acpc_dc_restore_brain.nii.gz",
    "mni": "MNINonLinear/T1w_restore_brain.nii.gz",
}
_SUBJECT = re.compile(r"(?:^|/)(\d{6})/(?:T1w|MNINonLinear)/[^/]+$")
_PACKAGE = re.compile(r"(?:^|/)\d{6}[^/]*\.zip$", re.IGNORECASE)


def from_hcp(
    folder: Path,
    participants: Path,
    label: str = "Gender",
    coding: Coding | None = None,
    image: str = "acpc",
    restricted: Path | None = None,
) -> Listing:
    """Read a cohort from packages of the S1200 or the 2025 release, or from extracted folders.

    Parameters
    ----------
    folder : path
        With ``<id>_3T_Structural_preproc.zip`` or ``<id>_StructuralRecommended.zip``, zip files
        that hold such packages, or folders ``<id>/T1w``; at any depth. Scans are read where they
        lie.
    participants : path
        The behavioural table, whose key is ``Subject``.
    label : str, default="Gender"
        Column that holds the classes.
    coding : Coding, optional
        What its values mean.
    image : {"acpc", "mni"}, default="acpc"
        The scan in ACPC position, which keeps its size, or warped to MNI152.
    restricted : path, optional
        The restricted table; its column ``Family_ID`` is added as ``family``.

    Returns
    -------
    Listing
        Packages that cannot be used are among its exclusions.

    Raises
    ------
    InputError
        If there is no scan, a subject occurs twice, or a table cannot be used.
    """
    if image not in IMAGES:
        raise InputError(f"The image must be {' or '.join(IMAGES)}; {image!r} was given.")
    require_folder(folder, "the HCP packages")
    scans: dict[str, Scan] = {}
    gone: list[Exclusion] = []
    for path in sorted(folder.rglob(IMAGES[image].rpartition("/")[2])):
        _add(scans, gone, ImageFile(path), str(path.relative_to(folder).as_posix()))
    for path in sorted(folder.rglob("*.zip")):
        before = len(scans) + len(gone)
        try:
            with open_archive(path) as archive:
                for members in _members(archive, IMAGES[image], gone):
                    _add(scans, gone, ImageFile(path, members), members[-1])
        except InputError as error:
            gone.append(Exclusion(path.name[:6], str(path), str(error).rstrip(".")))
            continue
        if len(scans) + len(gone) == before:
            gone.append(Exclusion(path.name[:6], str(path), f"holds no {IMAGES[image]}"))
    if not scans:
        why = f": {some_of(f'{e.what} {e.reason}' for e in gone)}" if gone else ""
        raise InputError(f"{folder} holds no {IMAGES[image]}, in folders or in zip files{why}.")
    table = _with_family(read_table(participants, "Subject"), restricted)
    return listing(list(scans.values()), table, label, coding, gone)


def _members(archive: Archive, image: str, gone: list[Exclusion]) -> Iterator[tuple[str, ...]]:
    """Find an image in an archive and in the packages within it."""
    for member in archive.members:
        if member.endswith(image):
            yield (member,)
        elif _PACKAGE.search(member):
            try:
                with archive.open_inner(member) as inner:
                    found = [(member, *members) for members in _members(inner, image, gone)]
            except InputError as error:
                # One bad package must not lose the others of its archive.
                subject = member.rpartition("/")[2][:6]
                gone.append(Exclusion(subject, member, str(error).rstrip(".")))
            else:
                yield from found


def _add(scans: dict[str, Scan], gone: list[Exclusion], image: ImageFile, place: str) -> None:
    match = _SUBJECT.search(place)
    if match is None:
        gone.append(Exclusion("", str(image), "no folder of six digits names the subject"))
    elif match[1] in scans:
        reason = f"another copy of {scans[match[1]].image}"
        gone.append(Exclusion(match[1], str(image), reason))
    else:
        scans[match[1]] = Scan(match[1], image)


def _with_family(table: pd.DataFrame, restricted: Path | None) -> pd.DataFrame:
    source = table if restricted is None else read_table(restricted, "Subject")
    if "Family_ID" not in source.columns:
        if restricted is not None:
            raise InputError(f"{restricted} has no column 'Family_ID'; give the restricted table.")
        return table
    families = dict(zip(source["participant_id"], source["Family_ID"], strict=True))
    return table.assign(family=[families.get(who, "n/a") for who in table["participant_id"]])
