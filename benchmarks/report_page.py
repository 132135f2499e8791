"""How long the report of a study takes, how large it is, and how a browser bears it.

    python -m benchmarks.report_page --scans 100 --scans 1000 [--everyone] [--keep FOLDER]

makes stand-in studies (a template's brain, three methods of smooth noise with an effect) at the
grid of the default preset, makes the report of each, and opens it in Debian's Chromium, where
axe-core looks for what breaks WCAG A and AA, narrow and dark, wide and light. With ``--keep``
studies stay in a folder, and are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from voxplain import __version__
from voxplain.cohort import mni152_template
from voxplain.cohort.store.writer import write_store
from voxplain.grid import KAN2020_GRID as GRID
from voxplain.group.permutation import TestOptions
from voxplain.maps import AttributionMap, GroupMap
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.run import group_study
from voxplain.pipeline.report.options import ReportOptions
from voxplain.pipeline.report.run import write_report
from voxplain.progress import Silent
from voxplain.provenance import Provenance
from voxplain.results.fit import FitResult, ModelResult, TrainedNetwork
from voxplain.results.scores import HeldOut, Judged, Permutation
from voxplain.results.summary import fit_json
from voxplain.study import Study
from voxplain.volume import Cohort, resample

CLASSES = ("control", "case")
METHODS = {"recommended": "Recommended", "pattern": "Pattern", "gradient": "Gradient"}
BARS = {100: (10, 30), 1000: (25, 120)}
"""Scans; megabytes and seconds that the report may take."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
VIEWS: tuple[dict[str, Any], ...] = (
    {"viewport": {"width": 400, "height": 900}, "color_scheme": "dark"},
    {"viewport": {"width": 1600, "height": 1000}, "color_scheme": "light"},
)


def make(folder: Path, scans: int) -> None:
    """Write a study that looks as if it had been fitted, explained and tested."""
    rng = np.random.default_rng(0)
    template = mni152_template()
    brain = resample(template.values, template.grid, GRID)
    labels = np.arange(scans) % 2
    names = [f"{i:04d}" for i in range(scans)]
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{name}" for name in names],
            "label": [CLASSES[label] for label in labels],
        }
    )

    def load(_: int) -> np.ndarray:
        noise = rng.normal(1, 0.05, GRID.shape)
        return (brain * noise).astype(np.float32)

    study = Study(folder, "voxplain study", __version__)
    write_store(folder / "cohort", Cohort(table, CLASSES, GRID, load), "stand-in")
    _write_fit(study, names, labels)
    inside = brain > 0.1 * brain.max()
    groups: dict[str, list[dict[str, Any]]] = {}
    for number, (method, label) in enumerate(METHODS.items()):
        total = np.zeros((2, *GRID.shape))
        told = Provenance(method, {}, "own", None, "N", "0", "float32", "cpu", 0, {}, {})
        for row, name in enumerate(names):
            noise = ndimage.gaussian_filter(rng.normal(size=GRID.shape), number)
            noise[20:24, 30:34, 18:22] += 0.5 * noise.std()
            values = np.where(inside, noise, 0).astype(np.float32)
            total[labels[row]] += values
            target = CLASSES[labels[row]]
            one = AttributionMap(values, GRID, name, method, target, "logit", "positive: for", told)
            study.write_map(one, label, {"row": row}, 0.1, "mrinet")
        for c, target in enumerate(CLASSES):
            count = int((labels == c).sum())
            mean = (total[c] / count).astype(np.float32)
            group = GroupMap(mean, GRID, method, target, "mean", count, "logit")
            path = study.write_group_map(group, label, "mrinet", "own")
            groups.setdefault(method, []).append(
                {"target": target, "scans": count, "map": f"group/{path.name}", "unit": "logit"}
                | {"network": "mrinet", "rule": "own"}
            )
    study.write_json("explain.json", {"network": "mrinet", "target": "own", "group": groups})
    for name in CLASSES:
        test = TestOptions(("voxel", "tfce"), 20)
        group_study(GroupOptions(folder, only=f"class={name}", test=test), Silent())


def _write_fit(study: Study, names: list[str], labels: np.ndarray) -> None:
    score = HeldOut(0.9, 0.05, (0.9,) * 5, 0.9, (0.8, 1.0), (0.8, 1.0))
    scores = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc", "brier"), score)
    model = ModelResult(
        "mrinet", Judged(scores, Permutation("accuracy", 0.001)), TrainedNetwork("MRINet", 1, 1.0)
    )
    fit = FitResult(
        *("label", CLASSES, tuple(np.bincount(labels).tolist()), None, len(names), 5, 1),
        *("Nobody has to be kept together.", "none", {}, {"mrinet": model}, None, (), {}, 1.0, {}),
    )
    study.write_json("summary.json", {"fit": fit_json(fit)})
    lines = ["scan\trepeat\tfold\ttruth\tpredicted\tp_control\tp_case"]
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        seen = 1 - label if i % 10 == 3 else label
        chances = "\t".join(str(0.8 if c == seen else 0.2) for c in (0, 1))
        lines.append(f"sub-{name}\t1\t{i % 5 + 1}\t{CLASSES[label]}\t{CLASSES[seen]}\t{chances}")
    study.write_text("model/mrinet/predictions.tsv", "\n".join(lines) + "\n")


def report(folder: Path, everyone: bool) -> dict[str, float]:
    """Make the report once, and measure it."""
    began, cpu = time.perf_counter(), time.process_time()
    done = write_report(ReportOptions(folder, everyone=everyone), Silent())
    found = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "megabytes": done.megabytes,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "beside": done.beside,
    }
    began = time.perf_counter()
    write_report(ReportOptions(folder, figures=False), Silent())
    return found | {
        "seconds_without_figures": time.perf_counter() - began,
        "load": os.getloadavg()[0],
    }


def browse(page: Path) -> dict[str, Any]:
    """Open the report, wake its viewer, and ask the browser what that took."""
    from axe_playwright_python.base import AXE_FILE_PATH
    from playwright.sync_api import sync_playwright

    said, asked = [], []
    broken: set[str] = set()
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        tab.locator("[data-part=coronal]").scroll_into_view_if_needed()
        tab.wait_for_function(
            "() => document.querySelector('.readout').textContent.includes('mm:')"
        )
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        client = tab.context.new_cdp_session(tab)
        client.send("Performance.enable")
        metrics = client.send("Performance.getMetrics")["metrics"]
        heap = next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")
        found = {"first_paint_ms": tab.evaluate(paint), "heap_mb": heap / 1e6}
        found |= {"console": said, "requests": len(asked) - 1}
        for view in VIEWS:
            tab = browser.new_page(**view)
            tab.goto(page.as_uri())
            tab.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
            ask = f"axe.run({{runOnly: {RULES}}}).then(r => r.violations.map(v => v.id))"
            broken |= set(tab.evaluate(ask))
        browser.close()
    return found | {"axe": sorted(broken)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, action="append")
    parser.add_argument("--everyone", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    for scans in options.scans or [100]:
        with tempfile.TemporaryDirectory() as there:
            folder = (options.keep or Path(there)) / f"scans-{scans}"
            if not (folder / "group.json").exists():
                make(folder, scans)
            found = {"scans": scans, "methods": len(METHODS)} | report(folder, options.everyone)
            found |= browse(folder / "report.html")
        if scans in BARS:
            most, longest = BARS[scans]
            found["met"] = found["megabytes"] <= most and found["seconds"] <= longest
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
