"""What is each step of the faster copy worth? ``python -m benchmarks.ablation``.

Forward passes and input gradients at batch 1 and 8 of four networks, with more and more of what
`voxplain.attribution.fast` does to them. Rows are taken in turn; what a row adds is the time of the
row that it is compared with, over its own. ``--isa avx2`` runs the same with what a processor
without AVX512 and bfloat16 has; ``--part memory`` gives the memory that a pass takes above what the
process held, in a process of its own; ``--part compile`` times ``torch.compile``. Each run puts its
part into ablation.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.ablation_variants import STEPS, Variant, make_variants
from benchmarks.timing import medians
from voxplain.attribution.fast import lowering
from voxplain.grid import KAN2020_GRID
from voxplain.nets import build_network

NETWORKS = ("mrinet", "densenet121", "resnet18", "sfcn")
BATCHES = (1, 8)
MODES = ("forward", "gradient")
RESULTS = Path(__file__).with_name("ablation.json")
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
# Seconds of the pass as given, and the rounds that a cell gets whose pass is shorter.
_ROUNDS = ((0.3, 9), (1.5, 5), (8.0, 3))

Cell = dict[str, Any]


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation")
    parser.add_argument("--isa", choices=("native", "avx2"), default="native")
    parser.add_argument("--part", choices=("time", "memory", "compile"), default="time")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.isa == "avx2" and "ATEN_CPU_CAPABILITY" not in os.environ:
        # Read when torch is loaded.
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]],
                  os.environ | _AVX2)  # fmt: skip
    warnings.simplefilter("ignore")
    measure = {"time": _times, "memory": _memory, "compile": _compiled}[asked.part]
    bfloat16 = asked.isa == "native" and lowering.bfloat16_pays(torch.device("cpu"))
    part: Cell = {
        "machine": {
            "processor": _processor(),
            "vector_extension": torch.backends.cpu.get_cpu_capability(),
            "bfloat16": bfloat16,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        "commit": _commit(),
        "cells": [],
    }
    kept = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    kept[f"{asked.part}, {asked.isa}"] = part
    with patch.object(lowering, "bfloat16_pays", lambda _: bfloat16):
        for name in asked.networks:
            for cell in measure(name, bfloat16):
                _print(cell, asked.part)
                part["cells"].append(cell)
                asked.out.write_text(json.dumps(kept, indent=1) + "\n")


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_network(name, KAN2020_GRID.shape).eval().requires_grad_(False)


def _batch(size: int) -> torch.Tensor:
    return torch.rand(size, 1, *KAN2020_GRID.shape, generator=torch.manual_seed(0))


def _times(name: str, bfloat16: bool) -> Iterator[Cell]:
    made = make_variants(_network(name), _batch(1), bfloat16)
    variants = {row: make() for row, make in made.items()}
    for batch in BATCHES:
        x = _batch(batch)
        for mode in MODES:
            rows = {
                ("", row): lambda v=variant: getattr(v, mode)(x)  # noqa: B023
                for row, variant in variants.items()
            }
            began = time.perf_counter()
            rows["", "as given"]()
            once = time.perf_counter() - began
            rounds = next((n for limit, n in _ROUNDS if once < limit), 1)
            seconds, _ = medians(rows, rounds)
            found = {row: value for (_, row), value in seconds.items()}
            yield _cell(name, batch, mode, found) | {"rounds": rounds}


def _memory(name: str, bfloat16: bool) -> Iterator[Cell]:
    """Each row in a fresh process, forked from one that has only imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.ablation_variants", "monai.networks.nets"])
    # The engine's checks are passes themselves, after which the memory is held already.
    rows = [
        row for row in make_variants(_network(name), _batch(1), bfloat16) if "engine" not in row
    ]
    for batch in BATCHES:
        for mode in MODES:
            found = {}
            for row in rows:
                with context.Pool(1) as pool:
                    found[row] = pool.apply(_grown, (name, row, batch, mode, bfloat16))
            yield _cell(name, batch, mode, found)


def _grown(name: str, row: str, batch: int, mode: str, bfloat16: bool) -> float:
    """Peak of resident memory in a pass above what was held before it, MB."""
    warnings.simplefilter("ignore")
    with patch.object(lowering, "bfloat16_pays", lambda _: bfloat16):
        variant = make_variants(_network(name), _batch(1), bfloat16)[row]()
    x = _batch(batch)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    getattr(variant, mode)(x)
    return _status("VmHWM") - before


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def _compiled(name: str, bfloat16: bool) -> Iterator[Cell]:
    del bfloat16
    given = _network(name)
    for batch in BATCHES:
        x = _batch(batch)
        for mode in MODES:
            torch.compiler.reset()
            compiled = Variant(torch.compile(given, dynamic=False))  # type: ignore[arg-type]
            rows = {"as given": Variant(given), "torch.compile": compiled}
            began = time.perf_counter()
            try:
                getattr(compiled, mode)(x)
            except Exception as error:  # its back end may fail in any way
                yield _cell(name, batch, mode, {}) | {"failed": str(error)[-300:]}
                continue
            first = time.perf_counter() - began
            found: dict[str, list[float]] = {row: [] for row in rows}
            for _ in range(3):
                for row, variant in rows.items():
                    began = time.perf_counter()
                    getattr(variant, mode)(x)
                    found[row].append(time.perf_counter() - began)
            values = {row: median(taken) for row, taken in found.items()}
            yield _cell(name, batch, mode, values) | {"warm_up_s": first}


def _cell(name: str, batch: int, mode: str, rows: dict[str, float]) -> Cell:
    return {"network": name, "batch": batch, "mode": mode, "rows": rows}


def _print(cell: Cell, part: str) -> None:
    unit = "MB" if part == "memory" else "ms"
    rest = ", ".join(f"{k} {v}" for k, v in cell.items() if k in ("rounds", "failed", "warm_up_s"))
    title = f"{cell['network']}, batch {cell['batch']}, {cell['mode']}"
    table = Table("", unit, "adds", "against", title=f"{title} ({rest})" if rest else title)
    rows = cell["rows"]
    for row, value in rows.items():
        before = STEPS.get(row, "as given")
        while before is not None and before not in rows:
            before = STEPS[before]
        adds = f"{rows[before] / value:.2f}" if before else ""
        shown = value if part == "memory" else 1000 * value
        table.add_row(row, f"{shown:.0f}", adds, before or "")
    Console(width=120).print(table)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return ""


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
