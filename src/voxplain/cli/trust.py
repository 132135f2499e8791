"""``voxplain trust``: whether the maps of a study may be believed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

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
from voxplain.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from voxplain.pipeline.explain.options import ScanOptions
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
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Somebody's weights instead of the study's own; nothing is trained."),
    ] = None,
    class_names: Annotated[
        str | None, typer.Option(help="Of these weights, in the order of the outputs.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of their output, where it is a number, such as years.")
    ] = None,
    bins: Annotated[
        str | None, typer.Option(help="Of their outputs, where these are bins of it: 42:82.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Judge weights that are not at home on these scans.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same figures.")] = 0,
    shard: ShardOption = None,
    manifest: ManifestOption = None,
    workers: WorkersOption = None,
    dask: DaskOption = None,
) -> tuple[Path, str]:
    """Say for each method whether its maps may be believed, and why.

    Exit code 0 where all may be believed, 3 where one may not, 4 where one was not tested.
    """
    from voxplain.pipeline.shards.alone import alone
    from voxplain.pipeline.trust.on_workers import trust_on_workers
    from voxplain.pipeline.trust.opening import TrustOptions
    from voxplain.pipeline.trust.parts import trust_part
    from voxplain.pipeline.trust.run import run_trust
    from voxplain.pipeline.trust.weights.external import trust_weights

    part, helpers = read_shard(shard, manifest), read_workers(workers, dask, shard)
    console = make_console()
    options = TrustOptions(
        study=study,
        network=network,
        methods=tuple(dict.fromkeys(method or ())),
        budget=budget,
        rules=None if rules is None else _read_rules(rules),
        rules_name="" if rules is None else rules.name,
        power=_counts(power),
        seed=seed,
        device=device,
        replace=replace,
    )
    if weights:
        if part or helpers:
            raise InputError(
                "--shard, --workers and --dask share out the tests of a fitted study; --weights "
                "has few."
            )
        if power:
            raise InputError("--power trains networks, and --weights trains none; leave out one.")
        asked = _of_weights(network, weights, study, class_names, unit, bins)
        asked = replaced(asked, methods=options.methods, device=device, seed=seed)
        with importable_here(), alone(study):
            result = trust_weights(asked, options, make_progress(console), force)
    else:
        with importable_here():
            if part:
                run = trust_part(options, part, make_progress(console), manifest)
                tell_part(run, part, study, console)
                return study, run
            progress = make_progress(console)
            result = (
                trust_on_workers(options, helpers, progress)
                if helpers
                else run_trust(options, progress)
            )
    _tell(console, result)
    for ending in ("html", "json"):
        path = study / f"{'trust-weights' if weights else 'trust'}.{ending}"
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    raise typer.Exit(result.exit_code)


def _of_weights(
    network: str | None,
    weights: Sequence[Path],
    study: Path,
    class_names: str | None,
    unit: str | None,
    bins: str | None,
) -> ScanOptions:
    """Gather what is said of somebody's weights.

    Raises
    ------
    InputError
        If no network is named.
    """
    from voxplain.pipeline.explain.options import ScanOptions

    if network is None:
        raise InputError("--weights needs --network, the name of the network that they belong to.")
    names = tuple(part.strip() for part in class_names.split(",")) if class_names else None
    return ScanOptions(network, tuple(weights), (), study, class_names=names, unit=unit, bins=bins)


def _counts(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in (text or "").split(",") if part.strip())
    except ValueError:
        raise InputError(
            f"--power takes numbers of scans with commas between, such as 50,100; {text!r} was "
            "given."
        ) from None


def _tell(console: Console, result: TrustResult) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console.print(result.first, style="bold", highlight=False, markup=False, soft_wrap=True)
    table = Table(title=f"Rules, edition {result.edition}", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("what did not pass", overflow="fold")
    for name in ("", "figure", "chance", "rule"):
        table.add_column(name, no_wrap=True, justify="left" if name in ("", "rule") else "right")
    _rows(table, result.study)
    for one in result.methods:
        table.add_section()
        table.add_row(Text(f"{one.label}: {one.call}", style=_STYLES[one.call]))
        _rows(table, one.findings)
    console.print(table)
    for aside in result.asides:
        console.print(f"• {aside.words}", highlight=False, markup=False, soft_wrap=True)
    told = [f"All methods. {why}" for why in result.of_study]
    for line in (*told, *(one.apart for one in result.methods)):
        console.print(f"• {line}", highlight=False, markup=False, soft_wrap=True)


def _rows(table: Table, findings: Sequence[Finding]) -> None:
    """Add what was failed, and name what was not tested."""
    from voxplain.report.words.trust import figure, rule_text

    for one in findings:
        if one.outcome == "fail":
            cells = figure(one.measurement.value), figure(one.measurement.chance), rule_text(one)
            table.add_row(f"  {one.rule.test}", "failed", *cells)
    if left := [one.rule.test for one in findings if one.outcome == "not tested"]:
        table.add_row(f"  not tested: {', '.join(left)}")


def _read_rules(path: Path) -> Mapping[str, Any]:
    """Read a file of rules.

    Raises
    ------
    InputError
        If it is missing, or is neither TOML nor JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The rules in {path} cannot be read: {error}.") from error
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        given = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"The rules in {path} are not {kind}: {error}.") from error
    if not isinstance(given, dict):
        raise InputError(f"The rules in {path} must name tests; a list or a value was given.")
    return given
