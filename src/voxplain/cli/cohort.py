"""``voxplain cohort``: one command for each way in which brains are kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from voxplain.console import make_progress

if TYPE_CHECKING:
    from voxplain.cohort.listing import Listing

__all__ = ["app"]

app = typer.Typer(
    name="cohort",
    help="Bring brains onto one grid, in a store that training and explanation read at full speed.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[Path, typer.Option(help="Folder of the study; made when missing.")]
Label = Annotated[str, typer.Option(help="Column of the table that holds the classes.")]
Coding = Annotated[
    str | None, typer.Option(help="What the values of the label mean: 1=male,2=female.")
]
Preset = Annotated[str, typer.Option(help="kan2020, mni-2mm or mni-1mm.")]
Intensity = Annotated[
    str | None, typer.Option(help="percentile, zscore, histogram or none; else the preset's.")
]
Align = Annotated[
    str | None, typer.Option(help="affine, or centre for scans not in ACPC or MNI coordinates.")
]
Bias = Annotated[bool, typer.Option("--bias-field", help="Correct the bias field with N4.")]
Match = Annotated[
    str | None, typer.Option(help="size: keep pairs of both classes of one brain size.")
]
Workers = Annotated[int, typer.Option(help="Processes; 0 takes one for each processor.")]
Participants = Annotated[Path, typer.Option(help="Table of the participants: .tsv, .csv, .xlsx.")]


@app.command()
def table(
    path: Annotated[Path, typer.Argument(help="With columns participant_id, image, [mask].")],
    out: Out,
    label: Label = "label",
    coding: Coding = None,
    preset: Preset = "kan2020",
    intensity: Intensity = None,
    align: Align = None,
    bias_field: Bias = False,
    match: Match = None,
    workers: Workers = 0,
) -> None:
    """Read a cohort from a table with the path of each image."""
    from voxplain.cohort.sources import from_table

    listing = from_table(path, label, _coding(coding))
    _make(listing, out, preset, intensity, align, bias_field, match, workers)


@app.command()
def bids(
    folder: Annotated[Path, typer.Argument(help="BIDS dataset, or a derivative as of fMRIPrep.")],
    out: Out,
    label: Label = "sex",
    coding: Coding = None,
    session: Annotated[
        str | None, typer.Option(help="Label of the session; else each participant's first.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="native, or a template's name; else the one there is.")
    ] = None,
    participants: Annotated[
        Path | None, typer.Option(help="Table, where it is not the dataset's participants.tsv.")
    ] = None,
    preset: Preset = "kan2020",
    intensity: Intensity = None,
    align: Align = None,
    bias_field: Bias = False,
    match: Match = None,
    workers: Workers = 0,
) -> None:
    """Read a cohort from a BIDS dataset or derivative."""
    from voxplain.cohort.sources import from_bids

    listing = from_bids(folder, label, _coding(coding), session, space, participants)
    _make(listing, out, preset, intensity, align, bias_field, match, workers)


@app.command()
def freesurfer(
    folder: Annotated[Path, typer.Argument(help="Subjects folder of FreeSurfer or FastSurfer.")],
    out: Out,
    participants: Participants,
    label: Label = "sex",
    coding: Coding = None,
    preset: Preset = "kan2020",
    intensity: Intensity = None,
    align: Align = "centre",
    bias_field: Bias = False,
    match: Match = None,
    workers: Workers = 0,
) -> None:
    """Read a cohort from a subjects folder; its scans lie in no common space, so centre them."""
    from voxplain.cohort.sources import from_freesurfer

    listing = from_freesurfer(folder, participants, label, _coding(coding))
    _make(listing, out, preset, intensity, align, bias_field, match, workers)


@app.command()
def hcp(
    folder: Annotated[Path, typer.Argument(help="Packages as downloaded, or extracted folders.")],
    out: Out,
    participants: Participants,
    label: Label = "Gender",
    coding: Coding = None,
    image: Annotated[str, typer.Option(help="acpc keeps the size of the brain; mni warps it.")] = (
        "acpc"
    ),
    restricted: Annotated[
        Path | None, typer.Option(help="Restricted table, for the families.")
    ] = None,
    preset: Preset = "kan2020",
    intensity: Intensity = None,
    align: Align = None,
    bias_field: Bias = False,
    match: Match = None,
    workers: Workers = 0,
) -> None:
    """Read the Human Connectome Project's young adults, without unpacking them."""
    from voxplain.cohort.sources import from_hcp

    listing = from_hcp(folder, participants, label, _coding(coding), image, restricted)
    _make(listing, out, preset, intensity, align, bias_field, match, workers)


@app.command()
def check(study: Annotated[Path, typer.Argument(help="Folder of the study.")]) -> None:
    """Read every volume of a study's cohort again, and compare it with its checksum."""
    from voxplain.pipeline.cohort import check_cohort

    Console().print(check_cohort(study), highlight=False, soft_wrap=True)


def _coding(text: str | None) -> dict[str, str] | None:
    from voxplain.cohort.labels import parse_coding

    return None if text is None else parse_coding(text)


def _make(
    listing: Listing,
    out: Path,
    preset: str,
    intensity: str | None,
    align: str | None,
    bias_field: bool,
    match: str | None,
    workers: int,
) -> None:
    from voxplain.cohort import PRESETS
    from voxplain.errors import InputError, unknown_name
    from voxplain.pipeline.cohort import CohortOptions, make_cohort

    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    if match not in (None, "size"):
        raise InputError(f"--match takes only size; {match!r} was given.")
    recipe = replace(
        PRESETS[preset],
        intensity=intensity or PRESETS[preset].intensity,
        align=align or PRESETS[preset].align,
        bias_field=bias_field,
    )
    console = Console()
    options = CohortOptions(
        out=out,
        recipe=recipe,
        workers=workers or len(os.sched_getaffinity(0)),
        match_size=match == "size",
    )
    result = make_cohort(listing, options, make_progress(console))
    _tell(console, result)
    for name in ("cohort.json", "report.html"):
        console.print(f"Written: {out / name}", highlight=False, soft_wrap=True)


def _tell(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    classes = ", ".join(f"{n} {name}" for name, n in result["classes"].items())
    console.print(f"{result['subjects']} participants: {classes}.", highlight=False)
    if result["excluded"]:
        reasons = "; ".join(f"{n} × {reason}" for reason, n in result["excluded"].items())
        console.print(f"Left out, see exclusions.tsv: {reasons}.", highlight=False, soft_wrap=True)
    if result["outliers"]:
        console.print(
            f"Scans that stand out, see report.html: {', '.join(result['outliers'])}.",
            highlight=False,
            soft_wrap=True,
        )
    if not result["balance"]:
        return
    shown = Table(title="What tells the classes apart without a network")
    for name in ("column", "AUC", "95 % interval", *result["classes"]):
        shown.add_column(name, justify="left" if name == "column" else "right")
    for one in result["balance"]:
        low, high = one["interval"]
        shown.add_row(
            one["name"], f"{one['auc']:.3f}", f"{low:.2f} to {high:.2f}", *one["by_class"].values()
        )
    console.print(shown)
    for warning in result["warnings"]:
        console.print(f"• {warning}", highlight=False, soft_wrap=True)
