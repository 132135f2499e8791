"""``python -m benchmarks.cohorts``: scans of 0.7 mm to the paper's grid, and how fast.

Prints subjects a minute and peak memory of `voxplain.cohort` with one and with all workers, for 20
and for 200 subjects, beside the loop that people write (nibabel, nilearn, one scan at a time).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.table import Table

from voxplain.cohort import PRESETS, mni152_template
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_table
from voxplain.console import make_progress
from voxplain.grid import Grid
from voxplain.volume import resample

HERE = Path(__file__).parent
DISTINCT = 4
HCP_GRID = Grid(
    (260, 311, 260),
    np.array([[-0.7, 0, 0, 90], [0, 0.7, 0, -126], [0, 0, 0.7, -72], [0, 0, 0, 1]]),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohorts")
    parser.add_argument("--subjects", type=int, nargs="+", default=[20, 200])
    options = parser.parse_args()
    console = Console()
    workers = len(os.sched_getaffinity(0))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = _scans(folder, console)
        for count in options.subjects:
            table = _table(folder, scans, count)
            if count == min(options.subjects):
                rows.append(_measured("gzip alone", count, lambda t=table: _gunzip(t)))
                rows.append(_measured("nibabel + nilearn loop", count, lambda t=table: _loop(t)))
                rows.append(_measured("voxplain, 1 worker", count, lambda t=table: _ours(t, 1)))
            rows.append(
                _measured(f"voxplain, {workers} workers", count, lambda t=table: _ours(t, workers))
            )
    shown = Table(title="Scans of 260×311×260 voxels of 0.7 mm to 58×70×58")
    for column in ("tool", "subjects", "a minute", "ratio", "peak MB, each process"):
        shown.add_column(column, justify="left" if column == "tool" else "right")
    plain = next(row["per_minute"] for row in rows if row["tool"].startswith("nibabel"))
    for row in rows:
        row["times_loop"] = row["per_minute"] / plain
        shown.add_row(
            row["tool"],
            str(row["subjects"]),
            f"{row['per_minute']:.1f}",
            f"{row['times_loop']:.2f}",
            f"{row['peak_mb']:.0f}",
        )
    console.print(shown)
    (HERE / "cohorts.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _measured(tool: str, count: int, work: Callable[[], None]) -> dict[str, float | str]:
    """Run in a process of its own, and take the largest memory of it or of its workers."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()

    def inside() -> None:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        told.put((seconds, max(resource.getrusage(w).ru_maxrss for w in who) / 1024))

    process = context.Process(target=inside)
    process.start()
    seconds, peak = told.get()
    process.join()
    return {"tool": tool, "subjects": count, "per_minute": 60 * count / seconds, "peak_mb": peak}


def _scans(folder: Path, console: Console) -> list[Path]:
    """Write a few brains with noise, so that they pack like scans."""
    template = mni152_template(1)
    brain = resample(template.values, template.grid, HCP_GRID)
    rng = np.random.default_rng(0)
    paths = []
    with make_progress(console).step("Writing scans", DISTINCT) as advance:
        for i in range(DISTINCT):
            noisy = brain * rng.normal(800, 40, brain.shape).astype(np.float32)
            path = folder / f"scan{i}.nii.gz"
            nib.save(nib.Nifti1Image(np.where(brain > 0.1, noisy, 0), HCP_GRID.affine), path)
            paths.append(path)
            advance(i + 1)
    return paths


def _table(folder: Path, scans: list[Path], count: int) -> Path:
    here = folder / f"{count}"
    here.mkdir()
    rows = ["participant_id\timage\tsex"]
    for i in range(count):
        (here / f"{i}.nii.gz").symlink_to(scans[i % len(scans)])
        rows.append(f"{i}\t{i}.nii.gz\t{'MF'[i % 2]}")
    path = here / "table.tsv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def _ours(table: Path, workers: int) -> None:
    out = table.parent / f"store{workers}"
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        progress = make_progress(Console(file=nowhere))
        build_store(from_table(table, "sex"), PRESETS["kan2020"], out, workers, progress)
    shutil.rmtree(out)


def _loop(table: Path) -> None:
    from nilearn.image import resample_img, smooth_img

    target = PRESETS["kan2020"].grid
    width = (np.array(target.voxel_size) - 0.7) / 2 * np.sqrt(8 * np.log(2))
    for scan in from_table(table, "sex").scans:
        image = smooth_img(nib.load(scan.image.path), width.tolist())
        placed = resample_img(
            image,
            target_affine=target.affine,
            target_shape=target.shape,
            interpolation="linear",
            force_resample=True,
            copy_header=True,
        )
        values = placed.get_fdata(dtype=np.float32)
        values *= 1000 / np.percentile(values[values > 0], 95)


def _gunzip(table: Path) -> None:
    import gzip

    for scan in from_table(table, "sex").scans:
        gzip.decompress(scan.image.path.read_bytes())


if __name__ == "__main__":
    main()
