"""``voxplain export``: maps as NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxplain.console import make_console, make_progress

__all__ = ["export"]


def export(
    study: Annotated[Path, typer.Argument(help="Study that 'voxplain explain' has made maps of.")],
    method: Annotated[
        list[str] | None, typer.Option(help="Of these maps; may be repeated. All by default.")
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Label of a scan or a participant; may be repeated. All by default."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Whose maps, where there are those of several.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files; by default STUDY/maps, where they count."),
    ] = None,
    grid: Annotated[
        str, typer.Option(help="network, or input: on each scan's own, in STUDY/input_grid.")
    ] = "network",
) -> None:
    """Write maps that lie in stores as NIfTI files with sidecars."""
    from voxplain.pipeline.export import ExportOptions, export_maps

    console = make_console()
    asked = ExportOptions(study, tuple(method or ()), tuple(subject or ()), network, out, grid)
    done = export_maps(asked, make_progress(console))
    there = f", {done.there} were there already" * bool(done.there)
    console.print(
        f"{done.written} map{'s' * (done.written != 1)} written{there}: {done.folder}",
        highlight=False,
        soft_wrap=True,
    )
