"""``voxplain features``: what the first layer makes of two classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxplain.cli.options.modules import importable_here
from voxplain.console import make_console, make_progress

__all__ = ["features"]


def features(
    study: Annotated[Path, typer.Argument(help="Study that 'voxplain fit' has trained on.")],
    network: Annotated[str, typer.Option(help="mrinet or another name.")] = "mrinet",
    layer: Annotated[str, typer.Option(help="Dotted name; auto takes the first block.")] = "auto",
    fold: Annotated[
        int, typer.Option(help="Use this fold's network and held-out scans; 0 for all.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Compare the feature maps of a layer between two classes."""
    from voxplain.pipeline.features import FeatureOptions, compare_features

    console = make_console()
    options = FeatureOptions(study, network, layer, fold, device)
    with importable_here():
        found = compare_features(options, make_progress(console))
    second = list(found["counts"])[1]
    for measure in ("mean", "entropy"):
        one = found[measure]
        console.print(
            f"{measure}: {one['differ']} of {one['maps']} feature maps of {found['layer']} differ "
            f"at q < .05 ({one['differ_uncorrected']} at p < .05), {one['higher_in_second']} of "
            f"them higher in {second}.",
            highlight=False,
            soft_wrap=True,
        )
    many = f"{found['n_scans']} of {found['participants']} participants, {found['scans']}"
    console.print(f"Scans: {many}.", highlight=False, soft_wrap=True)
    for name in ("features.html", "summary.json"):
        console.print(f"Written: {study / name}", highlight=False, soft_wrap=True)
