"""``python -m benchmarks.group_twins``: what families do to a test where there is no effect.

Eight pairs of identical twins, eight of other twins, six pairs of siblings, four alone. Families
are of one class and share most of their map. Writes ``benchmarks/group_twins.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import TestOptions, permutation_test

COHORTS = 40
FIRST = 1000
SHAPE = (12, 12, 12)
SHARED = 1.2


def main() -> None:
    """Test null cohorts with and without their families."""
    told: dict[str, dict[str, object]] = {}
    for seed in range(FIRST, FIRST + COHORTS):
        table, maps = cohort(seed)
        for blocks in ("none", "auto"):
            tree, words = read_blocks(table, blocks)
            ways = Arrangements(make_design(table, "class"), tree)
            options = TestOptions(("voxel",), 199, threads=1)
            found = permutation_test(maps, ways, np.ones(SHAPE, bool), options)
            one = told.setdefault(blocks, {"words": words, "found": 0})
            one["permitted"] = str(ways.permitted)
            one["found"] = int(one["found"]) + bool(found.p["voxel"].min() <= 0.05 + 1e-9)
    text = json.dumps({"cohorts": COHORTS, **told}, indent=2) + "\n"
    Path(__file__).with_name("group_twins.json").write_text(text, encoding="utf-8")
    print(text)


def cohort(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw maps without an effect of the class, and their table."""
    rng = np.random.default_rng(seed)
    rows = []
    for family in range(26):
        twins = family < 16
        kind = "n/a" if not twins else "MZ" if family < 8 else "DZ"
        row = {
            "family_id": f"f{family:02d}",
            "twin_id": f"t{family:02d}" if twins else None,
            "zygosity": kind,
            "label": rng.choice(["case", "control"]),
        }
        rows += [row] * (2 if family < 22 else 1)
    table = pd.DataFrame(rows)
    table.insert(0, "participant_id", [f"{i:02d}" for i in range(len(table))])
    shared = {name: gaussian_filter(rng.standard_normal(SHAPE), 1.5) for name in table["family_id"]}
    own = [gaussian_filter(rng.standard_normal(SHAPE), 1.5) for _ in range(len(table))]
    maps = [SHARED * shared[name] + one for name, one in zip(table["family_id"], own, strict=True)]
    return table, np.stack(maps).reshape(len(table), -1).astype(np.float32)


if __name__ == "__main__":
    main()
