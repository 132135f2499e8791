"""How far the runs of a study are: what is done, what runs, what failed and why."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxplain.pipeline.shards.manifest import kept_manifest, unjoined
from voxplain.study import StudyReader
from voxplain.study.locks import alive

__all__ = ["SUBMITTED", "PartStatus", "status_of"]

SUBMITTED = "runs/{}/submitted.json"
_SILENT = 3600.0
"""Seconds without a word after which a part on another machine is no longer believed to run."""
_BAD = {
    "BOOT_FAIL": "the node did not start",
    "CANCELLED": "cancelled",
    "DEADLINE": "past its deadline",
    "FAILED": "failed",
    "NODE_FAIL": "the node failed",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "preempted",
    "TIMEOUT": "past the wall time",
}


@dataclass(frozen=True)
class PartStatus:
    """How far a part is.

    Parameters
    ----------
    run : str
        Name of the run.
    part : str
        ``"3/10"``, or ``"all"`` of a run that was joined.
    state : {"done", "running", "stopped", "failed", "lost", "waiting", "joined"}
        Stopped by a signal between two batches, lost without a word.
    done, total : int
        Maps; 0 of 0 where the part has not begun.
    why, where : str
    """

    run: str
    part: str
    state: str
    done: int = 0
    total: int = 0
    why: str = ""
    where: str = ""


def status_of(study: StudyReader) -> list[PartStatus]:
    """Tell how far each part of each run of a study is.

    Parameters
    ----------
    study : StudyReader

    Returns
    -------
    list of PartStatus
        Run by run, the parts in order.
    """
    open_runs = unjoined(study)
    found = []
    for path in study.list_names("runs/*/manifest.json"):
        run = path.split("/")[1]
        if run not in open_runs:
            found.append(PartStatus(run, "all", "joined"))
        elif kept_manifest(study, run) is None:
            found.append(PartStatus(run, "all", "failed", why="its manifest is damaged"))
        else:
            found += _parts(study, run)
    return found


def _parts(study: StudyReader, run: str) -> list[PartStatus]:
    told = {}
    for name in study.list_names(f"runs/{run}/part-*-of-*.json"):
        number, _, of = name.rpartition("/")[2].removesuffix(".json")[5:].partition("-of-")
        told[int(of), int(number)] = study.read_json(name)
    submitted = study.read_json(SUBMITTED.format(run))
    counts = {of for of, _ in told} | {int(submitted.get("parts", 0))} - {0}
    jobs = _job_states(str(submitted.get("array") or ""))
    return [
        _part(run, number, of, told.get((of, number)), jobs)
        for of in sorted(counts)
        for number in range(1, of + 1)
    ] or [PartStatus(run, "all", "waiting", why="no part has begun")]


def _part(
    run: str, number: int, of: int, told: Mapping[str, Any] | None, jobs: Mapping[int, str]
) -> PartStatus:
    part, job = f"{number}/{of}", jobs.get(number, "")
    if not told:
        state = "failed" if job in _BAD else "waiting"
        return PartStatus(run, part, state, why=_BAD.get(job, job.lower()))
    state, why = str(told["state"]), str(told["why"])
    if state == "running":
        state, why = _believed(told, job)
    where = " ".join(filter(None, (str(told["host"]), told["job"] and f"job {told['job']}")))
    return PartStatus(run, part, state, int(told["done"]), int(told["total"]), why, where)


def _believed(told: Mapping[str, Any], job: str) -> tuple[str, str]:
    """Tell whether a part that said it runs can still do so."""
    if job in _BAD:
        return "failed", _BAD[job]
    if told["host"] == socket.gethostname():
        if alive(int(told["pid"])):
            return "running", ""
        return "lost", "its process is gone without a word: killed, or out of memory"
    quiet = time.time() - float(told["told"])
    if quiet > _SILENT:
        return "lost", f"no word for {quiet / 60:.0f} minutes"
    return "running", ""


def _job_states(job: str) -> dict[int, str]:
    """Ask SLURM's accounts for the last state of each task; nothing where they do not answer."""
    if not job.isdigit():
        return {}
    try:
        done = subprocess.run(
            ["sacct", "-n", "-P", "-X", "-j", job, "-o", "JobID,State"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    states = {}
    for line in done.stdout.splitlines():
        name, _, state = line.partition("|")
        task = name.partition("_")[2]
        if task.isdigit() and state:
            states[int(task)] = state.split()[0]
    return states
