"""``python -m benchmarks.phantom_regions``: do region tables name the regions of a known effect?

Reads the maps of ``out/bench/scoreboard`` (or ``--studies``): three additive phantoms of 120 scans,
whose effect lies in the hippocampi and amygdalae, each scan explained for its own class by the
network that held it out. Each method's maps of a class are summed up by AAL as ``voxplain explain
STUDY --atlas AAL`` does. Writes ``benchmarks/phantom_regions.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.material import FOLDER
from voxplain import __version__
from voxplain.attribution import METHODS
from voxplain.cohort import load_atlas, open_store
from voxplain.console import make_progress
from voxplain.group import RegionsOverSubjects
from voxplain.pipeline.brain import brain_of
from voxplain.progress import Progress
from voxplain.study import Study

HERE = Path(__file__).parent
TRUE = ("Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R")
INTERVAL = ("rank_low", "rank_high")
ASKED = ("pattern", "recommended", "smoothgrad", "gradient", "guided-backprop", "grad-cam")


def main() -> None:
    """Sum up, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom_regions")
    parser.add_argument("--studies", type=Path, default=FOLDER / "scoreboard")
    asked = parser.parse_args()
    console = Console(width=120)
    progress = make_progress(console)
    rows = [
        row
        for folder in sorted(asked.studies.glob("additive-template-120-[123]"))
        for row in of_study(folder, progress)
    ]
    shown = Table("study", "class", "method", "first four", "ranks of the true regions")
    for row in rows:
        ranks = ", ".join(str(row["ranks"][name]["rank"]) for name in TRUE)
        shown.add_row(row["study"], row["class"], row["label"], ", ".join(row["first"]), ranks)
    console.print(shown)
    path = HERE / "phantom_regions.json"
    told = {"atlas": "AAL", "true": list(TRUE), "rows": rows}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    console.print(f"Written: {path}", highlight=False)


def of_study(folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Rank the regions of each method's mean map, a row a method and class."""
    cohort, study = open_store(folder / "cohort"), Study(folder, "voxplain study", __version__)
    atlas = load_atlas("AAL").on(cohort.grid)
    brain = brain_of(cohort, range(len(cohort)), progress)
    rows = []
    for method in ASKED:
        for name in cohort.class_names:
            sums = RegionsOverSubjects([atlas], brain, cohort.grid)
            for row in np.flatnonzero(cohort.participants["label"] == name):
                subject = cohort.subjects[row]
                (path,) = (
                    path
                    for path, target, _ in study.maps_of(subject, method, "mrinet")
                    if target == name
                )
                sums.add(study.load_map(path).values, subject)
            frame = sums.table(0, method, name).frame.sort_values("rank").set_index("region")
            ranks = {
                region: {key: int(frame.loc[region, key]) for key in ("rank", *INTERVAL)}
                for region in TRUE
            }
            rows.append(
                {
                    "study": folder.name,
                    "class": name,
                    "method": method,
                    "label": METHODS[method].info.label,
                    "scans": sums.count,
                    "first": frame.index[: len(TRUE)].tolist(),
                    "ranks": ranks,
                }
            )
    return rows


if __name__ == "__main__":
    main()
