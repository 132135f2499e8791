"""A subject's own segmentation: the regions of that very brain, which lie beside its scan."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from voxplain.atlas import Atlas
from voxplain.cohort.atlases.files import names_beside, read_atlas, read_label_image
from voxplain.cohort.read.segmentations import FREESURFER
from voxplain.errors import InputError
from voxplain.images.archives import open_archive
from voxplain.images.files import ImageFile

__all__ = ["OWN", "own_atlas", "segmentation_of"]

OWN = "own"
"""By this name a user asks for each scan's own segmentation."""

_FREESURFER = (
    *("aparc+aseg.mgz", "aparc+aseg.nii.gz", "aparc.DKTatlas+aseg.deep.mgz"),
    *("aparc.DKTatlas+aseg.mgz", "aseg.mgz"),
)
_BIDS = ("dlmuse", "aparcaseg", "aparcdktaseg", "aseg", "")
# A segmentation in the place of a template is none of the scan itself.
_OTHER_PLACE = "space-"


def segmentation_of(scan: Path | ImageFile) -> ImageFile:
    """Find the segmentation beside a scan.

    Parameters
    ----------
    scan : path or ImageFile
        In a folder as of BIDS (``..._desc-dlmuse_dseg.nii.gz``, ``..._desc-aparcaseg_dseg.nii.gz``
        or another ``dseg`` of regions), of FreeSurfer or of the Human Connectome Project
        (``aparc+aseg.mgz``, ``aparc+aseg.nii.gz``, also in its archives), or with
        ``..._DLMUSE.nii.gz``.

    Returns
    -------
    ImageFile

    Raises
    ------
    InputError
        If there is none.
    """
    image = ImageFile.of(scan)
    found = _in_archive(image) if image.members else _in_folder(image.path)
    if found is None:
        raise InputError(
            f"Beside {image} lies no segmentation of its own (..._desc-dlmuse_dseg.nii.gz, "
            "..._desc-aparcaseg_dseg.nii.gz, aparc+aseg.mgz); give --atlas AAL, or another."
        )
    return found


def _in_archive(image: ImageFile) -> ImageFile | None:
    *inner, member = image.members
    folder = PurePosixPath(member).parent
    with open_archive(image.path, tuple(inner)) as archive:
        held = set(archive.members)
    for name in _FREESURFER:
        if str(folder / name) in held:
            return ImageFile(image.path, (*inner, str(folder / name)))
    return None


def _in_folder(scan: Path) -> ImageFile | None:
    folder, stem = scan.parent, scan.name.partition(".")[0]
    for name in _FREESURFER:
        if (folder / name).exists():
            return ImageFile(folder / name)
    parts = stem.split("_")
    who = [part for part in parts[:-1] if not part.startswith("desc-")]
    wanted = [part for part in who if part.startswith(("sub-", "ses-", "run-", "acq-"))]
    space = [part for part in who if part.startswith(_OTHER_PLACE)]
    found = []
    for path in folder.glob("*.nii*"):
        own = path.name.partition(".")[0].split("_")
        alike = set(wanted) <= set(own) and [p for p in own if p.startswith(_OTHER_PLACE)] == space
        if own[-1] == "dseg" and wanted and alike:
            kind = next((p.removeprefix("desc-") for p in own if p.startswith("desc-")), "")
            # Without a description it is one of tissues, as fMRIPrep writes it.
            if kind:
                order = _BIDS.index(kind.lower()) if kind.lower() in _BIDS else len(_BIDS)
                found.append((order, path))
        elif path.name.partition(".")[0] == f"{stem}_DLMUSE":
            found.append((0, path))
    return ImageFile(min(found)[1]) if found else None


def own_atlas(scan: Path | ImageFile) -> Atlas:
    """Read the segmentation beside a scan, on its own grid.

    Parameters
    ----------
    scan : path or ImageFile

    Returns
    -------
    Atlas
        Named `OWN`. Names are those of the list beside it or, for images of FreeSurfer, of its
        colour table; what has no name is named by its number.

    Raises
    ------
    InputError
        If there is none, it cannot be read, or has no list of names.
    """
    image = segmentation_of(scan)
    if "aseg" in image.name and not _has_names(image):
        labels, grid = read_label_image(image)
        present = [label for label in np.unique(labels).tolist() if label]
        names = {label: FREESURFER.get(label, f"label {label}") for label in present}
        return Atlas(labels, grid, names, OWN, "the scan's own")
    return read_atlas(image.path, None, OWN, "the scan's own")


def _has_names(image: ImageFile) -> bool:
    if image.members:
        return False
    try:
        names_beside(image.path)
    except InputError:
        return False
    return True
