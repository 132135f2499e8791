"""Tables of regions, written: TSV with a sidecar, and LaTeX."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxplain.study import Study

if TYPE_CHECKING:
    import pandas as pd
from voxplain.tables.formulas import plain_table

__all__ = ["best_regions", "by_rank", "write_regions"]

BEST = 5
_COLUMNS = {
    "class": "whose scans: all, or those of one class",
    "label": "of the region in the atlas; 0 for what no region covers",
    "region": "its name",
    "participants": "how many have it",
    "voxels": "of the map, in the region and in the brain",
    "volume_ml": "of these, mL",
    "mean": "of the signed values, in the map's unit",
    "mean_absolute": "of their magnitudes",
    "peak": "the value of largest magnitude, with its sign",
    "peak_x": "where it lies: right, mm",
    "peak_y": "front, mm",
    "peak_z": "up, mm",
    "share": "of the summed magnitudes in the brain",
    "density": "share over the region's share of the brain's volume; 1 is what size alone gives",
    "rank": "by density, 1 for the highest",
    "sd": "of the region's mean, over participants",
    "rank_low": "of 95 % of bootstrap draws of the participants",
    "rank_high": "of the same",
    "mean_t": "of the region's voxels",
    "peak_t": "the largest magnitude, with its sign",
    "x": "where it lies: right, mm",
    "y": "front, mm",
    "z": "up, mm",
    "true_voxels": "at least so many truly differ, all regions at once, 95 %",
    "true_share": "these over the region's voxels",
}
_LATEX = ("region", "volume_ml", "mean", "density", "peak", "sd", "rank", "rank_low", "rank_high")


def write_regions(
    study: Study, start: str, frame: pd.DataFrame, told: Mapping[str, Any], latex: bool
) -> list[str]:
    """Write a table of regions.

    Parameters
    ----------
    study : Study
    start : str
        Path in the study without its ending.
    frame : pandas.DataFrame
        As `voxplain.group.region_table` gives it, or more.
    told : mapping
        For the sidecar: of what, by which atlas, and how it fits.
    latex : bool
        Whether the first rows are written for LaTeX too.

    Returns
    -------
    list of str
        The files, as paths in the study, the table first.
    """
    files = [f"{start}_regions.tsv"]
    text = plain_table(frame).to_csv(sep="\t", index=False, float_format="%.6g", na_rep="n/a")
    study.write_text(files[0], text)
    columns = {
        name: {"Description": _COLUMNS.get(name, "family-wise p, the region's smallest")}
        for name in frame.columns
    }
    study.write_json(f"{start}_regions.json", {**columns, "Regions": told})
    files.append(f"{start}_regions.json")
    if latex:
        files.append(f"{start}_regions.tex")
        study.write_text(files[-1], _latex(frame))
    return files


def by_rank(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the densest regions first, those of each class together."""
    order = [name for name in ("class", "rank", "label") if name in frame]
    return frame.sort_values(order, kind="stable")


def best_regions(frame: pd.DataFrame, count: int = BEST) -> dict[str, list[str]]:
    """Name the densest regions of each class, the first five as the paper lists them."""
    named = frame[(frame["label"] != 0) & frame["rank"].notna() & (frame["voxels"] > 0)]
    by = named.groupby("class", sort=False) if "class" in named else [("all", named)]
    return {
        str(whose): part.sort_values("rank", kind="stable")["region"].head(count).tolist()
        for whose, part in by
    }


def _latex(table: pd.DataFrame) -> str:
    """Write the chosen columns as a tabular with rules of booktabs."""
    first: Sequence[str] = ["class"] if "class" in table else []
    chosen = [name for name in (*first, *_LATEX) if name in table]
    chosen += [name for name in table.columns if name.startswith("p_") or name == "true_share"]
    short = table[chosen].set_axis([name.replace("_", " ") for name in chosen], axis="columns")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(short.to_latex(index=False, escape=True, float_format="%.3g", na_rep="--"))
