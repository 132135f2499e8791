"""Take rows in turn, so that a machine whose speed drifts treats all alike; peak memory apart."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

__all__ = ["medians", "peak_memory"]

Key = tuple[str, str]
Result = TypeVar("Result")


def medians(
    rows: Mapping[Key, Callable[[], Result]],
    rounds: int,
    on_round: Callable[[int], None] = lambda done: None,
) -> tuple[dict[Key, float], dict[Key, Result]]:
    """Median seconds of each row over rounds in which every row runs once, after a warm-up.

    Returns the seconds, and what each row gave in the warm-up.
    """
    times: dict[Key, list[float]] = {key: [] for key in rows}
    found: dict[Key, Result] = {}
    for number in range(rounds + 1):
        for key, work in rows.items():
            began = time.perf_counter()
            made = work()
            if number:
                times[key].append(time.perf_counter() - began)
            else:
                found[key] = made
        on_round(number + 1)
    return {key: statistics.median(values) for key, values in times.items()}, found


def peak_memory(method: str, tool: str, batch: int, shape: tuple[int, int, int]) -> float | None:
    """Peak resident memory in MB of a fresh process that makes one batch of maps."""
    request = json.dumps([method, tool, batch, shape])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", request],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None
