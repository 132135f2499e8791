"""``voxplain report``: all that a study holds, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxplain.console import make_console, make_progress

__all__ = ["report"]


def report(
    study: Annotated[Path, typer.Argument(help="Study, whatever was run on it so far.")],
    network: Annotated[
        str | None, typer.Option(help="Whose maps, where there are those of several.")
    ] = None,
    atlas: Annotated[str, typer.Option(help="AAL, AAL3, HCPEx, or none.")] = "AAL",
    subjects: Annotated[
        int, typer.Option(help="Scans whose maps are in the page, those to look at first.")
    ] = 8,
    everyone: Annotated[
        bool,
        typer.Option("--everyone", help="Write the maps of all others into a folder beside it."),
    ] = False,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="Leave out the figures for a paper.")
    ] = False,
    anonymise: Annotated[
        bool,
        typer.Option(
            "--anonymise",
            help="Replace labels of participants, and write into STUDY/anonymous, to be shared.",
        ),
    ] = False,
) -> None:
    """Put everything that a study holds on one page, report.html."""
    from voxplain.pipeline.report.options import ReportOptions
    from voxplain.pipeline.report.run import write_report

    console = make_console()
    options = ReportOptions(study, network, atlas, subjects, everyone, not no_figures, anonymise)
    done = write_report(options, make_progress(console))
    if done.missing:
        told = ", ".join(done.missing)
        console.print(f"Not run yet: {told}.", highlight=False, markup=False, soft_wrap=True)
    if done.figures:
        console.print(
            f"{done.figures} figures for a paper: {done.page.parent / 'figures'}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"Written: {done.page} ({done.megabytes:.1f} MB)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if anonymise:
        from voxplain.pipeline.report.anonymous import KEY

        console.print(
            f"Who is who stands in {study / KEY}; keep it to yourself.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
