"""``python -m benchmarks.group_power``: how much of a known effect does a test find at FWE .05?

Made maps: the effect of the additive phantom, brought to 8 mm, in noise as smooth as attribution
maps (10 mm), half of the scans cases; and real ones, of networks that were trained on the phantom,
where ``out/bench/scoreboard`` (or ``--studies``) holds them. Counted is the share of true voxels
with a family-wise p of .05 or less, and the share of what was found that is not true. Writes
``benchmarks/group_power.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.material import FOLDER
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import TestOptions, permutation_test

HERE = Path(__file__).parent
STATISTICS = ("voxel", "mass", "tfce")
SIZES = (40, 80, 160)
REAL_SIZES = (40, 80, 120)
STRENGTHS = (0.5, 0.8)
COHORTS = 10
PERMUTATIONS = 199
METHODS = ("gradient", "recommended", "pattern")
SMOOTH = 10 / 8 / np.sqrt(8 * np.log(2))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.group_power")
    parser.add_argument("--studies", type=Path, default=FOLDER / "scoreboard")
    parser.add_argument("--cohorts", type=int, default=COHORTS)
    asked = parser.parse_args()
    studies = sorted(asked.studies.glob("additive-template-120-[123]"))
    truth, brain = _truth(studies[0])
    rows = [*_made(truth, brain, asked.cohorts)]
    for method in METHODS:
        rows += _real(studies, method)
    console = Console(width=110)
    table = Table("maps", "scans", *STATISTICS, "not true")
    for row in rows:
        found = (f"{row['power'][name]:.2f}" for name in STATISTICS)
        table.add_row(row["maps"], str(row["scans"]), *found, f"{row['not_true']['tfce']:.2f}")
    console.print(table)
    told = {"permutations": PERMUTATIONS, "cohorts": asked.cohorts, "rows": rows}
    path = HERE / "group_power.json"
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written: {path}", highlight=False)


def _truth(study: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the effect mask and the brain of a phantom, at 8 mm."""
    import nibabel as nib

    found = []
    for name in ("effect", "brain"):
        image = nib.load(study / f"phantom/template_desc-{name}_mask.nii.gz")
        voxel = abs(image.affine[0, 0])
        found.append(zoom(np.asarray(image.dataobj, np.float32), voxel / 8, order=1) > 0.5)
    return found[0] & found[1], found[1]


def _made(truth: np.ndarray, brain: np.ndarray, cohorts: int) -> Iterator[dict[str, Any]]:
    for strength in STRENGTHS:
        for scans in SIZES:
            each = []
            for seed in range(cohorts):
                rng = np.random.default_rng([seed, scans])
                noise = gaussian_filter(
                    rng.standard_normal((scans, *brain.shape)), (0, *[SMOOTH] * 3)
                )
                labels = np.arange(scans) % 2
                noise /= noise.std()
                noise[labels == 1] += strength * truth
                values = noise[:, brain].astype(np.float32)
                each.append(_tested(values, labels, "class", truth[brain], brain, seed))
            yield _row(f"made, d = {strength}", scans, each)


def _real(studies: list[Path], method: str) -> Iterator[dict[str, Any]]:
    """Maps for the scans' own classes, those of controls turned over, against zero."""
    read = [_read(study, method) for study in studies]
    for scans in REAL_SIZES:
        each = []
        for number, (values, labels, support, brain) in enumerate(read):
            order = np.random.default_rng(number).permutation(len(labels))
            chosen = np.concatenate([order[labels[order] == one][: scans // 2] for one in (0, 1)])
            none = np.zeros(scans, int)
            each.append(_tested(values[chosen], none, "1", support, brain, number))
        yield _row(f"{method}, real networks", scans, each)


def _read(study: Path, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Maps inside the brain, classes, and where the effect and the brain are."""
    import nibabel as nib

    support, brain = (
        nib.load(study / f"phantom/template_desc-{name}_mask.nii.gz").get_fdata() > 0
        for name in ("effect", "brain")
    )
    table = pd.read_csv(study / "cohort/participants.tsv", sep="\t")
    labels = (table["label"] == "case").to_numpy().astype(int)
    values = []
    for who, label in zip(table["participant_id"], table["label"], strict=True):
        name = f"{who}_desc-{method.capitalize()}{label.capitalize()}_statmap.nii.gz"
        one = nib.load(study / "maps" / who / name).get_fdata(dtype=np.float32)[brain]
        values.append(one if label == "case" else -one)
    return np.stack(values), labels, support[brain], brain


def _tested(
    values: np.ndarray,
    labels: np.ndarray,
    model: str,
    true: np.ndarray,
    brain: np.ndarray,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Share of the true that is found, and share of the found that is not true."""
    table = pd.DataFrame({"participant_id": range(len(labels)), "label": labels.astype(str)})
    design = make_design(table, model)
    ways = Arrangements(design, read_blocks(table, "none")[0])
    options = TestOptions(STATISTICS, PERMUTATIONS, seed=seed, threads=1)
    found = permutation_test(values, ways, brain, options)
    out = {}
    for name, p in found.p.items():
        called = p <= 0.05 + 1e-9
        wrong = float((called & ~true).sum() / max(1, called.sum()))
        out[name] = (float(called[true].mean()), wrong)
    return out


def _row(maps: str, scans: int, each: list[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    return {
        "maps": maps,
        "scans": scans,
        "cohorts": len(each),
        "power": {name: float(np.mean([one[name][0] for one in each])) for name in STATISTICS},
        "not_true": {name: float(np.mean([one[name][1] for one in each])) for name in STATISTICS},
    }


if __name__ == "__main__":
    main()
