"""``voxplain plan``: what a run will take, before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxplain.cli.options.modules import importable_here
from voxplain.console import make_console, make_progress
from voxplain.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from voxplain.pipeline.shards.plan import Plan

__all__ = ["plan"]


def plan(
    study: Annotated[Path, typer.Argument(help="Study that 'voxplain fit' has trained on.")],
    network: Annotated[str, typer.Option(help="mrinet, or package.module:function.")],
    method: Annotated[
        list[str] | None, typer.Option(help="As for 'voxplain explain'; may be repeated.")
    ] = None,
    target: Annotated[str, typer.Option(help="As for 'voxplain explain'.")] = "predicted",
    layer: Annotated[str, typer.Option(help="As for 'voxplain explain'.")] = "auto",
    option: Annotated[list[str] | None, typer.Option(help="method:name=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto or exact.")] = "auto",
    seed: Annotated[int, typer.Option(help="As for 'voxplain explain'.")] = 0,
    sample: Annotated[int | None, typer.Option(help="Of so many scans.")] = None,
    repeats: Annotated[int, typer.Option(help="As for 'voxplain explain'.")] = 1,
    machines: Annotated[
        list[int] | None,
        typer.Option(help="Machines like this one, or parts at once; may be repeated."),
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="On a GPU that is not here: h100, as it was measured.")
    ] = None,
) -> None:
    """Tell passes, time, memory and disk of 'voxplain explain STUDY' from a short measurement."""
    from voxplain.pipeline.explain.options import ScanOptions
    from voxplain.pipeline.explain.study.plan import plan_study

    if any(count < 1 for count in machines or ()):
        raise InputError("--machines must be 1 or more.")
    console = make_console()
    options = ScanOptions(
        network=network,
        weights=(),
        images=(),
        out=study,
        methods=tuple(dict.fromkeys(method or ())),
        target=int(target) if target.lstrip("-").isdigit() else target,
        layer=layer,
        options=tuple(option or ()),
        device=device,
        precision=precision,
        seed=seed,
        sample=sample,
        repeats=repeats,
    )
    with importable_here():
        found = plan_study(options, make_progress(console), gpu)
    console.print(_table(found))
    lines = _lines(found, sorted({1, *(machines or (2, 4, 8))}))
    if gpu:
        lines.append(
            "Computing is what it takes here, times what the paper's network takes on that GPU "
            "(benchmarks/results-cuda.json) and here; reading, writing and what comes once are as "
            "here, and the GPU's own memory is not known."
        )
    for line in lines:
        console.print(line, soft_wrap=True)


def _table(plan: Plan) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from voxplain.report.words.numbers import duration

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("method", "passes per scan", "maps", "each", "together"):
        table.add_column(
            column, justify="left" if column in ("method", "passes per scan") else "right"
        )
    for one in plan.methods:
        table.add_row(
            one.label,
            one.passes,
            str(sum(plan.folds)),
            f"{one.map_seconds:.3g} s",
            duration(plan.method_seconds(one)),
        )
    return table


def _lines(plan: Plan, machines: list[int]) -> list[str]:
    from voxplain.report.words.numbers import duration

    slowest = max(plan.methods, key=plan.method_seconds)
    memory = f"{_size(plan.memory_bytes)} of memory"
    if plan.device_bytes:
        memory += f", {_size(plan.device_bytes)} of the GPU's"
    times = [
        f"{count} machine{'s' * (count > 1)}: {duration(plan.seconds(count))}" for count in machines
    ]
    most = f" (more than {plan.parts} have nothing to do)" * (max(machines) > plan.parts)
    return [
        f"On {plan.device}, {'; '.join(times)}{most}.",
        f"Slowest: {slowest.label}. Each process needs {memory}; {plan.maps} maps take "
        f"{_size(plan.disk_bytes)} in {plan.files} file{'s' * (plan.files > 1)}.",
        "Judging against a truth, and tables of regions, are not counted.",
    ]


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
