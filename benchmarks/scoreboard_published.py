"""SE3D's table of localisation in 3D, as published, beside the scoreboard's single cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.attribution.methods import METHODS

__all__ = ["beside_se3d"]

# VxAP, MaxF1 and Max3DBoxAcc of SE3D (ICIP 2024) on BraTS.
_PUBLISHED = {
    "Grad-CAM": (0.06, 0.13, 0.0),
    "Grad-CAM++": (0.09, 0.19, 0.0),
    "HiResCAM": (0.09, 0.18, 0.0),
    "Saliency Tubes": (0.12, 0.21, 0.19),
}
_MEASURES = ("average_precision", "max_f1", "box_found")


def beside_se3d(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write lines of the page.

    Parameters
    ----------
    records : sequence of mapping
        What `benchmarks.scoreboard.run` gave of cells of the additive effect.

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
    for base in ("template", "ixi30"):
        alike = [one for one in records if one["base"] == base]
        for name in alike[0]["methods"] if alike else ():
            found = [one["methods"][name]["subjects"]["found"] for one in alike]
            means = [float(np.mean([one[key]["value"] for one in found])) for key in _MEASURES]
            cells = " | ".join(f"{value:.2f}".removeprefix("0") for value in means)
            lines.append(f"| {METHODS[name].info.label} | additive, {base} | {cells} |")
    return [*lines, ""]
