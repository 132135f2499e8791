"""``make bench``: ours against the installed peers, ratios side by side, in one run.

Prints the tables and writes ``benchmarks/results.json`` and ``benchmarks/results.png``; with
``--device cuda``, ``results-cuda.json`` and ``results-cuda.png``.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.figure import draw
from benchmarks.material import Material, material
from benchmarks.peers import REMARKS, SAMPLES, STEPS
from benchmarks.perturbation import compare_perturbation, perturbation_table
from benchmarks.rows import AS_GIVEN, CHECKS, MANY_PASSES, OURS, PASSES, Maps, make_rows
from benchmarks.timing import medians, peak_memory
from voxplain.attribution.fast.lowering import bfloat16_pays
from voxplain.console import make_progress
from voxplain.volume import Volume

HERE = Path(__file__).parent
IMAGES = 16
FEW_IMAGES = 8
ROUNDS = 3
ONE_PASS = ("forward", "gradient", "grad-cam", "guided-backprop")
SHAPE = (58, 70, 58)
FULL_SHAPE = (182, 218, 182)
PACKAGES = ("voxplain", "torch", "captum", "monai", "medcam", "torchcam", "numpy", "nibabel")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="timed rounds, median taken")
    parser.add_argument("--skip-perturbation", action="store_true")
    parser.add_argument("--loop-iterations", type=int, default=300, help="for the objective")
    parser.add_argument("--whole", type=int, default=0, help="subjects for the loop as published")
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--images", type=int, default=IMAGES, help="of one-pass methods")
    parser.add_argument(
        "--only", choices=("memory", "perturbation"), help="anew, into the results that are there"
    )
    options = parser.parse_args()
    # Resident memory tells nothing of an accelerator's.
    options.skip_memory |= options.device != "cpu"
    console = Console(width=120)
    if options.only:
        _anew(console, options)
        return
    device = options.device
    ready = material(console, device)
    held_out = cycle(ready.phantom.cohort[int(i)] for i in ready.trained.held_out)
    volumes = list(islice(held_out, options.images))
    rows: list[dict[str, Any]] = []
    missing: dict[tuple[str, str], str] = {}
    network = ready.trained.network
    for batch in (1, 8):
        works, gone = make_rows(network, volumes, batch, ONE_PASS, device)
        missing |= gone
        rows += _timed(console, works, volumes, batch, ONE_PASS, options.rounds)
    few = volumes[:FEW_IMAGES]
    works, gone = make_rows(network, few, FEW_IMAGES, {"forward", *MANY_PASSES, PASSES}, device)
    missing |= gone
    rows += _timed(console, works, few, FEW_IMAGES, MANY_PASSES, 1)
    if not options.skip_memory:
        _add_memory(console, rows)
    results: dict[str, Any] = {
        "machine": _machine(device),
        "versions": _versions(),
        "images": options.images,
        "rows": rows,
        "unavailable": {f"{tool}, {method}": why for (method, tool), why in missing.items()},
        "bars": _bars(rows),
    }
    if not options.skip_memory:
        results["full_volume_peak_rss_mb"] = _full_volume()
    for batch in (1, 8):
        console.print(_table(rows, batch))
    _print_bars(console, results)
    if not options.skip_perturbation:
        results["meaningful_perturbation"] = _perturbation(console, ready, options)
    path = _path(device)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".png").write_bytes(draw(rows, results["machine"]))
    console.print(f"Written: {path} and {path.stem}.png", highlight=False)


def _anew(console: Console, options: argparse.Namespace) -> None:
    """Measure one part again, and put it into the results of an earlier run."""
    path = _path(options.device)
    results = json.loads(path.read_text(encoding="utf-8"))
    if options.only == "memory":
        _add_memory(console, results["rows"])
        results["full_volume_peak_rss_mb"] = _full_volume()
        console.print(_table(results["rows"], 8))
        _print_bars(console, results)
    else:
        results["meaningful_perturbation"] = _perturbation(
            console, material(console, options.device), options
        )
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _path(device: str) -> Path:
    kind = torch.device(device).type
    return HERE / ("results.json" if kind == "cpu" else f"results-{kind}.json")


def _timed(
    console: Console,
    works: dict[tuple[str, str], Callable[[], Maps]],
    volumes: list[Volume],
    batch: int,
    methods: Collection[str],
    rounds: int,
) -> list[dict[str, Any]]:
    words = f"Timing in batches of {batch}: {', '.join(methods)}"
    with make_progress(console).step(words, rounds + 1) as advance:
        seconds, maps = medians(works, rounds, advance)
    rows = []
    for (method, tool), value in seconds.items():
        if method not in methods or tool == CHECKS:
            continue
        checks = seconds.get((method, CHECKS)) if tool == OURS else None
        unit = OURS if tool.startswith(OURS) else AS_GIVEN
        passes = seconds[PASSES, OURS] / SAMPLES if method in MANY_PASSES else None
        rows.append(
            {
                "method": method,
                "tool": tool,
                "batch": batch,
                "ms_per_image": 1000 * value / len(volumes),
                "ms_of_checks": None if checks is None else 1000 * checks,
                "ms_per_further_image": (
                    None if checks is None else 1000 * (value - checks) / len(volumes)
                ),
                "peak_rss_mb": None,
                "agreement": None if tool == OURS else _correlation(maps, method, tool),
                "times_forward": value / seconds["forward", unit],
                "times_gradient": value / passes if passes else None,
                "remark": REMARKS.get((method, tool), ""),
            }
        )
    return rows


def _correlation(maps: dict[tuple[str, str], Maps], method: str, tool: str) -> float:
    """Mean over the images of Pearson's r between a tool's map and ours, all voxels."""
    pairs = zip(maps[method, OURS], maps[method, tool], strict=True)
    return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]))


def _add_memory(console: Console, rows: list[dict[str, Any]]) -> None:
    asked = [row for row in rows if row["batch"] == 8 and row["method"] in ONE_PASS]
    with make_progress(console).step("Peak memory, a process each", len(asked)) as advance:
        for done, row in enumerate(asked, start=1):
            tool = "forward pass" if row["tool"] == AS_GIVEN else row["tool"]
            row["peak_rss_mb"] = peak_memory(row["method"], tool, row["batch"], SHAPE)
            advance(done)


def _full_volume() -> dict[str, float | None]:
    """Peak memory of one 1 mm volume through the paper's blocks, pooled over the whole map."""
    asked = {
        "forward pass": ("forward", "forward pass"),
        "guided backpropagation, voxplain": ("guided-backprop", OURS),
        "guided backpropagation, Captum": ("guided-backprop", "Captum"),
    }
    return {words: peak_memory(*which, 1, FULL_SHAPE) for words, which in asked.items()}


