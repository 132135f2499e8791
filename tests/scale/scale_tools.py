"""What the tests of long runs share: a small study, its results, and processes in no time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxplain.cohort.store.writer import write_store
from voxplain.grid import Grid
from voxplain.study import Study
from voxplain.volume import Cohort

HERE = Path(__file__).parent
GRID = Grid((24, 24, 24), np.diag([-8.0, 8, 8, 1]))
NET = ("--network", "sleepy:build", "--device", "cpu")


def make_study(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, *GRID.shape)).astype(np.float32)
    images[:, 8:14, 8:14, 8:14] += 3 * labels[:, None, None, None]
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "label": np.where(labels == 1, "case", "control"),
            "age": 40 + 6 * labels + rng.normal(size=n),
        }
    )
    Study(folder, "test", "0")
    cohort = Cohort(table, ("control", "case"), GRID, lambda i: images[i])
    write_store(folder / "cohort", cohort, "test")
    return folder


def results(study: Path) -> dict[str, bytes]:
    """All maps and pictures by name, and their sidecars without the seconds that maps took."""
    found = {}
    for path in sorted(study.rglob("*")):
        name = str(path.relative_to(study))
        if not path.is_file() or not name.startswith(("maps/", "group/", "figures/")):
            continue
        found[name] = path.read_bytes()
        if name.endswith(".json"):
            told = json.loads(found[name])
            told.pop("Seconds", None)
            found[name] = json.dumps(told).encode()
    return found


class Forks:
    """Processes of the command line, each born in no time of one that has loaded all modules."""

    def __init__(self, log: Path) -> None:
        self.log = log
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.server = subprocess.Popen(
            [sys.executable, str(HERE / "forks.py"), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env=environment,
        )

    def _ask(self, **what: object) -> Any:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(what) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(self, *arguments: object, **environment: str) -> int:
        """Start a command, and return its process id."""
        return int(self._ask(start=[str(one) for one in arguments], environment=environment))

    def wait(self, pid: int) -> int:
        """Wait for its end; return the exit code, or the signal that killed it as a negative."""
        return int(self._ask(wait=pid))

    def told(self, pid: int) -> str:
        """Return what a process wrote."""
        return (self.log / f"{pid}.txt").read_text()

    def run(self, *arguments: object, **environment: str) -> int:
        """Run a command to its end."""
        return self.wait(self.start(*arguments, **environment))
