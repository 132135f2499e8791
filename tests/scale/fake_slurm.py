"""A SLURM in a folder: takes jobs, runs arrays, kills, requeues, and runs a task twice."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

SBATCH = r"""#!/bin/bash
state="$FAKE_SLURM"
if [ -e "$state/refuse" ]; then echo "sbatch: error: Invalid account or partition" >&2; exit 1; fi
id=$((100 + $(ls "$state" | grep -c '\.job$')))
printf '%s\n' "$@" > "$state/$id.job"
echo "$id;cluster"
"""
SCONTROL = """#!/bin/bash
echo "$2" >> "$FAKE_SLURM/requeued"
"""
SQUEUE = """#!/bin/bash
# It answers late: an error of the socket first, then that a job waits, then nothing.
asked=$(($(cat "$FAKE_SLURM/asked" 2>/dev/null || echo 0) + 1))
echo "$asked" > "$FAKE_SLURM/asked"
case "$asked" in
    1) echo "slurm_load_jobs error: Socket timed out on send/recv operation" >&2; exit 1 ;;
    2) echo 100 ;;
    *) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1 ;;
esac
"""
SACCT = """#!/bin/bash
cat "$FAKE_SLURM/sacct" 2>/dev/null
"""


def install(folder: Path) -> dict[str, str]:
    """Write the programs, and return the environment in which they are found."""
    state, programs = folder / "state", folder / "bin"
    state.mkdir()
    programs.mkdir()
    for name, text in (
        ("sbatch", SBATCH),
        ("scontrol", SCONTROL),
        ("squeue", SQUEUE),
        ("sacct", SACCT),
    ):
        path = programs / name
        path.write_text(text)
        path.chmod(0o755)
    return {"FAKE_SLURM": str(state), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


@dataclass
class Slurm:
    """The part that runs what was submitted."""

    environment: dict[str, str]
    seed: int
    kills: int = 0
    ran: list[int] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return Path(self.environment["FAKE_SLURM"])

    def jobs(self) -> dict[str, list[str]]:
        return {p.stem: p.read_text().splitlines() for p in sorted(self.state.glob("*.job"))}

    def run(self, job: str, most_kills: int) -> list[int]:
        """Run a job to its end, and return the exit codes of its tasks that stay."""
        script = Path(self.jobs()[job][-1])
        text = script.read_text()
        found = re.search(r"^#SBATCH --array=1-(\d+)", text, re.MULTILINE)
        rng = random.Random(self.seed)
        tasks = [*range(1, int(found[1]) + 1)] if found else [0]
        if found:
            tasks.append(rng.choice(tasks))  # one runs twice, maybe at once
        rng.shuffle(tasks)
        restarts: dict[int, int] = {}
        running: dict[subprocess.Popen[bytes], int] = {}
        codes: list[int] = []
        while tasks or running:
            while tasks and len(running) < 2:
                task = tasks.pop()
                self.ran.append(task)
                running[self._start(script, text, job, task, restarts.get(task, 0))] = task
            time.sleep(rng.uniform(0.5, 1.5) if self.kills < most_kills else 0.1)
            if self.kills < most_kills:
                self._disturb(rng.choice(list(running)), rng)
            for process in [one for one in running if one.poll() is not None]:
                task = running.pop(process)
                if self._goes_on(f"{job}_{task}") or process.returncode == -signal.SIGKILL:
                    restarts[task] = restarts.get(task, 0) + 1
                    tasks.insert(0, task)
                else:
                    codes.append(process.returncode)
        return codes

    def _disturb(self, process: subprocess.Popen[bytes], rng: random.Random) -> None:
        if process.poll() is not None:
            return
        self.kills += 1
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:  # --signal=B:USR1 reaches the shell alone
            process.send_signal(signal.SIGUSR1)

    def _goes_on(self, name: str) -> bool:
        asked = self.state / "requeued"
        names = asked.read_text().split() if asked.exists() else []
        if name in names:
            names.remove(name)
            asked.write_text("".join(f"{one}\n" for one in names))
            return True
        return False

    def _start(
        self, script: Path, text: str, job: str, task: int, restarts: int
    ) -> subprocess.Popen[bytes]:
        log = re.search(r'^#SBATCH --output="(.*)"$', text, re.MULTILINE)
        assert log is not None
        path = log[1].replace("%a", str(task)).replace("%%", "%")
        own = {
            "SLURM_JOB_ID": f"{job}{task}",
            "SLURM_ARRAY_JOB_ID": job,
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_RESTART_COUNT": str(restarts),
        }
        with Path(path).open("ab") as out:
            return subprocess.Popen(
                ["bash", str(script)],
                stdout=out,
                stderr=out,
                env=os.environ | self.environment | own,
                start_new_session=True,
            )
