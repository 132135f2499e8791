"""``python -m benchmarks.group``: tests of maps against nilearn's, ratios in one run.

Ours runs whole, on all cores; of nilearn's permutations (one job, whose products use all cores) a
few are timed, its preparation apart, and multiplied. The null maxima of those few are compared.
Writes ``benchmarks/group.json``, or what ``--out`` names; ``--device cuda`` for a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nibabel.nifti1 import Nifti1Image
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols
from rich.console import Console
from scipy.ndimage import gaussian_filter

from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import Residuals, TestOptions, permutation_test
from voxplain.pipeline.group.null.device import null_on

HERE = Path(__file__).parent
SHAPE = (58, 70, 58)
FEW = 20
SEED = 7


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.group")
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--voxels", type=int, default=200_000)
    parser.add_argument("--permutations", type=int, default=10_000)
    parser.add_argument("--tfce-permutations", type=int, default=1000)
    parser.add_argument("--few", type=int, default=FEW, help="of nilearn's permutations")
    parser.add_argument("--device", default="cpu", help="of our null of single voxels")
    parser.add_argument("--out", type=Path, default=HERE / "group.json")
    asked = parser.parse_args()
    console = Console(width=110)
    found = {
        "voxels": compare_voxels(
            asked.scans, asked.voxels, asked.permutations, asked.few, asked.device
        ),
        "tfce": compare_tfce(asked.tfce_permutations, asked.few),
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "device": asked.device},
        "versions": {name: version(name) for name in ("voxplain", "nilearn", "tfce", "numpy")},
    }
    for what in ("voxels", "tfce"):
        console.print_json(json.dumps({what: found[what]}))
    asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written: {asked.out}", highlight=False)


def compare_voxels(
    scans: int, voxels: int, permutations: int, few: int, device: str
) -> dict[str, Any]:
    """Single voxels, three covariates; ours with blocks of families."""
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((scans, voxels), dtype=np.float32)
    table = _table(scans, rng)
    design = make_design(table, "label + a + b + c")
    before, began = _resident(), _clocks()
    ways = Arrangements(design, read_blocks(table, "family")[0])
    rows, _ = ways.rows(permutations, SEED)
    residuals = Residuals.of(maps, design)
    null_on(device)(residuals, rows, os.cpu_count() or 1, lambda done: None)
    seconds, memory = _clocks() - began, _resident() - before
    free = Arrangements(design, read_blocks(table, "none")[0])
    columns = np.column_stack([design.regressor, free.moved])
    same = free._apply(columns, nilearns_order(scans, few, SEED))
    ours, _ = null_on(device)(residuals, same, 1, lambda done: None)
    del residuals
    label = (table[["label"]] == "b").to_numpy(float)
    covariates = table[["a", "b", "c"]].to_numpy()

    def theirs(count: int) -> tuple[np.ndarray, Any]:
        start = _clocks()
        out = permuted_ols(
            label, maps, covariates, n_perm=count, random_state=SEED, n_jobs=1, output_type="dict"
        )
        return _clocks() - start, out["h0_max_t"][0] if count else None

    theirs(0)  # what is slow the first time alone
    start, _ = theirs(0)
    more, maxima = theirs(few)
    whole = start + (more - start) / few * permutations
    return {
        "scans": scans,
        "voxels": voxels,
        "permutations": permutations,
        "gb_beyond_data": memory / 1e9,
        **_ratios(seconds, whole, few),
        "null_maxima_differ_by": float(np.abs(ours / maxima - 1).max()),
    }


def compare_tfce(permutations: int, few: int, scans: int = 40) -> dict[str, Any]:
    """TFCE on an ellipsoid in the grid of the paper, with a Gamma tail."""
    rng = np.random.default_rng(1)
    middle = np.array(SHAPE)[:, None, None, None] / 2
    mask = (((np.indices(SHAPE) - middle) / (0.9 * middle)) ** 2).sum(axis=0) < 1
    fields = (rng.standard_normal(SHAPE, dtype=np.float32) for _ in range(scans))
    maps = np.stack([gaussian_filter(one, 1.3)[mask] for one in fields])
    table = _table(scans, rng)
    ways = Arrangements(make_design(table, "label"), read_blocks(table, "none")[0])
    options = TestOptions(("tfce",), permutations, fast=True, threads=os.cpu_count() or 1)
    began = _clocks()
    permutation_test(maps, ways, mask, options)
    seconds = _clocks() - began
    masker = NiftiMasker(Nifti1Image(mask.astype(np.uint8), np.eye(4))).fit()
    label = (table[["label"]] == "b").to_numpy(float)

    def theirs(count: int) -> np.ndarray:
        began = _clocks()
        permuted_ols(
            label, maps, n_perm=count, random_state=SEED, n_jobs=1, tfce=True, masker=masker,
            output_type="dict",
        )  # fmt: skip
        return _clocks() - began

    theirs(0)
    start, more = theirs(0), theirs(few)
    whole = start + (more - start) / few * permutations
    return {
        "scans": scans,
        "voxels": int(mask.sum()),
        "permutations": permutations,
        **_ratios(seconds, whole, few),
    }


def nilearns_order(scans: int, count: int, seed: int) -> np.ndarray:
    """Repeat the permutations that nilearn draws with one job: each shuffles the last."""
    first = np.random.RandomState(seed).randint(1, np.iinfo(np.int32).max - 1)
    rng, order, out = np.random.RandomState(first), np.arange(scans), []
    for _ in range(count):
        order = order[rng.permutation(scans)]
        out.append(order)
    return np.array(out)


def _table(scans: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make families of one to three, half of the scans in each class."""
    return pd.DataFrame(
        {
            "participant_id": [str(i) for i in range(scans)],
            "label": ["a", "b"] * (scans // 2),
            "family": [f"f{i}" for i in np.sort(rng.integers(0, scans // 2, scans))],
            **{name: rng.normal(size=scans) for name in "abc"},
        }
    )


def _clocks() -> np.ndarray:
    """Seconds on the wall, and of all cores together, which other work on the machine spares."""
    return np.array([time.perf_counter(), time.process_time()])


def _ratios(ours: np.ndarray, theirs: np.ndarray, few: int) -> dict[str, float]:
    return {
        "seconds": ours[0],
        "cpu_seconds": ours[1],
        "nilearn_timed_permutations": few,
        "nilearn_seconds": theirs[0],
        "nilearn_cpu_seconds": theirs[1],
        "ratio": theirs[0] / ours[0],
        "cpu_ratio": theirs[1] / ours[1],
    }


def _resident() -> float:
    """Peak resident memory so far, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
