"""``voxplain group``: the maps of a study, tested over its subjects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

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
    atlas: Annotated[str, typer.Option(help="AAL, AAL3, HCPEx, IMAGE,NAMES, or none.")] = "AAL",
    null: Annotated[
        str,
        typer.Option(
            help="permutation: of subjects; labels or untrained: networks that learnt nothing, "
            "see --null-study."
        ),
    ] = "permutation",
    null_study: Annotated[
        list[Path] | None,
        typer.Option(help="Study of the same scans for --null; repeat it, 19 times or more."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same p.")] = 0,
) -> None:
    """Test the maps of a study over its subjects, with p corrected for all voxels."""
    from voxplain.group.permutation import TestOptions
    from voxplain.pipeline.group.options import GroupOptions
    from voxplain.pipeline.group.run import RECORD, group_study

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
        atlas,
        null,
        tuple(null_study or ()),
        test,
    )
    found = group_study(options, make_progress(console))
    for start, one in found.items():
        for line in _lines(one):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(f"Written: {study / start}_*", highlight=False, soft_wrap=True)
    console.print(f"Written: {study / RECORD}", highlight=False, soft_wrap=True)


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
    said = [
        f"{one['label']} for {one['target']}, {one['effect']}: {one['scans']} scans, "
        f"{one['voxels']} voxels, {one['df']} degrees of freedom; {null}.",
        f"Blocks: {one['blocks']}.",
    ]
    for name, found in one["found"].items():
        said.append(
            f"{name}: smallest corrected p {found['smallest_p']:.4g}; {found['voxels_05']} voxels "
            f"below .05, {found['positive_05']} of them with a positive t."
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
    return said
