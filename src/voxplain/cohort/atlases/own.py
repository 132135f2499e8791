"""A subject's own segmentation: the regions of that very brain, which lie beside its scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxplain.atlas import Atlas
from voxplain.cohort.atlases.files import names_beside, read_atlas, read_label_image
from voxplain.cohort.read.segmentations import FREESURFER
from voxplain.errors import InputError

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


def segmentation_of(scan: Path) -> Path:
    """Find the segmentation beside a scan.

    Parameters
    ----------
    scan : path
        In a folder as of BIDS (``..._desc-dlmuse_dseg.nii.gz``, ``..._desc-aparcaseg_dseg.nii.gz``
        or another ``dseg`` of regions), of FreeSurfer or of the Human Connectome Project
        (``aparc+aseg.mgz``, ``aparc+aseg.nii.gz``), or with ``..._DLMUSE.nii.gz``.

    Returns
    -------
    path

    Raises
    ------
    InputError
        If there is none.
    """
    folder, stem = scan.parent, scan.name.partition(".")[0]
    for name in _FREESURFER:
        if (folder / name).exists():
            return folder / name
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
    if not found:
        raise InputError(
            f"Beside {scan} lies no segmentation of its own (..._desc-dlmuse_dseg.nii.gz, "
            "..._desc-aparcaseg_dseg.nii.gz, aparc+aseg.mgz); give --atlas AAL, or another."
        )
    return min(found)[1]


def own_atlas(scan: Path) -> Atlas:
    """Read the segmentation beside a scan, on its own grid.

    Parameters
    ----------
    scan : path

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
    path = segmentation_of(scan)
    if "aseg" in path.name:
        try:
            names_beside(path)
        except InputError:
            labels, grid = read_label_image(path)
            present = [label for label in np.unique(labels).tolist() if label]
            names = {label: FREESURFER.get(label, f"label {label}") for label in present}
            return Atlas(labels, grid, names, OWN, "the scan's own")
    return read_atlas(path, None, OWN, "the scan's own")
