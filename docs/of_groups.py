"""Tables of the pages on groups and regions, taken from what ``benchmarks/`` measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from docs.figures import read, short

__all__ = ["OF_GROUPS"]

STATISTICS = ("voxel", "mass", "tfce")
SCHEMES = {
    "free": "free",
    "families": "families that share an effect",
    "sites": "inside sites",
    "ignored": "families ignored",
}
WAYS = {
    "own": "each brain's own segmentation",
    "moved": "AAL by affine, moved to the tissue, brain alone",
    "still": "AAL by affine, as it lies",
    "resized-las": "map resized to AAL laid out as Brainnetome",
    "resized": "map resized to AAL as stored",
    "white": "ICBM-DTI-81 by affine",
    "white-resized": "map resized to ICBM-DTI-81",
}


def calibration() -> str:
    """Tell in how many null cohorts something is found."""
    found = read("calibration.json")
    low, high = (100 * bound for bound in found["band"])
    cohorts = found["rows"][0]["cohorts"]
    lines = [
        "| change of places | cohorts | voxel | cluster mass | TFCE | true voxels above zero | 5 % "
        "allow |",
        "|---|---|---|---|---|---|---|",
    ]
    for scheme, words in SCHEMES.items():
        rates = {r["statistic"]: r["rate"] for r in found["rows"] if r["scheme"] == scheme}
        cells = " | ".join(f"{100 * rates[name]:.1f}" for name in (*STATISTICS, "true voxels"))
        lines.append(f"| {words} | {cohorts:,} | {cells} | {low:.1f} to {high:.1f} |")
    small = read("calibration_small.json")
    low, high = (100 * bound for bound in small["band"])
    cells = " | ".join(f"{100 * small['rates'][name]:.1f}" for name in (*STATISTICS, "true voxels"))
    count = small["cohorts"]
    lines.append(f"| free, a smaller grid | {count:,} | {cells} | {low:.1f} to {high:.1f} |")
    return "\n".join(lines)


def power() -> str:
    """Tell which share of the true voxels is found, and which share of the found is not true."""
    found = read("group_power.json")
    lines = [
        "| maps | cohorts | scans | voxel | mass | TFCE | not true: voxel | mass | TFCE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        cells = (short(row[what][name]) for what in ("power", "not_true") for name in STATISTICS)
        told = f"{row['maps']} | {row['cohorts']} | {row['scans']}"
        lines.append(f"| {told} | {' | '.join(cells)} |")
    return "\n".join(lines)


def twins() -> str:
    """Tell what families that are ignored do."""
    found = read("group_twins.json")
    lines = [
        "| `--blocks` | said | permutations | cohorts with a voxel of p ≤ .05 |",
        "|---|---|---|---|",
    ]
    for blocks in ("none", "auto"):
        one = found[blocks]
        told = f"`{blocks}` | {one['words']} | {float(one['permitted']):.1e}"
        lines.append(f"| {told} | {one['found']} of {found['cohorts']} |")
    return "\n".join(lines)


def phantom_regions() -> str:
    """Tell where region tables put the regions of a known effect."""
    found = read("phantom_regions.json")
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found["rows"]:
        rows.setdefault((row["label"], row["class"]), []).append(row)
    lines = [
        "| method | maps of | among the first four | ranks, three phantoms |",
        "|---|---|---|---|",
    ]
    for (label, name), each in rows.items():
        ranks = [sorted(one["rank"] for one in row["ranks"].values()) for row in each]
        hits = sum(rank <= len(one) for one in ranks for rank in one)
        shown = "; ".join(", ".join(map(str, one)) for one in ranks)
        lines.append(f"| {label} | {name}s | {hits} of {sum(map(len, ranks))} | {shown} |")
    return "\n".join(lines)


def paper_regions() -> str:
    """Name the five best regions of each sex, by each way of bringing map and atlas together."""
    found = read("paper_regions.json")
    lines = ["| method | sex | regions by | five best |", "|---|---|---|---|"]
    for one in found["methods"]:
        for sex, ways in one["best"].items():
            for way, words in WAYS.items():
                names = ", ".join(name.replace("_", " ") for name in ways.get(way, ["not at hand"]))
                lines.append(f"| {one['label']} | {sex} | {words} | {names} |")
    return "\n".join(lines)


def resized_regions() -> str:
    """Tell how far each way lies from AAL brought by its affine."""
    found = read("paper_regions.json")
    apart = {**found["apart_mm"], "moved": math.dist(found["shift_mm"], (0, 0, 0))}
    lines = [
        "| beside the same atlas by affine | apart, mm | rank correlation | of its five best |",
        "|---|---|---|---|",
    ]
    for way in ("resized-las", "resized", "moved", "white-resized"):
        each = [sex[way] for one in found["methods"] for sex in one["like_still"].values()]
        low, high = (f(one["rank_correlation"] for one in each) for f in (min, max))
        fewest, most = (f(one["shared"] for one in each) for f in (min, max))
        told = f"{WAYS[way]} | {apart[way]:.0f} | {short(low)} to {short(high)}"
        lines.append(f"| {told} | {fewest} to {most} |")
    return "\n".join(lines)


OF_GROUPS: dict[str, Callable[[], str]] = {
    "calibration": calibration,
    "power": power,
    "twins": twins,
    "phantom_regions": phantom_regions,
    "paper_regions": paper_regions,
    "resized_regions": resized_regions,
}
"""By the names that pages use."""
