"""A BIDS App: maps of participants, each for itself, and the mean maps of a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxplain import __version__
from voxplain.attribution import METHODS
from voxplain.cohort.find.listing import Scan
from voxplain.cohort.find.sources import bids_scans
from voxplain.errors import InputError, unknown_name
from voxplain.group import RunningMean
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.run import explain_scans
from voxplain.progress import Progress
from voxplain.study import Study, StudyReader

__all__ = ["BidsOptions", "explain_group", "explain_participants"]

_NAME = "voxplain maps of a BIDS dataset"


@dataclass(frozen=True)
class BidsOptions:
    """What the app was asked.

    Parameters
    ----------
    bids_dir, output_dir : path
    participants : tuple of str
        Labels, with or without ``sub-``; all by default.
    session, space : str, optional
        See `voxplain.cohort.find.sources.from_bids`.
    """

    bids_dir: Path
    output_dir: Path
    participants: tuple[str, ...] = ()
    session: str | None = None
    space: str | None = None

    def labels(self, there: Sequence[str]) -> list[str]:
        """Choose participants among those that are there.

        Raises
        ------
        InputError
            If one is not.
        """
        asked = [label.removeprefix("sub-") for label in self.participants]
        for label in asked:
            if label not in there:
                raise unknown_name("participant", label, there)
        return list(dict.fromkeys(asked)) or list(there)


def explain_participants(
    options: BidsOptions, asked: ScanOptions, progress: Progress
) -> list[Path]:
    """Explain the scan of each participant, into a folder of its own.

    Participants share no file, so that they may be explained at once, on any machines.

    Parameters
    ----------
    options : BidsOptions
    asked : ScanOptions
        Without images, masks and `out`.
    progress : Progress

    Returns
    -------
    list of path
        The folder of each participant, ``output_dir/sub-<label>``.

    Raises
    ------
    VoxplainError
        If a scan, an option or the network cannot be used.
    """
    scans, _ = bids_scans(options.bids_dir, options.session, options.space)
    Study(options.output_dir, _NAME, __version__)
    by_label: dict[str, Scan] = {scan.subject: scan for scan in scans}
    folders = []
    for label in options.labels(list(by_label)):
        scan, folder = by_label[label], options.output_dir / f"sub-{label}"
        masked = scan.mask is not None and asked.preset is not None
        own = replace(
            asked,
            images=(scan.image.path,),
            masks=(scan.mask.path,) if masked and scan.mask else (),
            out=folder,
        )
        progress.say(f"sub-{label}: {scan.image.path}")
        explain_scans(own, progress)
        folders.append(folder)
    return folders


def explain_group(options: BidsOptions, progress: Progress) -> list[Path]:
    """Average the maps of participants, by method and target.

    Parameters
    ----------
    options : BidsOptions
        Of the dataset, nothing is read.
    progress : Progress

    Returns
    -------
    list of path
        The mean maps, in ``output_dir/group``.

    Raises
    ------
    InputError
        If there are no maps, or they do not share a grid.
    """
    place = StudyReader(options.output_dir)
    there = [name.partition("/")[0] for name in place.list_names("sub-*/dataset_description.json")]
    if not there:
        raise _no_maps(options)
    labels = options.labels([name.removeprefix("sub-") for name in there])
    means: dict[tuple[str, str], RunningMean] = {}
    with progress.step("Mean maps", max(len(labels), 1)) as advance:
        for number, label in enumerate(labels, start=1):
            for map_ in _maps(options.output_dir / f"sub-{label}"):
                means.setdefault((map_.method, map_.target), RunningMean()).add(map_)
            advance(number)
    if not means:
        raise _no_maps(options)
    study = Study(options.output_dir, _NAME, __version__)
    told: list[dict[str, Any]] = []
    paths = []
    for (method, target), mean in sorted(means.items()):
        paths.append(study.write_group_map(mean.map(), METHODS[method].info.label))
        name = f"group/{paths[-1].name}"
        told.append({"method": method, "target": target, "maps": mean.count, "map": name})
    study.write_json("explain-group.json", {"participants": labels, "group": told})
    return paths


def _no_maps(options: BidsOptions) -> InputError:
    return InputError(
        f"{options.output_dir} holds no maps of participants; run the participant level first."
    )


def _maps(folder: Path) -> Iterator[AttributionMap]:
    for name in StudyReader(folder).list_names("maps/*/*_statmap.json"):
        yield AttributionMap.load(folder / name.replace(".json", ".nii.gz"))
