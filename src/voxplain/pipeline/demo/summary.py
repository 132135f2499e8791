"""What the demo's ``summary.json`` says of the cohort, the network, the regions and the run."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from voxplain import __version__
from voxplain.atlas import Atlas
from voxplain.attribution import weights_sha256
from voxplain.fit import classification_scores
from voxplain.group import ranks_of
from voxplain.maps import RegionTable
from voxplain.nets import count_parameters
from voxplain.phantom import Phantom
from voxplain.pipeline.demo.learn import Trained
from voxplain.pipeline.writing import Explained
from voxplain.trust import FWHM_MM

__all__ = [
    "Clock",
    "accuracy_figures",
    "cohort_figures",
    "network_figures",
    "peak_rss_mb",
    "region_figures",
    "scoring_figures",
    "training_figures",
    "versions",
]

TOP_REGIONS = 10


class Clock:
    """Seconds per part of the run."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End a part."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Return the time since the start as ``total``, and that of every part."""
        return {"total": time.perf_counter() - self._began} | self.laps


def cohort_figures(phantom: Phantom, trained: Trained, seconds: float) -> dict[str, Any]:
    """Sizes, classes, the effect, and what a subject cost."""
    cohort, effect = phantom.cohort, phantom.scenario.effect
    return {
        "subjects": len(cohort),
        "train": len(trained.train),
        "held_out": len(trained.held_out),
        "classes": list(cohort.class_names),
        "class_counts": {
            name: int((cohort.labels == c).sum()) for c, name in enumerate(cohort.class_names)
        },
        "effect": {
            "regions": list(effect.regions),
            "description": effect.describe(),
            "strength": effect.strength,
            "spread": effect.spread,
            "bayes_accuracy": effect.bayes_accuracy,
            "volume_ml": float(phantom.support.sum() * cohort.grid.voxel_volume / 1000),
        },
        "seconds_per_subject": seconds / len(cohort),
    }


def accuracy_figures(phantom: Phantom, trained: Trained, seed: int) -> dict[str, Any]:
    """Accuracy, balanced accuracy and ROC AUC on held-out subjects, each with its interval."""
    labels = phantom.cohort.labels[trained.held_out]
    out: dict[str, Any] = {}
    for name, score in classification_scores(trained.logits, labels, seed=seed).items():
        out[name] = score.value
        out[f"{name}_ci"] = [score.low, score.high]
    return out


def network_figures(
    trained: Trained, explained: Mapping[str, Explained], device: str
) -> dict[str, Any]:
    """Name, size, hash, and how the engine ran it."""
    first = {name: result.maps[0].provenance for name, result in explained.items()}
    return {
        "name": type(trained.network).__name__,
        "parameters": count_parameters(trained.network),
        "weights_sha256": weights_sha256(trained.network),
        "layer": next((p.layer for p in first.values() if p.layer), None),
        "precision": next(iter(first.values())).precision,
        "device": device,
    }


def training_figures(trained: Trained) -> dict[str, Any]:
    """Report the schedule, the loss and accuracy of every epoch, and the time."""
    return {
        "schedule": trained.schedule.describe(),
        "history": [epoch.to_dict() for epoch in trained.history],
        "seconds": trained.seconds,
    }


def scoring_figures() -> dict[str, Any]:
    """How a map becomes a ranking of voxels."""
    return {
        "fwhm_mm": FWHM_MM,
        "description": (
            f"Signed maps are averaged over subjects, smoothed by {FWHM_MM:g} mm (full width at "
            "half maximum), made absolute, and ranked inside the brain; the two controls are "
            "treated alike."
        ),
    }


def region_figures(
    tables: Mapping[tuple[str, str], RegionTable], atlas: Atlas, phantom: Phantom
) -> dict[str, Any]:
    """List the first regions of every table, and the ranks of those truly affected."""
    affected = list(phantom.scenario.effect.regions)
    methods: dict[str, dict[str, Any]] = {}
    for (name, class_name), table in tables.items():
        regions = table.frame[table.frame["label"] > 0]
        top = regions.dropna(subset=["rank"]).nsmallest(TOP_REGIONS, "rank")
        columns = ["region", "mean", "peak", "share", "density", "rank"]
        methods.setdefault(name, {})[class_name] = {
            "top": [
                {str(k): v for k, v in row.items()}
                | {"rank": int(row["rank"]), "affected": row["region"] in affected}
                for row in top[columns].to_dict(orient="records")
            ],
            "affected_ranks": (dict.fromkeys(affected) if top.empty else ranks_of(table, affected)),
            "n_regions": int((regions["voxels"] > 0).sum()),
        }
    return {"atlas": atlas.name, "affected": affected, "methods": methods}


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    return {
        "voxplain": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }


def peak_rss_mb() -> float:
    """Largest memory of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2
