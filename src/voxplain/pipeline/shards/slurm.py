"""A run for SLURM: a job array of its parts, and a job that joins them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from voxplain.errors import InputError, StudyError

__all__ = ["Resources", "array_script", "join_script", "still_queued", "submit"]

_PLAIN = re.compile(r"[A-Za-z0-9_.,:;/+=@%\[\]()&|*^-]+")
_LONGEST_WAIT = 60


@dataclass(frozen=True)
class Resources:
    """What the jobs ask of the cluster, and how their commands are run.

    Parameters
    ----------
    program : tuple of str
        Words that start voxplain on a node.
    folder : str
        In which it is started.
    time, mem, gres, gpus, partition, account, qos, constraint : str, optional
        As ``sbatch`` takes them; what is not given is not asked for.
    cpus : int
    at_once : int, optional
        Most parts that run at once.
    warn : int
        Seconds before the wall time at which a part is asked to end.
    tries : int
        Times that a part is put back into the queue.
    container : str, optional
        Image for Apptainer.
    bind : tuple of str
        Folders that the container sees beside the study and the working folder.
    scratch : str, optional
        Folder for temporary files.
    before : tuple of str
        Lines of shell that come first, such as ``module load apptainer``.
    """

    program: tuple[str, ...]
    folder: str
    time: str | None = None
    mem: str | None = None
    gres: str | None = None
    gpus: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cpus: int = 1
    at_once: int | None = None
    warn: int = 300
    tries: int = 20
    container: str | None = None
    bind: tuple[str, ...] = ()
    scratch: str | None = None
    before: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("time", "mem", "gres", "gpus", "partition", "account", "qos", "constraint"):
            value = getattr(self, name)
            if value is not None and not _PLAIN.fullmatch(value):
                raise InputError(
                    f"--{name} goes into a line of a job script as it is, so it may hold letters, "
                    f"figures and signs, and no blanks or quotes; {value!r} was given."
                )
        for name, least in (("cpus", 1), ("at_once", 1), ("warn", 0), ("tries", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(
                    f"--{name.replace('_', '-')} must be {least} or more; {value} was given."
                )

    def lines(self, gpu: bool) -> list[str]:
        """Write what every job asks for."""
        asked = {
            "time": self.time,
            "mem": self.mem,
            "gres": self.gres if gpu else None,
            "gpus": self.gpus if gpu else None,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "cpus-per-task": self.cpus,
        }
        return [f"#SBATCH --{name}={value}" for name, value in asked.items() if value is not None]

    def words(self, study: str) -> list[str]:
        """Return the words that start voxplain, in a container where one is wanted."""
        if self.container is None:
            return list(self.program)
        seen = dict.fromkeys([self.folder, study, *self.bind, *filter(None, [self.scratch])])
        for path in seen:
            if "," in path or (":" in path and path not in self.bind):
                raise InputError(
                    f"Apptainer cannot bind a path with a comma or colon; {path!r} was given."
                )
        gpu = ["--nv"] * bool(self.gpus or self.gres)
        binds = [word for path in seen for word in ("--bind", path)]
        return ["apptainer", "exec", *gpu, *binds, "--pwd", self.folder, self.container, "voxplain"]


def array_script(
    resources: Resources, run: str, study: str, command: Sequence[str], parts: int
) -> str:
    """Write the job array that makes all parts.

    Parameters
    ----------
    resources : Resources
    run : str
        Name of its manifest.
    study : str
        Its whole path.
    command : sequence of str
        What follows ``voxplain``, without ``--shard``.
    parts : int

    Returns
    -------
    str
        A script of bash for ``sbatch``.
    """
    throttle = f"%{resources.at_once}" if resources.at_once else ""
    own = [
        f"#SBATCH --array=1-{parts}{throttle}",
        "#SBATCH --requeue",
        f"#SBATCH --signal=B:USR1@{resources.warn}",
    ]
    words = [*resources.words(study), *command, "--manifest", run, "--shard"]
    call = f'{shlex.join(words)} "$SLURM_ARRAY_TASK_ID/{parts}" &'
    log = f"{study}/runs/{run}/part-%a.log"
    lines = [*_head(run, log, resources, gpu=True), *own, *_start(resources)]
    return "\n".join([*lines, call, _AFTER.format(tries=resources.tries)])


def join_script(resources: Resources, run: str, study: str, command: Sequence[str]) -> str:
    """Write the job that joins; see `array_script`."""
    words = [*resources.words(study), *command]
    log = f"{study}/runs/{run}/join.log"
    lines = [*_head(f"{run}-join", log, resources, gpu=False), *_start(resources)]
    return "\n".join([*lines, shlex.join(words), ""])


def _head(name: str, log: str, resources: Resources, *, gpu: bool) -> list[str]:
    if re.search(r'["\\\n\r]', log):
        raise InputError(
            f"A job script cannot name a log in a folder with quotes, backslashes or line breaks; "
            f"{log!r} was given."
        )
    study, _, file = log.rpartition("/runs/")
    return [
        "#!/bin/bash",
        f"#SBATCH --job-name={name}",
        f'#SBATCH --output="{study.replace("%", "%%")}/runs/{file}"',
        "#SBATCH --open-mode=append",
        *resources.lines(gpu),
    ]


def _start(resources: Resources) -> list[str]:
    threads = [
        'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"',
        "export PYTHONUNBUFFERED=1",
    ]
    scratch = []
    if resources.scratch is not None:
        scratch = [
            f"scratch={shlex.quote(resources.scratch)}",
            'TMPDIR="$scratch/voxplain-$SLURM_JOB_ID" && mkdir -p -- "$TMPDIR" || exit 1',
            "export TMPDIR",
            "trap 'rm -rf -- \"$TMPDIR\"' EXIT",
        ]
    return [
        "",
        *resources.before,
        f"cd -- {shlex.quote(resources.folder)} || exit 1",
        *threads,
        *scratch,
    ]


_AFTER = """child=$!
asked=0
trap 'asked=1; kill -USR1 "$child" 2>/dev/null' USR1
trap 'asked=1; kill -TERM "$child" 2>/dev/null' TERM
while :; do
    wait "$child"
    code=$?
    if [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; then continue; fi
    break
done
# 75: ended between two batches, to go on in another job.
if [ "$code" -eq 75 ] || {{ [ "$code" -gt 128 ] && [ "$asked" -eq 1 ]; }}; then
    if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {tries} ]; then exit 75; fi
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && exit 0
    exit 75
