"""``voxplain cohort``: one command for each way in which brains are kept."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from voxplain.cli.cohort_told import tell_cohort
from voxplain.cli.options.shards import ManifestOption, ShardOption, read_shard, tell_part
from voxplain.cohort.find.listing import Listing
from voxplain.console import make_console, make_progress

__all__ = ["app"]

app = typer.Typer(
    name="cohort",
    help="Bring brains onto one grid, in a store that training and explanation read at full speed.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Label = Annotated[str, typer.Option(help="Column of the table that holds the classes.")]
Coding = Annotated[
    str | None,
    typer.Option(help="What the values of the label mean: 1=male,2=female; -9=n/a leaves it out."),
]
Session = Annotated[
    str | None, typer.Option(help="Label of the session; else each participant's first.")
]
AllScans = Annotated[
    bool, typer.Option("--all-scans", help="Every session and run, not one per participant.")
]
Participants = Annotated[Path, typer.Option(help="Table of the participants: .tsv, .csv, .xlsx.")]


def _make(
    listing: Listing,
    out: Annotated[Path, typer.Option(help="Folder of the study; made when missing.")],
    preset: Annotated[str, typer.Option(help="kan2020, mni-2mm or mni-1mm.")] = "kan2020",
    intensity: Annotated[
        str | None, typer.Option(help="percentile, zscore, histogram or none; else the preset's.")
    ] = None,
    align: Annotated[
        str | None, typer.Option(help="affine, or centre for scans not in ACPC or MNI coordinates.")
    ] = None,
    skull_strip: Annotated[
        bool, typer.Option("--skull-strip", help="Find the brain where there is no mask (deepbet).")
    ] = False,
    bias_field: Annotated[
        bool, typer.Option("--bias-field", help="Correct the bias field with N4.")
    ] = False,
    orientation: Annotated[
        str | None, typer.Option(help="sform or qform, where a scan has two that contradict.")
    ] = None,
    match: Annotated[
        str | None, typer.Option(help="size: keep pairs of both classes of one brain size.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 takes one for each processor.")] = 0,
    shard: ShardOption = None,
    manifest: ManifestOption = None,
) -> tuple[Path, str] | None:
    from voxplain.cohort import PRESETS
    from voxplain.errors import InputError, unknown_name
    from voxplain.pipeline.cohort.parts import cohort_part, whole_cohort
    from voxplain.pipeline.cohort.run import CohortOptions

    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    if match not in (None, "size"):
        raise InputError(f"--match takes only size; {match!r} was given.")
    recipe = replace(
        PRESETS[preset],
        intensity=intensity or PRESETS[preset].intensity,
        align=align or PRESETS[preset].align,
        skull_strip=skull_strip,
        bias_field=bias_field,
        orientation=orientation,
    )
    options = CohortOptions(
        out=out,
        recipe=recipe,
        workers=workers or len(os.sched_getaffinity(0)),
        match_size=match == "size",
    )
    console = make_console()
    progress = make_progress(console)
    if part := read_shard(shard, manifest):
        run = cohort_part(listing, options, part, progress, manifest)
        tell_part(run, part, out, console)
        return out, run
    tell_cohort(console, whole_cohort(listing, options, progress))
    for name in ("cohort.json", "cohort.html"):
        console.print(f"Written: {out / name}", highlight=False, soft_wrap=True)
    return None


def _source(**defaults: str) -> Callable[[Callable[..., Listing]], None]:
    """Make a command of a reader: its own options, then those that all commands share.

    Parameters
    ----------
    **defaults
        Shared options that have another default in this command.
    """

    def register(read: Callable[..., Listing]) -> None:
        own = list(inspect.signature(read, eval_str=True).parameters.values())
        _, *shared = inspect.signature(_make, eval_str=True).parameters.values()
        given = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(p.name, p.default))
            for p in (*own, *shared)
        ]

        def command(**values: Any) -> tuple[Path, str] | None:
            from voxplain.errors import remarks

            mine = {p.name: values.pop(p.name) for p in own}
            with remarks() as said:
                listing = read(**mine)
            for remark in said:
                make_console().print(remark, highlight=False, soft_wrap=True)
            return _make(listing, **values)

        command.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in given}
        app.command(read.__name__, help=read.__doc__)(command)

    return register


@_source()
def table(
    path: Annotated[Path, typer.Argument(help="With columns participant_id, image, \\[mask].")],
    label: Label = "label",
    coding: Coding = None,
) -> Listing:
    """Read a cohort from a table with the path of each image."""
    from voxplain.cohort.find.sources import from_table

    return from_table(path, label, _coding(coding))


@_source()
def bids(
    folder: Annotated[Path, typer.Argument(help="BIDS dataset, or a derivative as of fMRIPrep.")],
    label: Label = "sex",
    coding: Coding = None,
    session: Session = None,
    space: Annotated[
        str | None, typer.Option(help="native, or a template's name; else the one there is.")
    ] = None,
    participants: Annotated[
        Path | None, typer.Option(help="Table, where it is not the dataset's participants.tsv.")
    ] = None,
    all_scans: AllScans = False,
) -> Listing:
    """Read a cohort from a BIDS dataset or derivative."""
    from voxplain.cohort.find.sources import from_bids

    return from_bids(folder, label, _coding(coding), session, space, participants, all_scans)


@_source(align="centre")
def freesurfer(
    folder: Annotated[Path, typer.Argument(help="Subjects folder of FreeSurfer or FastSurfer.")],
    participants: Participants,
    label: Label = "sex",
    coding: Coding = None,
    session: Session = None,
    all_scans: AllScans = False,
) -> Listing:
    """Read a cohort from a subjects folder, whose scans lie in no common space."""
    from voxplain.cohort.find.sources import from_freesurfer

    return from_freesurfer(folder, participants, label, _coding(coding), session, all_scans)


@_source(intensity="none")
def cat12(
    folder: Annotated[Path, typer.Argument(help="Output of CAT12, with mwp1*.nii.")],
    participants: Participants,
    label: Label = "sex",
    coding: Coding = None,
    session: Session = None,
    all_scans: AllScans = False,
) -> Listing:
    """Read a cohort from CAT12's grey matter maps."""
    from voxplain.cohort.find.sources import from_cat12

    return from_cat12(folder, participants, label, _coding(coding), session, all_scans)


