"""Maps of a study as NIfTI files, brought out of its stores when somebody wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from voxplain import __version__
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, unknown_name
from voxplain.pipeline.explain.study.own_grid import OwnGrids
from voxplain.pipeline.shards.manifest import BUSY, STORE
from voxplain.progress import Progress
from voxplain.study import OWN_GRIDS, Study, StudyReader
from voxplain.study.locks import at_work
from voxplain.tables.cells import shown

__all__ = ["ExportOptions", "Exported", "export_maps"]


@dataclass(frozen=True)
class ExportOptions:
    """Which maps are wanted, and where.

    Parameters
    ----------
    study : path
    methods, subjects : tuple of str
        Registry names, and labels of scans or participants; all by default.
    network : str, optional
        Whose maps; those of all by default.
    out : path, optional
        By default the study, where the files count from then on.
    grid : {"network", "input"}
        Whether maps are wanted on the grid of each scan, in the study's folder ``input_grid``.
    """

    study: Path
    methods: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    network: str | None = None
    out: Path | None = None
    grid: str = "network"

    def __post_init__(self) -> None:
        if self.grid not in ("network", "input"):
            raise InputError(f"--grid must be network or input; {self.grid!r} was given.")
        if self.grid == "input" and self.out:
            raise InputError("Maps on their scans' grids are written into the study; omit --out.")


@dataclass(frozen=True)
class Exported:
    """What was brought out.

    Parameters
    ----------
    folder : path
        In which the folders of participants lie.
    written, there : int
        Maps that were written, and that were there already.
    """

    folder: Path
    written: int
    there: int


def export_maps(options: ExportOptions, progress: Progress) -> Exported:
    """Write maps as NIfTI files with their sidecars; those that are there are not written again.

    Their bytes are those that ``voxplain explain --maps nifti`` writes.

    Parameters
    ----------
    options : ExportOptions
    progress : Progress

    Returns
    -------
    Exported

    Raises
    ------
    VoxplainError
        If the folder is no study, holds no such maps, or a file cannot be written.
    """
    if StudyReader(options.study).find_file("dataset_description.json") is None:
        raise InputError(
            f"{options.study} is no study; give one that 'voxplain explain' has made maps of."
        )
    study = Study(options.study, "voxplain study", __version__)
    busy = BUSY.format(options.study)
    alone = (
        nullcontext() if options.out else at_work(study.folder / STORE, together=True, busy=busy)
    )
    with alone:
        chosen = _chosen(study, options)
        if options.grid == "input":
            return _on_own_grids(study, chosen, progress)
        folder, written = options.out or study.folder / "maps", 0
        with progress.step("Maps as NIfTI", len(chosen)) as advance:
            for number, name in enumerate(chosen, start=1):
                written += study.export_map(name, folder)
                advance(number)
    return Exported(folder, written, len(chosen) - written)


def _on_own_grids(study: Study, chosen: Sequence[str], progress: Progress) -> Exported:
    cohort = open_store(study.folder / "cohort")
    own, written = OwnGrids(study, cohort), 0
    row_of = {subject: row for row, subject in enumerate(cohort.subjects)}
    with progress.step("Maps on the grids of their scans", len(chosen)) as advance:
        for number, name in enumerate(chosen, start=1):
            path = (study.folder / name).with_suffix(".nii.gz")
            map_ = study.load_map(path)
            if map_.subject not in row_of:
                raise InputError(
                    f"The cohort of {study.folder} has no scan {map_.subject}, so that nobody "
                    f"knows its grid; delete {study.folder / name}, or name others by --subject."
                )
            written += own.write(row_of[map_.subject], map_, path)
            advance(number)
    return Exported(study.folder / OWN_GRIDS, written, len(chosen) - written)


def _chosen(study: Study, options: ExportOptions) -> list[str]:
    """Name the sidecars of the maps that are wanted.

    Raises
    ------
    InputError
        If there is none, or a subject, method or network has none.
    """
    study.require_whole_maps()
    wanted = [label.removeprefix("sub-") for label in options.subjects]
    held = list(_held(study, wanted))
    if not held:
        whose = f" of {shown(options.subjects)}" * bool(options.subjects)
        raise InputError(
            f"{study.folder} has no maps{whose}; make them with 'voxplain explain {study.folder}'."
        )
    for label in wanted:
        if not any(_is_of(subject, label) for _, subject, *_ in held):
            raise InputError(f"{study.folder} has no map of {label}; give scans that have one.")
    for kind, given, place in (
        ("method", options.methods, 2),
        ("network", (options.network,) if options.network is not None else (), 3),
    ):
        there = {one[place] for one in held}
        for one in given:
            if one not in there:
                raise unknown_name(f"{kind} of maps in {study.folder},", one, there)
        held = [one for one in held if not given or one[place] in given]
    return [name for name, *_ in held]


def _held(study: Study, wanted: list[str]) -> Iterator[tuple[str, str, str, str]]:
    for path, told in study.all_maps():
        subject = str(told["Subject"])
        if not wanted or any(_is_of(subject, label) for label in wanted):
            name = path.relative_to(study.folder).as_posix().removesuffix(".nii.gz") + ".json"
            yield name, subject, str(told["Method"]), str(told.get("Network", ""))


def _is_of(subject: str, label: str) -> bool:
    """Tell whether a scan is the one of a label, or one of a participant's."""
    return subject == label or subject.startswith(f"{label}_")
