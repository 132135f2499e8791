"""What the demo tells of the cohort, the network, the regions and the run."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping

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
from voxplain.results.demo import CohortFacts, EffectFacts, Estimate, NetworkFacts, TrainingFacts
from voxplain.results.localisation import RegionRanks, RegionRow, RegionsResult
from voxplain.trust import FWHM_MM

__all__ = [
    "SCORING",
    "Clock",
    "cohort_facts",
    "estimates",
    "network_facts",
    "peak_rss_mb",
    "region_ranks",
    "training_facts",
    "versions",
]

SCORING = (
    f"Signed maps are averaged over subjects, smoothed by {FWHM_MM:g} mm (full width at half "
    "maximum), made absolute, and ranked inside the brain; the two controls are treated alike."
)
"""How a map becomes a ranking of voxels."""

TOP_REGIONS = 10
_COLUMNS = ["region", "mean", "peak", "share", "density", "rank"]


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


def cohort_facts(phantom: Phantom, trained: Trained, seconds: float) -> CohortFacts:
    """Sizes, classes, the effect, and what a subject cost."""
    cohort, effect = phantom.cohort, phantom.scenario.effect
    return CohortFacts(
        subjects=len(cohort),
        train=len(trained.train),
        held_out=len(trained.held_out),
        classes=cohort.class_names,
        class_counts={
            name: int((cohort.labels == c).sum()) for c, name in enumerate(cohort.class_names)
        },
        effect=EffectFacts(
            regions=tuple(effect.regions),
            description=effect.describe(),
            strength=effect.strength,
            spread=effect.spread,
            bayes_accuracy=effect.bayes_accuracy,
            volume_ml=float(phantom.support.sum() * cohort.grid.voxel_volume / 1000),
        ),
        seconds_per_subject=seconds / len(cohort),
    )


def estimates(phantom: Phantom, trained: Trained, seed: int) -> dict[str, Estimate]:
    """Accuracy, balanced accuracy and ROC AUC on held-out subjects, each with its interval.

    Parameters
    ----------
    phantom : Phantom
    trained : Trained
    seed : int
        Of the bootstrap.
    """
    labels = phantom.cohort.labels[trained.held_out]
    scores = classification_scores(trained.logits, labels, seed=seed)
    return {name: Estimate(one.value, (one.low, one.high)) for name, one in scores.items()}


def network_facts(
    trained: Trained, explained: Mapping[str, Explained], device: str
) -> NetworkFacts:
    """Name, size, hash, and how the engine ran it."""
    first = {name: result.maps[0].provenance for name, result in explained.items()}
    return NetworkFacts(
        name=type(trained.network).__name__,
        parameters=count_parameters(trained.network),
        weights_sha256=weights_sha256(trained.network),
        layer=next((p.layer for p in first.values() if p.layer), None),
        precision=next(iter(first.values())).precision,
        device=device,
    )


def training_facts(trained: Trained) -> TrainingFacts:
    """Report the schedule, the loss and accuracy of every epoch, and the time."""
    return TrainingFacts(trained.schedule.describe(), trained.history, trained.seconds)


def region_ranks(
    tables: Mapping[tuple[str, str], RegionTable], atlas: Atlas, phantom: Phantom
) -> RegionsResult:
    """List the first regions of every table, and the ranks of those truly affected."""
    affected = tuple(phantom.scenario.effect.regions)
    methods: dict[str, dict[str, RegionRanks]] = {}
    for (name, class_name), table in tables.items():
        regions = table.frame[table.frame["label"] > 0]
        top = regions.dropna(subset=["rank"]).nsmallest(TOP_REGIONS, "rank")
        rows = tuple(
            RegionRow(region, mean, peak, share, density, int(rank), region in affected)
            for region, mean, peak, share, density, rank in top[_COLUMNS].to_numpy().tolist()
        )
        methods.setdefault(name, {})[class_name] = RegionRanks(
            rows,
            ranks_of(table, affected) if rows else dict.fromkeys(affected),
            int((regions["voxels"] > 0).sum()),
        )
    return RegionsResult(atlas.name, affected, methods)


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
