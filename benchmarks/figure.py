"""The picture of the bench: ms per image, method by method, tool by tool."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

__all__ = ["draw"]

LABELS = {
    "forward": "forward pass",
    "gradient": "gradient",
    "grad-cam": "Grad-CAM",
    "guided-backprop": "guided backpropagation",
}
COLOURS = {"voxplain": "#0b5fa5", "voxplain, exact": "#7fb2dc"}
OTHER = "#b9b9b9"


def draw(rows: list[dict[str, Any]], machine: dict[str, Any], batch: int = 8) -> bytes:
    """Draw horizontal bars for the methods of one pass, PNG."""
    on_cpu = machine["device"] == "cpu"
    where = f"{machine['threads']} processor cores" if on_cpu else machine["device"]
    shown = [r for r in rows if r["batch"] == batch and r["method"] in LABELS]
    ordered = [
        row
        for method in LABELS
        for row in sorted(
            (r for r in shown if r["method"] == method), key=lambda r: r["ms_per_image"]
        )
    ]
    figure, axis = plt.subplots(figsize=(7.2, 0.29 * len(ordered) + 1.4), layout="constrained")
    place, places, last = 0.0, [], ""
    for row in ordered:
        if row["method"] != last:
            place += 0.7
            axis.text(
                0, place - 0.75, LABELS[row["method"]], fontsize=9, fontweight="bold", va="center"
            )
            place += 0.35
        last = row["method"]
        colour = COLOURS.get(row["tool"], OTHER)
        axis.barh(place, row["ms_per_image"], height=0.8, color=colour)
        axis.text(
            row["ms_per_image"],
            place,
            f"  {row['ms_per_image']:.{0 if on_cpu else 1}f}",
            fontsize=8,
            va="center",
        )
        places.append((place, row["tool"]))
        place += 1
    axis.set_yticks([p for p, _ in places], [name for _, name in places], fontsize=8)
    axis.set_ylim(place - 0.4, -0.6)
    axis.set_xlim(0, 1.12 * max(row["ms_per_image"] for row in ordered))
    axis.set_xlabel(f"ms per image of 58×70×58 voxels, batches of {batch}, {where}")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=170)
    plt.close(figure)
    return buffer.getvalue()
