"""``python -m benchmarks.paper_regions``: the paper's table of regions, and what resizing changes.

Kan et al. (2020) name the five regions of highest mean importance for each sex. Here it is done
with their published weights on the 30 IXI brains and their three methods, each scan's map divided
by its maximum and averaged per sex as they do. They resize the map's array to the atlas's, without
the affines of either; beside it stands the same table with the atlas brought to the maps by its
affine, as it lies, and moved to where it fits the tissue, of the brain alone. Their white matter
atlas, ICBM-DTI-81, is taken where Debian's ``mricron-data`` is installed, whose header has left and
right the wrong way round: it is laid out right to left, as its names have it. Brainnetome is not at
hand: AAL takes its place, as its makers store it and laid out as Brainnetome is. Regions
of each brain's own segmentation stand beside them. Needs ``shared`` beside the checkout; maps are
kept in ``out/bench/paper-regions``; writes ``benchmarks/paper_regions.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import zoom

from benchmarks.head_size import IXI, WEIGHTS
from benchmarks.material import FOLDER
from voxplain import explain
from voxplain.atlas import Atlas
from voxplain.attribution import METHODS
from voxplain.cohort import PRESETS, find_atlas, load_atlas
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_bids
from voxplain.cohort.store.origins import read_origins
from voxplain.console import make_progress
from voxplain.grid import Grid
from voxplain.group import region_table
from voxplain.nets import build_network, load_into, read_weights
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.regions.own import OwnRegions
from voxplain.pipeline.regions.placing import fitted
from voxplain.progress import Progress
from voxplain.volume import Cohort

HERE = Path(__file__).parent
BEST = 5
MALE = 1
# As the paper: Grad-CAM always of men, the others of the predicted class.
ASKED: Mapping[str, tuple[int | str, Mapping[str, Any]]] = {
    "grad-cam": (MALE, {}),
    "guided-backprop": ("predicted", {}),
    "meaningful-perturbation": ("predicted", {"preset": "paper-quick"}),
}
FSL = Grid((182, 218, 182), np.diag([-1.0, 1, 1, 1])).moved([90, -126, -72])
RESIZED = ("resized", "resized-las")
WHITE = Path("/usr/share/mricron/templates/JHU-WhiteMatter-labels-1mm.nii.gz")
# Its fibres cover a part of the brain, so that tissue does not tell where it belongs.
WHITE_WAYS = ("white", "white-resized")


def main() -> None:
    """Explain, sum up, print, write."""
    console = Console(width=140)
    for path in (IXI, WEIGHTS):
        if not path.exists():
            console.print(f"{path} is not there; this needs it.")
            return
    progress = make_progress(console)
    place = FOLDER / "paper-regions"
    recipe = replace(PRESETS["kan2020"], align="centre")
    cohort = build_store(from_bids(IXI, "sex"), recipe, place, 1, progress).cohort
    brain = brain_of(cohort, range(len(cohort)), progress)
    tissue = np.where(brain, cohort.mean(np.arange(len(cohort))), 0).astype(np.float32)
    aal = load_atlas("AAL")
    placed = fitted(aal, tissue, cohort.grid, move=True)
    atlases = {
        "still": aal.on(cohort.grid),
        "moved": placed.atlas.on(cohort.grid),
        "resized": aal,
        "resized-las": aal.on(FSL),
    }
    if WHITE.exists():
        file = find_atlas(f"{WHITE},{WHITE.with_suffix('').with_suffix('.nii.txt')},sform")
        white = replace(file, grid=FSL)
        # Refused if its names of sides were still the wrong way round.
        fitted(white, tissue, cohort.grid, move=True)
        atlases |= {"white": white.on(cohort.grid), "white-resized": white}
    own = OwnRegions(cohort, read_origins(place), 0, progress)
    methods = [of_method(name, cohort, brain, atlases, own, progress) for name in ASKED]
    told = {
        "scans": len(cohort),
        "shift_mm": placed.fit.shift,
        "apart_mm": {
            name: apart(atlases[name], cohort.grid)
            for name in (*RESIZED, "white-resized")
            if name in atlases
        },
        "methods": methods,
    }
    for one in methods:
        shown = Table("sex", "table", "five best", title=one["label"])
        for sex, ways in one["best"].items():
            for way, names in ways.items():
                shown.add_row(sex, way, ", ".join(names))
        console.print(shown, one["like_still"])
    console.print(told["shift_mm"], told["apart_mm"])
    path = HERE / "paper_regions.json"
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    console.print(f"Written: {path}", highlight=False)


def of_method(
    name: str,
    cohort: Cohort,
    brain: NDArray[np.bool_],
    atlases: Mapping[str, Atlas],
    own: OwnRegions,
    progress: Progress,
) -> dict[str, Any]:
    """Name the best regions of each sex, by each table."""
    label = METHODS[name].info.label
    maps = np.stack([scaled(one) for one in maps_of(name, cohort)])
    sexes = cohort.participants["label"].astype(str).to_numpy()
    best: dict[str, dict[str, list[str]]] = {}
    alike: dict[str, dict[str, float]] = {}
    for sex in cohort.class_names:
        rows = np.flatnonzero(sexes == sex).tolist()
        mean = maps[rows].mean(axis=0)
        found = {
            way: by_affine(mean, atlases[way], where)
            for way, where in (("still", np.ones_like(brain)), ("moved", brain))
        }
        found |= {way: by_array(mean, atlases[way]) for way in RESIZED}
        own_tables = {row: own.table(row, maps[row], sex) for row in rows}
        held = {row: table for row, table in own_tables.items() if table}
        frame = own.summed([*held.values()], [*held])
        found["own"] = frame[frame["label"] != 0].set_index("region")["density"]
        if WHITE_WAYS[0] in atlases:
            found["white"] = by_affine(mean, atlases["white"], np.ones_like(brain))
            found["white-resized"] = by_array(mean, atlases["white-resized"])
        best[sex] = {way: first(values) for way, values in found.items()}
        alike[sex] = {way: like(found[way], found["still"]) for way in (*RESIZED, "moved")}
        if "white" in found:
            alike[sex]["white-resized"] = like(found["white-resized"], found["white"])
    progress.say(f"{label}: done")
    return {"method": name, "label": label, "best": best, "like_still": alike}


def maps_of(name: str, cohort: Cohort) -> NDArray[np.float32]:
    """Explain all scans by the published network, or read what was kept: array (N, X, Y, Z)."""
    path = FOLDER / f"paper-regions/{name}.npy"
    if not path.exists():
        network = build_network("mrinet", cohort.grid.shape, 2)
        load_into(network, read_weights(WEIGHTS))
        target, options = ASKED[name]
        found = explain(network, list(cohort), name, target, **options)
        np.save(path, np.stack([one.values for one in found]))
    kept: NDArray[np.float32] = np.load(path)
    return kept


def scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide by the largest and clip, as the paper does; a map without evidence stays zero."""
    top = float(values.max())
    return np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)


