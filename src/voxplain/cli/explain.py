"""``voxplain explain``: maps of scans, or of all that a study holds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxplain.cli.options.modules import importable_here
from voxplain.cli.options.shards import (
    DaskOption,
    ManifestOption,
    ShardOption,
    WorkersOption,
    read_shard,
    read_workers,
    tell_part,
)
from voxplain.console import make_console, make_progress
from voxplain.errors import InputError, VoxplainWarning

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from voxplain.results.judgement import JudgedMap, StudyExplained

__all__ = ["explain"]

# What fits into a terminal of 80 columns.
_JUDGED = ("maps", "AP", "95 % of random maps below", "ceiling", "edge filter", "t-map, all scans")


def explain(
    network: Annotated[str, typer.Option(help="mrinet, or package.module:function.")],
    study: Annotated[
        Path | None,
        typer.Argument(
            help="Study that 'voxplain fit' has trained on: each scan by the network that held it "
            "out. Scans of your own need none, but --weights, --image and --out."
        ),
    ] = None,
    study_option: Annotated[
        Path | None, typer.Option("--study", help="Former spelling of STUDY.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="State dict: .safetensors, .pt, .pth; repeat it for a mean of networks."),
    ] = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="T1w scan, NIfTI or MGZ; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; made when missing.")
    ] = None,
    mask: Annotated[list[Path] | None, typer.Option(help="Brain mask of each --image.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="How scans are prepared: kan2020, mni-2mm or mni-1mm."),
    ] = None,
    align: Annotated[
        str, typer.Option(help="affine, or centre for scans not in ACPC or MNI coordinates.")
    ] = "affine",
    orientation: Annotated[
        str | None, typer.Option(help="sform or qform, where a scan has two that contradict.")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Grid of the maps: input, the scan's own, or network. Of a study the network's, "
            "with input also the scan's."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="See 'voxplain methods'; may be repeated. By default recommended; of a study "
            "pattern as well, whose mean map is the group's."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option(help="predicted, a class index or name; of a study also own, its label.")
    ] = "predicted",
    layer: Annotated[str, typer.Option(help="Dotted name, for Grad-CAM; auto takes the last.")] = (
        "auto"
    ),
    option: Annotated[
        list[str] | None,
        typer.Option(help="method:name=value, such as region-shapley:regions=AAL."),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(help="Comma-separated, in the order of the outputs; two for a single logit."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of the network's outputs; found by itself.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="auto, classification, or regression: the output is a number.")
    ] = "auto",
    unit: Annotated[
        str | None, typer.Option(help="Unit of the number that the network gives, such as years.")
    ] = None,
    bins: Annotated[
        str | None,
        typer.Option(help="Outputs are bins of the number: edges of all (42:82), or each's value."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, or exact for the network as given.")] = (
        "auto"
    ),
    seed: Annotated[int, typer.Option(help="Same seed, same maps.")] = 0,
    sample: Annotated[
        int | None, typer.Option(help="Of a study, explain so many scans, drawn from each class.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Of a study, mean maps over a network of each of so many repeats.")
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Explain scans whose predictions cannot be meant.")
    ] = False,
    atlas: Annotated[
        list[str] | None,
        typer.Option(
            help="Sum maps up by regions, of a study mean maps: AAL, AAL3, HCPEx, one of nilearn's "
            "(Schaefer-400), IMAGE,NAMES, or own, the segmentation beside each scan; may be "
            "repeated."
        ),
    ] = None,
    move_atlas: Annotated[
        bool, typer.Option("--move-atlas", help="Move atlases to where they fit the brains best.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Tables of regions as LaTeX too.")] = False,
    maps: Annotated[
        str | None,
        typer.Option(
            help="Of a study: nifti, a file for each map, or store, the maps of 200 scans in one; "
            "store from 200 scans on. 'voxplain export' brings NIfTI out."
        ),
    ] = None,
    shard: ShardOption = None,
    manifest: ManifestOption = None,
    workers: WorkersOption = None,
    dask: DaskOption = None,
) -> tuple[Path, str] | None:
    """Explain what a network makes of real scans."""
    from voxplain.attribution.methods import DEFAULT_METHOD
    from voxplain.pipeline.explain.options import ScanOptions
    from voxplain.pipeline.explain.scans.run import explain_scans
    from voxplain.pipeline.explain.study.in_parts import explain_on_workers, explain_part
    from voxplain.pipeline.explain.study.run import explain_study

    _one_of("--align", align, ("affine", "centre"))
    _one_of("--grid", grid or "input", ("input", "network"))
    study = _study(study, study_option)
    alone = {"--weights": weights, "--image": image, "--out": out}
    placed = (mask, preset, align != "affine", orientation)
    of_scans = (*placed, class_names, classes, bins, task != "auto")
    if study and any((*alone.values(), *of_scans)):
        raise InputError(
            "A study has its own weights, images, masks, preset, task and classes; give "
            "STUDY without options of them."
        )
    if not study and not all(alone.values()):
        missing = ", ".join(name for name, value in alone.items() if not value)
        raise InputError(
            f"Scans need --weights, --image and --out; missing: {missing}. To explain a study "
            "that was fitted, give its folder: voxplain explain STUDY."
        )
    if maps and not study:
        raise InputError("--maps is for a study; maps of single scans are files of their own.")
    if sample is not None and not study:
        raise InputError("--sample draws scans of a study; of single scans, give those you want.")
    if repeats != 1 and not study:
        raise InputError("--repeats is for a study; of single scans, give several --weights.")
    if (shard or manifest) and not (study and shard):
        raise InputError("--shard makes a part of a study, and --manifest belongs to it; give all.")
    part, helpers = read_shard(shard, manifest), read_workers(workers, dask, shard)
    if helpers and not study:
        raise InputError("--workers and --dask are for a study; single scans are explained here.")
    console = make_console()
    options = ScanOptions(
        network=network,
        weights=tuple(weights or ()),
        images=tuple(image or ()),
        out=study or out or Path(),
        masks=tuple(mask or ()),
        preset=preset,
        align=align,
        orientation=orientation,
        grid=grid,
        methods=tuple(dict.fromkeys(method or ([] if study else [DEFAULT_METHOD]))),
        target=int(target) if target.lstrip("-").isdigit() else target,
        layer=layer,
        options=tuple(option or ()),
        class_names=tuple(n.strip() for n in class_names.split(",")) if class_names else None,
        classes=classes,
        task=task,
        unit=unit,
        bins=bins,
        device=device,
        precision=precision,
        seed=seed,
        sample=sample,
        force=force,
        atlases=tuple(dict.fromkeys(atlas or ())),
        latex=latex,
        move_atlas=move_atlas,
        maps=maps,
        repeats=repeats,
    )
    with importable_here():
        if part:
            run = explain_part(options, part, make_progress(console), manifest)
            tell_part(run, part, options.out, console)
            return options.out, run
        if study:
            progress = make_progress(console)
            made = (
                explain_on_workers(options, helpers, progress)
                if helpers
                else explain_study(options, progress)
            )
            _tell_groups(made, study, console)
        else:
            _tell_scans(explain_scans(options, make_progress(console)), options.out, console)
    console.print(f"Written: {options.out / 'explain.json'}", highlight=False, soft_wrap=True)
    return None


def _study(study: Path | None, former: Path | None) -> Path | None:
    """Read the study, which was an option once."""
    if former is None:
        return study
    if study is not None:
        raise InputError(
            f"The study was given twice, as {study} and as --study {former}; leave out --study."
        )
    warnings.warn(
        f"--study is the former spelling and will go; write: voxplain explain {former}.",
        VoxplainWarning,
        stacklevel=2,
    )
    return former


def _tell_groups(made: StudyExplained, study: Path, console: Console) -> None:
    for told in (one for maps in made.record["group"].values() for one in maps):
        console.print(str(study / told["map"]), highlight=False, soft_wrap=True)
        _tell_regions(told, study, console)
        if "average_precision" in told:
            console.print(
                f"  average precision against the truth {told['average_precision']:.3f}; "
                f"chance {told['chance_ap']:.3f}, 95 % of random maps below "
                f"{told['chance_ap_95']:.3f}",
                highlight=False,
                soft_wrap=True,
            )
    if made.judged:
        console.print(_judged_table(made.judged))
        console.print(f"Written: {study / 'explain.html'}", highlight=False, soft_wrap=True)


def _judged_table(judged: Sequence[JudgedMap]) -> Table:
    from rich.table import Table

    from voxplain.report.words.judgement import JUDGED_COLUMNS, judged_rows
    from voxplain.report.words.numbers import cell

    table = Table(title="Average precision against the truth; the page has more")
    for name in _JUDGED:
        table.add_column(name, overflow="fold", justify="left" if name == "maps" else "right")
    for row in judged_rows(judged):
        values = dict(zip(JUDGED_COLUMNS, row, strict=True))
        table.add_row(*(cell(values[name]) for name in _JUDGED))
    return table


def _tell_scans(result: Mapping[str, Any], out: Path, console: Console) -> None:
    for scan in result["scans"]:
        for files in scan["maps"].values():
            console.print(str(out / files["map"]), highlight=False, soft_wrap=True)
            _tell_regions(files, out, console)


def _tell_regions(told: Mapping[str, Any], folder: Path, console: Console) -> None:
    for table in told.get("regions", ()):
        console.print(str(folder / table["table"]), highlight=False, soft_wrap=True)
        for whose, names in table["best"].items():
            said = f"  densest of {table['atlas']}, {whose}: {', '.join(names)}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)


def _one_of(option: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise InputError(f"{option} must be {' or '.join(allowed)}; {given!r} was given.")
