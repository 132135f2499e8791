"""Scans as the user names them: read, labelled, brought to the network, and their maps back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxplain.cohort import PRESETS, Prepared, prepare, read_mask, read_volume
from voxplain.errors import InputError, remarks
from voxplain.maps import AttributionMap
from voxplain.nets import file_sha256
from voxplain.pipeline.explain.names import require_different, scan_labels
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.maps import voxels_sha256
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Volume

__all__ = ["Scan", "options_of_methods", "read_scans", "require_same_image"]


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan as it was read, and as the network sees it.

    Parameters
    ----------
    path : path
    original : Volume
        On its own grid.
    volume : Volume
        On the network's.
    prepared : Prepared or None
        How the one became the other; None where they are the same.
    notes : tuple of str
        For the user.
    """

    path: Path
    original: Volume
    volume: Volume
    prepared: Prepared | None
    notes: tuple[str, ...]

    def back(self, map_: AttributionMap) -> AttributionMap:
        """Carry a map to the scan's own grid, and note the sum on both where it has a meaning."""
        return map_ if self.prepared is None else self.prepared.to_scan(map_)

    def sources(self) -> dict[str, Any]:
        """Say which file it is, and which voxels."""
        return {
            "image": str(self.path),
            "image_sha256": file_sha256(self.path),
            "voxels_sha256": voxels_sha256(self.original),
        }


def read_scans(options: ScanOptions, progress: Progress) -> list[Scan]:
    """Read all scans, label them, and bring each to the network.

    Raises
    ------
    InputError
        If a file cannot be used, or two would be written under one name.
    """
    labels = scan_labels(options.images)
    require_different(labels, options.images)
    scans = [_read(options, i, label) for i, label in enumerate(labels)]
    for scan in scans:
        for note in scan.notes:
            progress.say(f"{scan.volume.subject}: {note}")
    return scans


def _read(options: ScanOptions, index: int, label: str) -> Scan:
    path = options.images[index]
    with remarks() as said:
        original = replace(read_volume(path, orientation=options.orientation), subject=label)
        mask = None
        if options.masks:
            mask = read_mask(options.masks[index], original, options.orientation)
    if options.preset is None:
        return Scan(path, original, original, None, tuple(said))
    with remarks():
        recipe = replace(PRESETS[options.preset], align=options.align)
        prepared = prepare(original, recipe, mask)
    return Scan(path, original, prepared.volume, prepared, (*said, *prepared.notes))


def options_of_methods(
    options: ScanOptions, scans: Sequence[Scan], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Read the options of each method, with labels in place of the names of regions."""
    volumes, prepared = [scan.volume for scan in scans], [scan.prepared for scan in scans]
    with remarks() as said:
        given = {
            name: with_regions(options.options_of(name), volumes, prepared, options.orientation)
            for name in options.methods
        }
    for remark in dict.fromkeys(said):
        progress.say(remark)
    return given


def require_same_image(study: Study, scan: Scan, source: Mapping[str, Any]) -> None:
    """Refuse to replace the maps of another image that has the same name."""
    for held in study.sources(scan.volume.subject):
        known = [key for key in ("image_sha256", "voxels_sha256") if key in held]
        if known and all(held[key] != source[key] for key in known):
            raise InputError(
                f"{study.folder} holds maps of another image as {scan.volume.subject!r} "
                f"({held['image']}), which those of {scan.path} would replace; give another "
                "--out, or a name that tells the files apart (sub-<label>_ses-<label>_T1w.nii.gz)."
            )
