"""``python -m benchmarks.calibration``: does a test at .05 find something in 5 % of null cohorts?

A thousand cohorts without an effect for each way in which scans may change places: freely; families
of unequal size whose members share an effect; inside sites that differ and hold the classes in
unequal shares. Half of the cohorts of each are rough and half smooth, half have groups of one size.
In ``ignored`` families share an effect and are of one class, and the blocks are left out: there the
rate must leave the band. Each test has a covariate.

``--part 3/16`` makes every sixteenth cohort from the third on, and nothing else; without it, all
that is missing is made, then the table is printed and ``benchmarks/calibration.json`` written. What
was made is kept in ``out/bench/calibration``.
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
from scipy import stats
from scipy.ndimage import gaussian_filter

from benchmarks.material import FOLDER
from voxplain.console import make_progress
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import TestOptions, permutation_test
from voxplain.progress import Progress, adding

HERE = Path(__file__).parent
PLACE = FOLDER / "calibration"
COHORTS = 1000
SHAPE = (14, 16, 14)
SMALL, FIRST_SMALL = (6, 7, 6), 100_000
SCANS = 48
SCHEMES = {
    "free": ("class + age", "none"),
    "families": ("class + age", "family"),
    "sites": ("class + age + site", "site"),
    "ignored": ("class + age", "none"),
}
STATISTICS = ("voxel", "mass", "tfce")
OPTIONS = {"permutations": 199, "cluster_p": 0.01, "threads": 1}
ALPHA = 0.05
BAND = (0.037, 0.064)
# Ten of two, six of three, ten alone.
FAMILIES = [*np.repeat(range(10), 2), *np.repeat(range(10, 16), 3), *range(16, 26)]


def main() -> None:
    """Make what is missing, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration")
    parser.add_argument("--part", default="", help="such as 1/2: make this part, write no table")
    parser.add_argument("--cohorts", type=int, default=COHORTS, help="of each scheme")
    parser.add_argument("--scheme", choices=[*SCHEMES], help="this alone; other rows stay")
    parser.add_argument("--small", type=int, help="so many free cohorts on a small grid instead")
    asked = parser.parse_args()
    if asked.small:
        small(asked.small)
        return
    schemes = [asked.scheme] if asked.scheme else [*SCHEMES]
    number, of = (int(one) for one in (asked.part or "1/1").split("/"))
    console = Console(width=100)
    progress = make_progress(console)
    for scheme in schemes:
        make(scheme, range(number - 1, asked.cohorts, of), f"{number}-of-{of}", progress)
    if asked.part:
        return
    path = HERE / "calibration.json"
    rows = [row for scheme in schemes for row in rates(scheme, asked.cohorts)]
    if asked.scheme:
        kept = json.loads(path.read_text(encoding="utf-8"))["rows"]
        rows += [row for row in kept if row["scheme"] != asked.scheme]
        rows.sort(key=lambda row: [*SCHEMES].index(row["scheme"]))
    table = Table("scheme", "statistic", "found something, %", "band", "cohorts")
    for row in rows:
        low, high = band(row["cohorts"])
        inside = low <= row["rate"] <= high if row["two_sided"] else row["rate"] <= high
        table.add_row(
            row["scheme"], row["statistic"], f"{100 * row['rate']:.1f}",
            "inside" if inside else "outside", str(row["cohorts"]),
        )  # fmt: skip
    console.print(table)
    told = {"alpha": ALPHA, "band": BAND, "scans": SCANS, "shape": SHAPE, "rows": rows}
    path.write_text(json.dumps(told | {"options": OPTIONS}, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written: {path}", highlight=False)


def small(cohorts: int) -> None:
    """Test many null cohorts under free exchange on a grid that is quick; write the rates."""
    global SHAPE
    SHAPE = SMALL
    hits = dict.fromkeys((*STATISTICS, "true voxels"), 0)
    for seed in range(FIRST_SMALL, FIRST_SMALL + cohorts):
        one = tested("free", seed)
        for name in STATISTICS:
            hits[name] += one[name] <= ALPHA + 1e-9
        hits["true voxels"] += one["true_voxels"] > 0
    rates = {name: round(count / cohorts, 4) for name, count in hits.items()}
    told = {"cohorts": cohorts, "shape": SMALL, "band": band(cohorts), "rates": rates}
    path = HERE / "calibration_small.json"
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def band(cohorts: int) -> tuple[float, float]:
    """Between what shares 95 % of experiments fall whose rate is 5 %, rounded outwards."""
    if cohorts == COHORTS:
        return BAND
    low, high = stats.binom.interval(0.95, cohorts, ALPHA)
    return float(low) / cohorts, float(high) / cohorts


def make(scheme: str, seeds: range, name: str, progress: Progress) -> None:
    """Test the cohorts of some seeds that were not tested yet, a line of JSON each."""
    PLACE.mkdir(parents=True, exist_ok=True)
    done = {one["seed"] for one in _made(scheme)}
    missing = [seed for seed in seeds if seed not in done]
    path = PLACE / f"{scheme}_{name}.jsonl"
    with progress.step(f"Null cohorts, {scheme}", len(missing)) as advance:
        add = adding(advance)
        for seed in missing:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(tested(scheme, seed)) + "\n")
            add(1)


def tested(scheme: str, seed: int) -> dict[str, Any]:
    """Test one cohort."""
    maps, table = cohort(scheme, seed)
    model, blocks = SCHEMES[scheme]
    design = make_design(table, model)
    ways = Arrangements(design, read_blocks(table, blocks)[0])
    options = TestOptions(STATISTICS, seed=seed, **OPTIONS)
    found = permutation_test(maps, ways, np.ones(SHAPE, dtype=bool), options)
    return {
        "seed": seed,
        **conditions(seed),
        **{name: float(p.min()) for name, p in found.p.items()},
        "true_voxels": found.discoveries.count(np.arange(len(found.t))),
    }


def conditions(seed: int) -> dict[str, bool]:
    """Tell a cohort's kind: each of four in turn."""
    return {"smooth": bool(seed // 2 % 2), "equal": bool(seed % 2)}


def cohort(scheme: str, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw maps without an effect of the class, and their table."""
    rng = np.random.default_rng([seed, [*SCHEMES].index(scheme)])
    kind = conditions(seed)
    width = 1.5 if kind["smooth"] else 0.0

    def field() -> np.ndarray:
        noise = gaussian_filter(rng.standard_normal(SHAPE), width)
        return noise / noise.std()

    share = 0.5 if kind["equal"] else 0.25
    family = np.array(FAMILIES)
    site = np.arange(SCANS) % 3
    by_family = rng.permutation(np.arange(26)) < 26 * share
    if scheme == "ignored":
        second = by_family[family]
    elif scheme == "families":
        # Half of the families are of one class, in the others each has his own.
        second = np.where(family % 2, by_family[family], rng.random(SCANS) < share)
    elif scheme == "sites":
        second = rng.random(SCANS) < share * (0.5 + 0.5 * site)
    else:
        second = rng.permutation(SCANS) < SCANS * share
    age = rng.normal(50, 10, SCANS) + 6 * second
    slope = field()
    values = np.stack([field() + 0.04 * (one - 50) * slope for one in age])
    if scheme in ("families", "ignored"):
        shared = [field() for _ in range(26)]
        values += np.stack([1.2 * shared[one] for one in family])
    if scheme == "sites":
        shifts = [field() for _ in range(3)]
        values += np.stack([shifts[one] for one in site])
    table = pd.DataFrame(
        {
            "participant_id": [f"{i:02d}" for i in range(SCANS)],
            "label": np.where(second, "b", "a"),
            "age": age,
            "family": [f"f{one}" for one in family],
            "site": [f"s{one}" for one in site],
        }
    )
    return values.reshape(SCANS, -1).astype(np.float32), table


def rates(scheme: str, cohorts: int) -> Iterator[dict[str, Any]]:
    """Share of cohorts in which each statistic finds something, and of those with a discovery."""
    made = {one["seed"]: one for one in _made(scheme) if one["seed"] < cohorts}
    every = list(made.values())
    for name in (*STATISTICS, "true voxels"):
        hits = [
            one["true_voxels"] > 0 if name == "true voxels" else one[name] <= ALPHA + 1e-9
            for one in every
        ]
        count = int(np.sum(hits))
        interval = stats.binomtest(count, len(hits)).proportion_ci(method="wilson")
        yield {
            "scheme": scheme,
            "statistic": name,
            "rate": count / len(hits),
            "interval": [float(interval.low), float(interval.high)],
            "cohorts": len(hits),
            "two_sided": name != "true voxels",
            "by_kind": {
                f"{'smooth' if smooth else 'rough'}, {'equal' if equal else 'unequal'}": float(
                    np.mean([
                        hit for hit, one in zip(hits, every, strict=True)
                        if (one["smooth"], one["equal"]) == (smooth, equal)
                    ] or [np.nan])
                )
                for smooth in (False, True)
                for equal in (False, True)
            },
        }  # fmt: skip


def _made(scheme: str) -> list[dict[str, Any]]:
    lines = (
        line
        for path in sorted(PLACE.glob(f"{scheme}_*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # cut off while it was written; made again
    return found


if __name__ == "__main__":
    main()