fi
exit "$code"
"""


def submit(script: str, *options: str) -> str | None:
    """Give a script to ``sbatch``.

    Parameters
    ----------
    script : str
        Its path.
    *options : str
        Of ``sbatch``.

    Returns
    -------
    str or None
        Number of the job; None where there is no ``sbatch``.

    Raises
    ------
    StudyError
        If it was refused, or SLURM did not answer.
    """
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", *options, script],
            capture_output=True,
            text=True,
            timeout=_LONGEST_WAIT,
            check=False,
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as error:
        raise StudyError(
            f"sbatch did not answer within {_LONGEST_WAIT} seconds, and may or may not have taken "
            f"{script}; look with squeue before you submit again."
        ) from error
    job = done.stdout.strip().split(";")[0]
    if done.returncode or not job.isdigit():
        why = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise StudyError(f"sbatch refused {script}: {why}.")
    return job


def still_queued(jobs: Sequence[str]) -> bool:
    """Ask whether jobs wait or run; where ``squeue`` does not answer, they are taken to."""
    try:
        done = subprocess.run(
            ["squeue", "-h", "-o", "%A", "-j", ",".join(jobs)],
            capture_output=True,
            text=True,
            timeout=_LONGEST_WAIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    # A number that squeue no longer knows is an error of its own.
    if done.returncode:
        return "Invalid job id" not in done.stderr
    return bool(done.stdout.strip())
