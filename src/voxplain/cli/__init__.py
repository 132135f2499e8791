"""The command line: parsing, progress and messages, and nothing else."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxplain import __version__
from voxplain.cli import cohort, submit
from voxplain.cli.explain import explain
from voxplain.cli.export import export
from voxplain.cli.features import features
from voxplain.cli.fit import fit
from voxplain.cli.group import group
from voxplain.cli.phantom import phantom
from voxplain.cli.plan import plan
from voxplain.cli.reclassify import reclassify
from voxplain.cli.report import report
from voxplain.cli.trust import trust
from voxplain.console import make_console, make_progress
from voxplain.errors import StoppedError, VoxplainError, VoxplainWarning

if TYPE_CHECKING:
    from rich.table import Table

    from voxplain.attribution import Method
    from voxplain.results.demo import DemoResult

__all__ = ["app", "guarded", "main"]

INTERRUPTED = 130
GO_ON = 75
"""Ended by a signal between two batches: to be run again (``EX_TEMPFAIL`` of sysexits)."""

app = typer.Typer(
    name="voxplain",
    help="Explain, voxel by voxel, what a 3D network saw in a brain MRI, and judge the answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(cohort.app)
app.add_typer(submit.app)
app.command()(phantom)
app.command()(fit)
app.command()(explain)
app.command()(group)
app.command()(reclassify)
app.command()(features)
app.command()(trust)
app.command()(report)
app.command()(export)
app.command()(plan)
app.command()(submit.status)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxplain {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Read options that come before the command."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results; made when missing.")],
    subjects: Annotated[int, typer.Option(help="Size of the phantom cohort.")] = 120,
    seed: Annotated[int, typer.Option(help="Same seed, same figures.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    perturbed: Annotated[
        int, typer.Option(help="Subjects for meaningful perturbation, the costly method.")
    ] = 12,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
) -> None:
    """Run the whole job on a phantom cohort whose truth is known."""
    from voxplain.pipeline.demo.run import DemoOptions, run_demo

    console = make_console()
    given = {} if epochs is None else {"epochs": epochs}
    options = DemoOptions(out, subjects, seed, device, perturbed, **given)
    result = run_demo(options, make_progress(console))
    console.print(_demo_table(result))
    for method in result.methods.values():
        console.print(f"• {method.verdict}", highlight=False)
    low, high = result.accuracy.ci
    console.print(
        f"Held-out accuracy {result.accuracy.value:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
        f"{result.cohort.held_out} subjects; {result.seconds['total']:.0f} s, "
        f"{result.peak_rss_mb:.0f} MB.",
        highlight=False,
    )
    console.print(f"Report: {out / 'report.html'}", highlight=False, soft_wrap=True)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, to be told in full.")] = None,
) -> None:
    """List the methods with the cost of each, or tell all about one."""
    from voxplain.attribution import METHODS

    console = make_console()
    if name is None:
        console.print(_methods_table(METHODS))
        console.print("'voxplain methods NAME' tells the sign, the source and the options of one.")
        console.print(
            "With Captum installed, captum:<Name> is one of its methods: captum:DeepLift."
        )
    else:
        for what, told in _method_lines(METHODS[name]):
            console.print(f"{what:<12}{told}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Show what this machine has."""
    from voxplain.pipeline.doctor import findings

    console = make_console()
    for what, found in findings().items():
        console.print(f"{what:<24}{found}", highlight=False)


def _demo_table(result: DemoResult) -> Table:
    from rich.table import Table

    (whose,) = {method.group_class for method in result.methods.values()}
    table = Table(title=f"Average precision against the truth; group: mean map of class {whose}")
    for column in ("map", "one subject", "group", "subjects", "s/subject"):
        table.add_column(column, justify="left" if column == "map" else "right")
    for method in result.methods.values():
        table.add_row(
            method.label,
            f"{method.subject_ap:.3f}",
            f"{method.group_ap:.3f}",
            str(method.subjects),
            f"{method.seconds_per_subject:.2f}",
        )
    table.add_section()
    for control in result.controls.values():
        table.add_row(control.label, "–", f"{control.group_ap:.3f}", "–", "–")
    table.add_row("Chance", "–", f"{result.chance_ap:.3f}", "–", "–")
    return table


def _methods_table(registry: Mapping[str, type[Method]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("method", no_wrap=True)
    for column in ("label", "unit", "sums up", "cost in passes"):
        table.add_column(column)
    for name, kind in registry.items():
        info = kind.info
        sums_up = "yes" if info.complete else "no"
        table.add_row(name, info.label, info.unit, sums_up, info.passes)
    return table


def _method_lines(kind: type[Method]) -> list[tuple[str, str]]:
    info = kind.info
    options = [f"{name}={default}" for name, default in kind.option_defaults().items()]
    return [
        ("method", f"{info.name}: {info.label}"),
        ("source", info.citation),
        ("unit", info.unit),
        ("sign", info.sign),
        ("sums up", "yes, to a difference of outputs" if info.complete else "no"),
        ("cost", f"passes per volume: {info.passes}"),
        ("layer", "looks at one; see --layer" if kind.needs.layer else "looks at none"),
        *zip(["options", *[""] * len(options)], options or ["none"], strict=False),
    ]


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show each of voxplain's warnings as one sentence, without the line of code it came from."""
    formatted = warnings.formatwarning

    def told(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if issubclass(category, VoxplainWarning):
            return f"voxplain: {message}\n"
        return formatted(message, category, filename, lineno, line)

    warnings.formatwarning = told
    try:
        yield
    finally:
        warnings.formatwarning = formatted


def main() -> None:
    """Run the command line; see `guarded`."""
    guarded(app)


def guarded(work: Callable[[], object]) -> None:
    """Do the work of a command; a mistake ends in one sentence and exit code 2, a signal in 75.

    Where ``VOXPLAIN_TRACEBACK`` is set, errors of voxplain's or of the network's code are raised.
    """
    # Torch reads it at its first allocation: huge pages spare a training step most page faults.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        with _plain_warnings():
            work()
    except StoppedError as end:
        typer.echo(f"voxplain: {end}", err=True)
        sys.exit(GO_ON)
    except VoxplainError as error:
        # What a network's own code raised is its cause, and interests whoever wrote it.
        if os.environ.get("VOXPLAIN_TRACEBACK") and error.__cause__ is not None:
            raise
        typer.echo(f"voxplain: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(
                "voxplain: interrupted; finished files are whole, and the same command goes on.",
                err=True,
            )
        raise
    except Exception as error:
        if os.environ.get("VOXPLAIN_TRACEBACK"):
            raise
        first = (str(error).strip() or "no message").splitlines()[0].rstrip(".")
        typer.echo(
            f"voxplain: unexpected {type(error).__name__}: {first}. This is a fault of voxplain or "
            "of the network; set VOXPLAIN_TRACEBACK=1 to see where.",
            err=True,
        )
        sys.exit(1)