def _of(
    rows: list[dict[str, Any]], method: str, tool: str, batch: int = 8, what: str = "ms_per_image"
) -> float:
    return next(
        float(row[what])
        for row in rows
        if (row["method"], row["tool"], row["batch"]) == (method, tool, batch)
    )


def _bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold the measured ratios beside what the project asks of itself, at batch 8."""

    def fastest(method: str) -> float:
        peers = {
            r["tool"] for r in rows if r["method"] == method and not r["tool"].startswith(OURS)
        }
        return min(_of(rows, method, tool) for tool in peers)

    def later(method: str) -> float:
        return _of(rows, method, OURS, what="ms_per_further_image")

    bar = ("at least", 3.0)
    forward, gradient = _of(rows, "forward", OURS), _of(rows, "gradient", OURS)
    cam, guided = _of(rows, "grad-cam", OURS), _of(rows, "guided-backprop", OURS)
    smooth, path = (_of(rows, method, OURS, what="times_gradient") for method in MANY_PASSES)
    asked = [
        ("Grad-CAM / own forward pass", cam / forward, "at most", 1.15),
        ("fastest peer's Grad-CAM / ours", fastest("grad-cam") / cam, *bar),
        ("the same, checks once a run aside", fastest("grad-cam") / later("grad-cam"), *bar),
        ("fastest peer's guided backprop / ours", fastest("guided-backprop") / guided, *bar),
        (
            "the same, checks once a run aside",
            fastest("guided-backprop") / later("guided-backprop"),
            *bar,
        ),
        ("guided backprop / own forward + gradient", guided / gradient, "at most", 1.1),
        (f"SmoothGrad / {SAMPLES} such passes", smooth / SAMPLES, "at most", 1.1),
        (f"integrated gradients / {STEPS} such passes", path / STEPS, "at most", 1.1),
    ]
    return [
        {
            "what": what,
            "measured": ratio,
            "asked": f"{sense} {limit}",
            "met": ratio <= limit if sense == "at most" else ratio >= limit,
        }
        for what, ratio, sense, limit in asked
    ]


def _perturbation(console: Console, ready: Material, options: argparse.Namespace) -> dict[str, Any]:
    progress = make_progress(console)
    found = compare_perturbation(
        ready, progress, options.loop_iterations, options.whole, options.device
    )
    console.print(perturbation_table(found))
    return found


def _table(rows: list[dict[str, Any]], batch: int) -> Table:
    table = Table(title=f"58×70×58, batches of {batch}; ratio: its time over voxplain's")
    for column in ("method", "tool"):
        table.add_column(column)
    for column in ("ms per image", "of it checks", "ratio", "× forward", "peak MB", "agreement"):
        table.add_column(column, justify="right")
    last = ""
    order = (*ONE_PASS, *MANY_PASSES)
    shown = [row for row in rows if row["batch"] == batch]
    for row in sorted(shown, key=lambda r: order.index(r["method"])):
        if row["method"] != last:
            table.add_section()
        last = row["method"]
        peak, agreement = row["peak_rss_mb"], row["agreement"]
        further = row["ms_per_further_image"]
        told = "–" if agreement is None else f"{agreement:.3f}"
        table.add_row(
            row["method"],
            row["tool"],
            f"{row['ms_per_image']:.1f}",
            "–" if further is None else f"{row['ms_per_image'] - further:.1f}",
            f"{row['ms_per_image'] / _of(rows, row['method'], OURS, batch):.2f}",
            f"{row['times_forward']:.2f}",
            "–" if peak is None else f"{peak:.0f}",
            f"{told} ({row['remark']})" if row["remark"] else told,
        )
    return table


def _print_bars(console: Console, results: dict[str, Any]) -> None:
    table = Table("what", "measured", "asked", "met", title="Ratios asked for, batches of 8")
    for bar in results["bars"]:
        met = "yes" if bar["met"] else "no"
        table.add_row(bar["what"], f"{bar['measured']:.2f}", bar["asked"], met)
    console.print(table)
    for name, why in results["unavailable"].items():
        console.print(f"{name}: {why}", highlight=False)
    for words, peak in results.get("full_volume_peak_rss_mb", {}).items():
        told = "failed" if peak is None else f"{peak:.0f} MB"
        console.print(f"182×218×182, {words}: peak {told}", highlight=False)


def _machine(device: str) -> dict[str, Any]:
    where = torch.device(device)
    return {
        "processor": platform.machine(),
        "vector_extension": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": bfloat16_pays(where),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


if __name__ == "__main__":
    main()
