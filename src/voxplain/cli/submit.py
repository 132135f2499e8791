"""``voxplain submit`` and ``voxplain status``: runs in parts on a cluster."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from voxplain import __version__
from voxplain.cli.cohort import app as cohort
from voxplain.cli.explain import explain
from voxplain.cli.fit import fit
from voxplain.cli.group import group
from voxplain.cli.trust import trust
from voxplain.console import make_console
from voxplain.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from voxplain.pipeline.shards.status import PartStatus

__all__ = ["app", "status"]

app = typer.Typer(
    name="submit", help="Give a long command to a cluster, in parts.", no_args_is_help=True
)

_IN_PARTS: dict[str, Callable[..., tuple[Path, str] | None] | typer.Typer] = {
    "cohort": cohort, "explain": explain, "fit": fit, "group": group, "trust": trust
}  # fmt: skip
_POLL, _SLOWEST = 30.0, 300.0


@app.callback()
def _common() -> None:
    """Read options that come before the scheduler."""


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
def slurm(
    command: Annotated[
        list[str],
        typer.Argument(
            help="cohort, explain, fit, group or trust and its options, as typed after 'voxplain'."
        ),
    ],
    parts: Annotated[int, typer.Option(help="Parts, each a task of the job array.")] = 10,
    at_once: Annotated[int | None, typer.Option(help="Most parts that run at once.")] = None,
    array_limit: Annotated[
        int, typer.Option(help="The cluster's MaxArraySize; 'scontrol show config' tells.")
    ] = 1001,
    wall_time: Annotated[
        str | None, typer.Option("--time", help="Wall time of a part, as 4:00:00.")
    ] = None,
    mem: Annotated[str | None, typer.Option(help="Memory, as 16G; some sites take none.")] = None,
    cpus: Annotated[int, typer.Option(help="Processors of a part.")] = 1,
    gpus: Annotated[str | None, typer.Option(help="GPUs of a part, as 1 or a100:1.")] = None,
    gres: Annotated[str | None, typer.Option(help="The same where a site wants gpu:1.")] = None,
    partition: Annotated[str | None, typer.Option(help="Partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Account.")] = None,
    qos: Annotated[str | None, typer.Option(help="Quality of service.")] = None,
    constraint: Annotated[str | None, typer.Option(help="Features of nodes.")] = None,
    container: Annotated[str | None, typer.Option(help="Image for Apptainer.")] = None,
    bind: Annotated[
        list[str] | None, typer.Option(help="Folder that the container sees; may be repeated.")
    ] = None,
    scratch: Annotated[str | None, typer.Option(help="Folder for temporary files.")] = None,
    before: Annotated[
        list[str] | None,
        typer.Option(help="Line of shell that comes first, as 'module load x'; may be repeated."),
    ] = None,
    warn: Annotated[
        int, typer.Option(help="Seconds before the wall time at which a part is asked to end.")
    ] = 300,
    tries: Annotated[int, typer.Option(help="Times that a part goes back into the queue.")] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write, submit nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all is joined.")] = False,
) -> None:
    """Write a job array and the job that joins, and submit both."""
    from voxplain.pipeline.shards import slurm as jobs
    from voxplain.pipeline.shards.status import SUBMITTED
    from voxplain.study import Study

    name, *words = command
    if name not in _IN_PARTS or any(word.split("=")[0] in _OWN for word in words):
        raise InputError(
            f"voxplain submit takes {' or '.join(_IN_PARTS)}, and its options without "
            f"{' and '.join(_OWN)}; {shlex.join(command)!r} was given."
        )
    if not 1 <= parts < array_limit:
        raise InputError(
            f"--parts must be from 1 to {array_limit - 1}, as the cluster takes arrays of less "
            f"than --array-limit; {parts} was given."
        )
    resources = jobs.Resources(
        (sys.executable, "-m", "voxplain"),
        str(Path.cwd()),
        wall_time,
        mem,
        gres,
        gpus,
        partition,
        account,
        qos,
        constraint,
        cpus,
        at_once,
        warn,
        tries,
        container and str(Path(container).absolute()),
        tuple(str(Path(path).absolute()) for path in bind or ()),
        scratch,
        tuple(before or ()),
    )
    console = make_console()
    fixed = _fixed(name, words, parts)
    folder, run = fixed[0].absolute(), fixed[1]
    study = Study(folder, "voxplain study", __version__)
    array = jobs.array_script(resources, run, str(folder), command, parts)
    join = jobs.join_script(resources, run, str(folder), command)
    paths = [
        study.write_text(f"runs/{run}/{kind}.sh", text)
        for kind, text in (("parts", array), ("join", join))
    ]
    told: dict[str, object] = {"parts": parts, "array": None, "join": None}
    number = None if dry_run else jobs.submit(str(paths[0]))
    if number is None:
        study.write_json(SUBMITTED.format(run), told)
        why = "--dry-run" if dry_run else "there is no sbatch here"
        first = f"job=$(sbatch --parsable {shlex.quote(str(paths[0]))})"
        second = f'sbatch --dependency="afterok:$job" {shlex.quote(str(paths[1]))}'
        console.print(f"Nothing was submitted ({why}). To submit:", soft_wrap=True)
        console.print(f"  {first}\n  {second}", soft_wrap=True)
        return
    study.write_json(SUBMITTED.format(run), told | {"array": number})
    then = (f"--dependency=afterok:{number}", "--kill-on-invalid-dep=yes")
    joining = jobs.submit(str(paths[1]), *then)
    study.write_json(SUBMITTED.format(run), told | {"array": number, "join": joining})
    console.print(
        f"Submitted: {parts} parts as job {number}, joined by job {joining}. "
        f"'voxplain status {shlex.quote(str(folder))}' tells how far they are.",
        soft_wrap=True,
    )
    if wait:
        _wait([number, str(joining)])
        console.print(_table(_told(folder)))


_OWN = ("--shard", "--manifest")


def _fixed(name: str, words: list[str], parts: int) -> tuple[Path, str]:
    """Check the command, write its manifest, and return the study and the name of the run."""
    from typer.main import get_command

    wanted = _IN_PARTS[name]
    only = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    if isinstance(wanted, typer.Typer):
        only = wanted
    else:
        only.command(name)(wanted)
    found = get_command(only).main(
        [*words, "--shard", f"0/{parts}"], prog_name=f"voxplain {name}", standalone_mode=False
    )
    if not isinstance(found, tuple):
        raise InputError(f"{name} was given nothing to do; see voxplain {name} --help.")
    return found


def _wait(numbers: list[str]) -> None:
    """Wait until SLURM no longer knows the jobs, asking ever more seldom."""
    from voxplain.pipeline.shards.slurm import still_queued

    pause = _POLL
    while still_queued(numbers):
        sleep(pause)
        pause = min(pause * 1.5, _SLOWEST)


def status(
    study: Annotated[Path, typer.Argument(help="Study with runs in parts.")],
    every: Annotated[
        bool, typer.Option("--all", help="Parts that are done too, each in a row.")
    ] = False,
) -> None:
    """Show what is done, running, failed and why, in one table."""
    found = _told(study)
    console = make_console()
    if not found:
        raise InputError(
            f"{study} has no run in parts; 'voxplain explain {study} ... --shard 1/10' begins one."
        )
    console.print(_table(found, every=every))


def _told(study: Path) -> list[PartStatus]:
    from voxplain.pipeline.shards.status import status_of
    from voxplain.study import StudyReader

    return status_of(StudyReader(study))


def _table(found: list[PartStatus], *, every: bool = False) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("run", "part", "state", "done", "where", "why"):
        table.add_column(column, overflow="fold")
    states: dict[tuple[str, str], list[PartStatus]] = {}
    for one in found:
        states.setdefault((one.run, one.state), []).append(one)
    for (run, state), parts in states.items():
        if state in ("done", "waiting") and len(parts) > 1 and not every:
            done, total = sum(p.done for p in parts), sum(p.total for p in parts)
            table.add_row(run, f"{len(parts)} parts", state, _maps(done, total), "", parts[0].why)
            continue
        for one in parts:
            table.add_row(run, one.part, state, _maps(one.done, one.total), one.where, one.why)
    return table


def _maps(done: int, total: int) -> str:
    return f"{done} of {total}" if total else ""
