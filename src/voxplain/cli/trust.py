"""``voxplain trust``: whether the maps of a study may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from voxplain.cli.modules import importable_here
from voxplain.console import make_console, make_progress
from voxplain.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from voxplain.results.trust import Finding, TrustResult

__all__ = ["trust"]

_STYLES = {
    "believe": "green",
    "believe with care": "yellow",
    "do not believe": "red",
    "not tested": "dim",
}


def trust(
    study: Annotated[Path, typer.Argument(help="Study that was fitted and explained.")],
    network: Annotated[
        str | None, typer.Option(help="Whose maps; by default the one explained last.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="May be repeated; by default all that have maps.")
    ] = None,
    budget: Annotated[
        str,
        typer.Option(help="Time for tests: 10m, 1h, night, or such as 30m."),
    ] = "10m",
    rules: Annotated[
        Path | None,
        typer.Option(help="TOML or JSON with other thresholds or weights for some tests."),
    ] = None,
    power: Annotated[
        str | None,
        typer.Option(help="Numbers of scans, commas between: how many are needed to believe."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Measure all anew; else what is there is kept.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same figures.")] = 0,
) -> None:
    """Say for each method whether its maps may be believed, and why.

    Exit code 0 where all may be believed, 3 where one may not, 4 where one was not tested.
    """
    from voxplain.pipeline.trust.opening import TrustOptions
    from voxplain.pipeline.trust.run import run_trust

    options = TrustOptions(
        study=study,
        network=network,
        methods=tuple(dict.fromkeys(method or ())),
        budget=budget,
        rules=rules,
        power=_counts(power),
        seed=seed,
        device=device,
        replace=replace,
    )
    console = make_console()
    with importable_here():
        result = run_trust(options, make_progress(console))
    _tell(console, result)
    for name in ("trust.html", "trust.json"):
        console.print(f"Written: {study / name}", highlight=False, soft_wrap=True)
    raise typer.Exit(result.exit_code)


def _counts(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in (text or "").split(",") if part.strip())
    except ValueError:
        raise InputError(
            f"--power takes numbers of scans with commas between, such as 50,100; {text!r} was "
            "given."
        ) from None


def _tell(console: Console, result: TrustResult) -> None:
    from rich.table import Table

    console.print(result.first, style="bold", highlight=False, markup=False, soft_wrap=True)
    table = Table(title=f"Rules, edition {result.edition}", show_lines=False)
    for name in ("method", "test", "outcome", "figure", "chance", "rule"):
        table.add_column(name, overflow="fold", no_wrap=name in ("figure", "chance", "rule"))
    _rows(table, result.study, "the study")
    for one in result.methods:
        table.add_section()
        table.add_row(one.label, "", f"[{_STYLES[one.call]}]{one.call}[/]", "", "", "")
        _rows(table, one.findings, "")
    console.print(table)
    for aside in result.asides:
        console.print(f"• {aside.words}", highlight=False, markup=False, soft_wrap=True)
    for one in result.methods:
        console.print(f"• {one.sentence}", highlight=False, markup=False, soft_wrap=True)


def _rows(table: Table, findings: Sequence[Finding], who: str) -> None:
    """Add what was failed, and name what was not tested."""
    from voxplain.report.words.trust import figure, rule_text

    for one in findings:
        if one.outcome == "fail":
            cells = figure(one.measurement.value), figure(one.measurement.chance), rule_text(one)
            table.add_row(who, one.rule.test, one.outcome, *cells)
    if left := [one.rule.test for one in findings if one.outcome == "not tested"]:
        table.add_row(who, ", ".join(left), "not tested", "", "", "")
