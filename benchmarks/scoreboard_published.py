"""SE3D's table of localisation in 3D, as published, beside the scoreboard's single cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.attribution.methods import METHODS

__all__ = ["beside_se3d", "single_means"]

# VxAP, MaxF1 and Max3DBoxAcc of SE3D (ICIP 2024) on BraTS.
_PUBLISHED = {
    "Grad-CAM": (0.06, 0.13, 0.0),
    "Grad-CAM++": (0.09, 0.19, 0.0),
    "HiResCAM": (0.09, 0.18, 0.0),
    "Saliency Tubes": (0.12, 0.21, 0.19),
}
Means = Mapping[str, Mapping[str, Sequence[float]]]


def single_means(records: Sequence[Mapping[str, Any]], kept: Means) -> dict[str, Any]:
    """Average over seeds what SE3D measures, of maps of single scans.

    Parameters
    ----------
    records : sequence of mapping
        Of cells of the additive effect, by `benchmarks.scoreboard_cells.shortened`.
    kept : mapping
        What this gave before, for bases of which a cell was kept without these figures.

    Returns
    -------
    dict
        By base and method: average precision, MaxF1, Max3DBoxAcc.
    """
    made: dict[str, Any] = {}
    for base in ("template", "ixi30"):
        cells = [one["methods"] for one in records if one["base"] == base]
        if not all("max_f1" in judged["subjects"] for one in cells for judged in one.values()):
            made[base] = kept[base]
        elif cells:
            made[base] = {
                name: _means([one[name]["subjects"] for one in cells]) for name in cells[0]
            }
    return made


def _means(found: Sequence[Mapping[str, Any]]) -> list[float]:
    rows = [(one["ap"][0], one["max_f1"], one["box_found"]) for one in found]
    return [float(value) for value in np.mean(rows, axis=0)]


def beside_se3d(means: Means) -> list[str]:
    """Write lines of the page.

    Parameters
    ----------
    means : mapping
        See `single_means`.

    Returns
    -------
    list of str
    """
    lines = [
        "## Beside SE3D",
        "",
        "SE3D (ICIP 2024) measured maps of single scans in the same three ways: voxel average",
        "precision, best F1, and the share of scans whose largest part overlaps the truth's box by",
        "half. **The tasks differ**: there a network told halves of brains with a tumour from",
        "those without, right in .796 of them, and the truth is the tumour; here a region of some",
        "cm³ changes its intensity in a phantom. The rows are no contest; both find class",
        "activation maps near chance.",
        "",
        "| method | task | average precision | MaxF1 | Max3DBoxAcc |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, values in _PUBLISHED.items():
        cells = " | ".join(f"{value:.2f}".removeprefix("0") for value in values)
        lines.append(f"| {name} | BraTS, as SE3D published | {cells} |")
    for base, found in means.items():
        for name, figures in found.items():
            cells = " | ".join(f"{value:.2f}".removeprefix("0") for value in figures)
            lines.append(f"| {METHODS[name].info.label} | additive, {base} | {cells} |")
    return [*lines, ""]
