"""``voxplain group``: the maps of a study, tested over its subjects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

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

__all__ = ["group"]


def group(
    study: Annotated[Path, typer.Argument(help="Study that 'voxplain explain' wrote maps into.")],
    model: Annotated[
        str,
        typer.Option(
            help="Columns with + between: class, age, C(wave), fold, correct, logit; 1 is the "
            "mean, and the default of one class alone, else class."
        ),
    ] = "",
    contrast: Annotated[
        str | None,
        typer.Option(help="A term of the model, or two levels: 'case > control'. First term."),
    ] = None,
    blocks: Annotated[
        str,
        typer.Option(
            help="Who may change places: auto, none, or columns: 'site, family, twin'; "
            "family:whole, family:within."
        ),
    ] = "auto",
    method: Annotated[
        list[str] | None, typer.Option(help="Whose maps; may be repeated. All that there are.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="For which target, where scans have maps of several.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Of which network, where there are several.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Scans to take: column=value, such as class=case.")
    ] = None,
    statistic: Annotated[
        list[str] | None,
        typer.Option(help="voxel, size, mass, tfce; may be repeated. voxel, mass and tfce."),
    ] = None,
    permutations: Annotated[
        int | None, typer.Option(help="Arrangements to draw: 5000, or 500 with --fast.")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Few arrangements and a Gamma tail.")
    ] = False,
    fwhm: Annotated[float, typer.Option(help="Smoothing of each map, mm.")] = 0.0,
    cluster_p: Annotated[
        float, typer.Option(help="Uncorrected p beyond which voxels form clusters.")
    ] = 0.001,
    atlas: Annotated[
        list[str] | None,
        typer.Option(
            help="AAL, AAL3, HCPEx, one of nilearn's, IMAGE,NAMES, or none; may be repeated, the "
            "first names peaks. AAL."
        ),
    ] = None,
    move_atlas: Annotated[
        bool, typer.Option("--move-atlas", help="Move atlases to where they fit the scans best.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Tables of regions as LaTeX too.")] = False,
    table: Annotated[
        Path | None,
        typer.Option(help="Design table: participant_id, and columns for --model to name."),
    ] = None,
    null: Annotated[
        str,
        typer.Option(
            help="permutation: of subjects; labels: networks of 'voxplain fit --permuted-labels'; "
            "untrained: networks as they were before training."
        ),
    ] = "permutation",
    null_study: Annotated[
        list[Path] | None,
        typer.Option(
            help="Study of the same scans for --null, instead of the study's own networks; repeat "
            "it, 19 times or more."
        ),
    ] = None,
    null_networks: Annotated[
        int, typer.Option(help="How many untrained networks explain the scans.")
    ] = 19,
    transform: Annotated[
        str | None,
        typer.Option(
            help="ITK or FSL file that brings maps of other grids to the study's; {subject} in it "
            "stands for the scan."
        ),
    ] = None,
    fold_means: Annotated[
        bool,
        typer.Option("--fold-means", help="Test over networks: means of each fold and class."),
    ] = False,
    conjunction: Annotated[
        bool, typer.Option("--conjunction", help="Also where all methods find an effect.")
    ] = False,
    means_only: Annotated[
        bool, typer.Option("--means-only", help="Means per class, correctness, fold; no test.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same p.")] = 0,
    device: Annotated[
        str,
        typer.Option(help="Of the null of single voxels, and of null networks: cpu, cuda, auto."),
    ] = "cpu",
    shard: ShardOption = None,
    manifest: ManifestOption = None,
    workers: WorkersOption = None,
    dask: DaskOption = None,
) -> tuple[Path, str] | None:
    """Test the maps of a study over its subjects, with p corrected for all voxels."""
    from voxplain.group.permutation import TestOptions
    from voxplain.pipeline.group.on_workers import group_on_workers
    from voxplain.pipeline.group.options import GroupOptions
    from voxplain.pipeline.group.parts import group_part
    from voxplain.pipeline.group.run import RECORD, group_study

    part, helpers = read_shard(shard, manifest), read_workers(workers, dask, shard)
    console = make_console()
    chosen = tuple(dict.fromkeys(statistic or ("voxel", "mass", "tfce")))
    test = TestOptions(
        ("voxel",) if null_study and not statistic else chosen,
        (500 if fast else 5000) if permutations is None else permutations,
        cluster_p,
        fast,
        seed=seed,
        threads=os.cpu_count() or 1,
    )
    options = GroupOptions(
        study,
        model,
        contrast,
        blocks,
        tuple(dict.fromkeys(method or ())),
        target,
        network,
        only,
        fwhm,
        tuple(dict.fromkeys(atlas or ("AAL",))),
        null,
        tuple(null_study or ()),
        test,
        device,
        null_networks,
        transform,
        fold_means,
        conjunction,
        means_only,
        move_atlas,
        latex,
        table,
    )
    with importable_here():
        if part:
            run = group_part(options, part, make_progress(console), manifest)
            tell_part(run, part, study, console)
            return study, run
        progress = make_progress(console)
        found = (
            group_on_workers(options, helpers, progress)
            if helpers
            else group_study(options, progress)
        )
    for start, one in found.tests.items():
        for line in _lines(one):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(f"Written: {study / start}_*", highlight=False, soft_wrap=True)
    for start, one in found.conjunctions.items():
        for line in _agreed(one):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(f"Written: {study / start}_*", highlight=False, soft_wrap=True)
    for label, counts in found.means.items():
        told = "; ".join(
            f"{factor} {', '.join(f'{level} {count}' for level, count in levels.items())}"
            for factor, levels in counts.items()
            if factor != "all"
        )
        console.print(
            f"Means of {label}: {counts['all']['all']} scans{f' ({told})' if told else ''}.",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    if found.tests:
        console.print(f"Written: {study / RECORD}", highlight=False, soft_wrap=True)
    return None


def _agreed(one: dict[str, Any]) -> list[str]:
    """Say where methods agree."""
    return [
        f"Conjunction of {' and '.join(one['methods'])}, {one['effect']}, {name}: smallest p "
        f"{found['smallest_p']:.4g}; {found['voxels_05']} voxels of .05 or less, "
        f"{found['positive_05']} of them with a positive t."
        for name, found in one["found"].items()
    ]


def _lines(one: dict[str, Any]) -> list[str]:
    """Say what a test found."""
    every = "all" if one["all_permutations"] else "of"
    of = f"{every} {one['arrangements_distinct']} different ones" if (
        len(one["arrangements_distinct"]) < 8
    ) else f"of more than 10^{len(one['arrangements_distinct']) - 1}"  # fmt: skip
    null = (
        f"{one['permutations']} arrangements, {of}"
        if one["null"] == "permutation"
        else f"{one['permutations']} studies whose networks learnt nothing"
    )
    rows = f" in {one['rows']} means of folds" * (one["rows"] != one["scans"])
    said = [
        f"{one['label']} for {one['target']}, {one['effect']}: {one['scans']} scans{rows}, "
        f"{one['voxels']} voxels, {one['df']} degrees of freedom; {null}.",
        f"Blocks: {one['blocks']}.",
        f"Asked: {one['question']}",
    ]
    for name, found in one["found"].items():
        said.append(
            f"{name}: smallest corrected p {found['smallest_p']:.4g}; {found['voxels_05']} voxels "
            f"of .05 or less, {found['positive_05']} of them with a positive t."
        )
    if one["null"] == "permutation":
        share = f"{100 * one['confidence']:.0f} %"
        said.append(f"At least {one['true_voxels']} voxels truly differ (confidence {share}).")
    for cluster in one["clusters"][:5]:
        p = ", ".join(f"{k[2:]} p = {v:.3g}" for k, v in cluster.items() if k.startswith("p_"))
        place = ", ".join(f"{cluster[axis]:g}" for axis in "xyz")
        said.append(
            f"Cluster {cluster['cluster']}: {cluster['voxels']} voxels, peak t "
            f"{cluster['peak_t']:.2f} at ({place}) mm, "
            f"{cluster['region']}; {p}; at least {cluster['true_voxels']} truly differ."
        )
    said += [
        f"Cluster {effect['name']}: effect {effect['effect']:.3g} "
        f"({effect['effect_low']:.3g} to {effect['effect_high']:.3g}){_shown(effect)}."
        for effect in one["effects"][1:6]
    ]
    return said


def _shown(effect: dict[str, Any]) -> str:
    if not effect["of"] or effect["of"] != effect["of"]:
        return ""
    low, high = (100 * effect[f"prevalence_{end}"] for end in ("low", "high"))
    return (
        f"; it shows in {effect['shown']:.0f} of {effect['of']:.0f}, in "
        f"{100 * effect['prevalence']:.0f} % ({low:.0f} to {high:.0f}) of all beyond chance"
    )
