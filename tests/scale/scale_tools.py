"""What the tests of long runs share: a small study, and its results."""

from __future__ import annotations

import json
from pathlib import Path

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


def leftovers(study: Path) -> list[str]:
    """Half files and locks."""
    return [
        str(path)
        for path in study.rglob("*")
        if path.name.endswith(".partial") or "lock" in path.name or path.name.startswith(".nfs")
    ]