@_source()
def hcp(
    folder: Annotated[Path, typer.Argument(help="Packages as downloaded, or extracted folders.")],
    participants: Participants,
    label: Label = "Gender",
    coding: Coding = None,
    image: Annotated[str, typer.Option(help="acpc keeps the size of the brain; mni warps it.")] = (
        "acpc"
    ),
    restricted: Annotated[
        Path | None, typer.Option(help="Restricted table, for the families.")
    ] = None,
) -> Listing:
    """Read the Human Connectome Project's young adults, without unpacking them."""
    from voxplain.cohort.find.sources import from_hcp

    return from_hcp(folder, participants, label, _coding(coding), image, restricted)


@_source(align="centre")
def ixi(
    folder: Annotated[Path, typer.Argument(help="IXI-T1, with IXI*-T1.nii.gz.")],
    participants: Annotated[Path, typer.Option(help="IXI.xls, or the same as .csv or .xlsx.")],
    masks: Annotated[
        Path | None, typer.Option(help="Folder with a brain mask of each scan, named like it.")
    ] = None,
) -> Listing:
    """Read IXI as it is downloaded, with sex as label."""
    from voxplain.cohort.find.sources import from_ixi

    return from_ixi(folder, participants, masks)


@_source(intensity="none")
def oasis(
    folder: Annotated[
        Path | None, typer.Argument(help="Where nilearn keeps its data; fetched when missing.")
    ] = None,
    label: Label = "mf",
    coding: Coding = None,
    subjects: Annotated[int | None, typer.Option(help="How many; all by default.")] = None,
) -> Listing:
    """Read OASIS-1's grey matter maps, as nilearn fetches them."""
    from voxplain.cohort.find.sources import from_oasis

    return from_oasis(folder, label, _coding(coding), subjects)


@_source()
def openbhb(
    folder: Annotated[Path, typer.Argument(help="Folders of OpenBHB, with sub-*_T1w.npy.")],
    label: Label = "sex",
    coding: Coding = None,
    kind: Annotated[str, typer.Option(help="quasiraw, or cat12vbm.")] = "quasiraw",
    participants: Annotated[
        Path | None, typer.Option(help="Table, where it is not the folder's participants.tsv.")
    ] = None,
) -> Listing:
    """Read a cohort from OpenBHB."""
    from voxplain.cohort.find.sources import from_openbhb

    return from_openbhb(folder, label, _coding(coding), kind, participants)


@app.command()
def check(study: Annotated[Path, typer.Argument(help="Folder of the study.")]) -> None:
    """Read every volume of a study's cohort again, and compare it with its checksum."""
    from voxplain.pipeline.cohort.run import check_cohort

    make_console().print(check_cohort(study), highlight=False, soft_wrap=True)


def _coding(text: str | None) -> dict[str, str] | None:
    from voxplain.cohort.find.labels import parse_coding

    return None if text is None else parse_coding(text)