def by_affine(values: NDArray[np.float32], atlas: Atlas, where: NDArray[np.bool_]) -> pd.Series:
    """Sum up a map by an atlas on its grid; the density of each region."""
    table = region_table(values, atlas, where, grid=atlas.grid, method="", target="")
    frame = table.frame[table.frame["label"] != 0]
    return frame.set_index("region")["density"].dropna()


def by_array(values: NDArray[np.float32], atlas: Atlas) -> pd.Series:
    """Resize a map to the array of an atlas, affines left aside; the mean of each label."""
    factors = [n / m for n, m in zip(atlas.labels.shape, values.shape, strict=True)]
    there = zoom(values, factors, order=1, mode="nearest", grid_mode=True)
    count = np.bincount(atlas.labels.ravel())
    sums = np.bincount(atlas.labels.ravel(), weights=there.ravel())
    means = {name: sums[label] / count[label] for label, name in atlas.names.items()}
    return pd.Series(means) / sum(means.values())


def apart(atlas: Atlas, grid: Grid) -> float:
    """Tell how far, at the median voxel of a region, the resized map lies from its place, mm."""
    at = np.argwhere(atlas.labels > 0)[::50]
    step = np.array(grid.shape) / np.array(atlas.labels.shape)
    taken = grid.to_world((at + 0.5) * step - 0.5)
    return float(np.median(np.linalg.norm(taken - atlas.grid.to_world(at), axis=1)))


def first(values: pd.Series) -> list[str]:
    """Name the best."""
    return [str(name) for name in values.sort_values(ascending=False, kind="stable").index[:BEST]]


def like(values: pd.Series, other: pd.Series) -> dict[str, float]:
    """Compare two tables: rank correlation, and how many of the five best they share."""
    both = pd.concat([values, other], axis=1).dropna()
    rho = float(both.iloc[:, 0].corr(both.iloc[:, 1], method="spearman"))
    return {"rank_correlation": rho, "shared": len(set(first(values)) & set(first(other)))}


if __name__ == "__main__":
    main()
