"""The whole job on a phantom cohort: make, train, explain, judge, report."""

from __future__ import annotations

import resource
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.atlas import Atlas
from voxplain.cohort import load_atlas
from voxplain.errors import InputError
from voxplain.explain import METHODS, Engine, weights_sha256
from voxplain.fit import Schedule, classification_scores
from voxplain.group import ranks_of, region_table
from voxplain.maps import GroupMap, RegionTable
from voxplain.nets import count_parameters
from voxplain.phantom import Phantom
from voxplain.pipeline.learn import Trained, prepare_phantom, train_network
from voxplain.pipeline.maps import Explained, Question, explain_and_write
from voxplain.pipeline.pictures import demo_pictures, demo_viewers
from voxplain.pipeline.score import FWHM_MM, Judge, controls, group_maps
from voxplain.progress import Progress
from voxplain.report import demo_page, render
from voxplain.study import Study
from voxplain.volume import Volume, smooth

__all__ = ["DemoOptions", "run_demo"]

AFFECTED_CLASS = "case"
FEWEST_SUBJECTS = 20


@dataclass(frozen=True)
class DemoOptions:
    """What the demonstration is run with.

    Parameters
    ----------
    out : pathlib.Path
        The study folder.
    subjects : int
        Size of the phantom cohort.
    seed : int
    device : str
        ``auto`` takes an accelerator where there is one.
    perturbed : int
        How many held-out subjects meaningful perturbation explains; it costs some fifty times
        as much as the other methods.
    epochs : int
        Passes over the training part.
    """

    out: Path
    subjects: int = 120
    seed: int = 0
    device: str = "auto"
    perturbed: int = 12
    epochs: int = Schedule().epochs

    def __post_init__(self) -> None:
        if self.subjects < FEWEST_SUBJECTS:
            raise InputError(
                f"The demo needs at least {FEWEST_SUBJECTS} subjects to train, hold out and "
                f"average; {self.subjects} was given."
            )
        if self.perturbed < 2 or self.epochs < 1:
            raise InputError("The demo needs two perturbed subjects and one epoch, or more.")


def run_demo(options: DemoOptions, progress: Progress) -> dict[str, Any]:
    """Run the demonstration and return its summary.

    Files appear in the study folder as they are made; ``summary.json`` and ``report.html`` come
    last. A rerun with the same options keeps the training and every map that is there.

    Parameters
    ----------
    options : DemoOptions
    progress : Progress

    Returns
    -------
    dict
        What ``summary.json`` holds.

    Raises
    ------
    VoxplainError
        If an option cannot be used or a file cannot be written.
    """
    clock = _Clock()
    study = Study(options.out, "voxplain demonstration on a phantom cohort", __version__)
    engine = Engine(device=options.device)
    device = engine.pick_device()

    phantom = prepare_phantom(study, options.subjects, options.seed, progress)
    clock.lap("phantom")
    schedule = Schedule(epochs=options.epochs)
    trained = train_network(study, phantom, schedule, options.seed, device, progress)
    clock.lap("training")
    questions = _questions(phantom, trained, options.seed)
    explained = {
        name: explain_and_write(
            study,
            trained.network,
            _volumes(phantom, trained, options.perturbed if _is_costly(name) else None),
            question,
            engine,
            progress,
        )
        for name, question in questions.items()
    }
    clock.lap("explain")

    with progress.step("Scoring against truth, chance and controls", 1) as advance:
        blind = controls(phantom, trained.train, trained.held_out, lambda done: advance(done / 2))
        groups = group_maps(explained, phantom.cohort.class_names)
        judge = Judge(phantom, blind, groups, options.seed)
        chance_ap, chance_ap_95 = judge.chance()
        methods = {}
        for number, (name, question) in enumerate(questions.items(), start=1):
            methods[name] = judge.method_scores(question, explained[name], AFFECTED_CLASS)
            advance(0.5 + 0.3 * number / len(questions))
        agreement = judge.agreements(AFFECTED_CLASS)
        atlas = load_atlas("AAL").on(phantom.cohort.grid)
        tables = {key: _table(map_, atlas, phantom.brain) for key, map_ in groups.items()}
    _write_groups(study, groups, blind, tables, phantom)
    clock.lap("scoring")

    summary: dict[str, Any] = {
        "title": "A known effect, a trained network, and what its explanations found",
        "command": shlex.join(["voxplain", *sys.argv[1:]]) if len(sys.argv) > 1 else "",
        "seed": options.seed,
        "target": "predicted",
        "grid": phantom.cohort.grid.to_dict() | {"text": str(phantom.cohort.grid)},
        "cohort": _cohort_figures(phantom, trained, clock.laps["phantom"]),
        **_accuracy_figures(phantom, trained, options.seed),
        "network": {
            "name": type(trained.network).__name__,
            "parameters": count_parameters(trained.network),
            "weights_sha256": weights_sha256(trained.network),
            "layer": explained["grad-cam"].maps[0].provenance.layer,
            "precision": explained["gradient"].maps[0].provenance.precision,
            "device": device,
        },
        "training": {
            "schedule": schedule.describe(),
            "history": [epoch.to_dict() for epoch in trained.history],
            "seconds": trained.seconds,
        },
        "scoring": {
            "fwhm_mm": FWHM_MM,
            "description": (
                f"Signed maps are averaged over subjects, smoothed by {FWHM_MM:g} mm (full width "
                "at half maximum), made absolute, and ranked inside the brain; the two controls "
                "are treated alike."
            ),
        },
        "chance_ap": chance_ap,
        "chance_ap_95": chance_ap_95,
        "methods": methods,
        "controls": judge.control_scores(),
        "agreement": agreement,
        "regions": _region_figures(tables, atlas, phantom),
        "versions": {
            "voxplain": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": sys.version.split()[0],
        },
    }
    with progress.step("Drawing figures and the report", 1) as advance:
        pictures = demo_pictures(phantom, trained, summary, groups, blind, tables, advance)
        viewers = demo_viewers(phantom, groups)
        for name, png in pictures.items():
            study.write_bytes(f"figures/{name.replace(':', '_')}.png", png)
        clock.lap("report")
        summary["seconds"] = clock.total()
        summary["peak_rss_mb"] = _peak_rss_mb()
        study.write_text("report.html", render(demo_page(summary, pictures, viewers)))
    study.write_json("summary.json", summary)
    return summary


class _Clock:
    """Seconds per part of the run."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now

    def total(self) -> dict[str, float]:
        return {"total": time.perf_counter() - self.began} | self.laps


def _is_costly(method: str) -> bool:
    return method == "meaningful-perturbation"


def _questions(phantom: Phantom, trained: Trained, seed: int) -> dict[str, Question]:
    """Ask every method about each subject's predicted class.

    Meaningful perturbation deletes towards the mean training image of the other class: a brain
    that the network has learned to call the opposite.
    """
    cohort, labels = phantom.cohort, phantom.cohort.labels
    opposite = {c: cohort.mean(trained.train[labels[trained.train] != c]) for c in (0, 1)}
    options = {"meaningful-perturbation": {"reference": opposite}}
    return {
        name: Question(name, class_names=cohort.class_names, seed=seed, options=options.get(name))
        for name in ("gradient", "grad-cam", "guided-backprop", "meaningful-perturbation")
    }


def _volumes(phantom: Phantom, trained: Trained, at_most: int | None) -> list[Volume]:
    """Held-out subjects; with a limit, the first ones of each predicted class in equal number."""
    predicted = trained.logits.argmax(axis=1)
    chosen = range(len(trained.held_out))
    if at_most is not None:
        first = [np.flatnonzero(predicted == c)[: at_most // 2] for c in (0, 1)]
        chosen = sorted(int(i) for i in np.concatenate(first))  # type: ignore[assignment]
    return [phantom.cohort[int(trained.held_out[i])] for i in chosen]


def _table(map_: GroupMap, atlas: Atlas, brain: NDArray[np.bool_]) -> RegionTable:
    """Sum up the smoothed group map by regions: unsmoothed, voxel noise would weigh most."""
    values = smooth(map_.values, map_.grid, FWHM_MM)
    return region_table(
        values, atlas, brain, grid=map_.grid, method=map_.method, target=map_.target
    )


def _write_groups(
    study: Study,
    groups: dict[tuple[str, str], GroupMap],
    blind: dict[str, NDArray[np.float32]],
    tables: dict[tuple[str, str], RegionTable],
    phantom: Phantom,
) -> None:
    for (name, class_name), map_ in groups.items():
        label = METHODS[name].info.label
        path = study.write_group_map(map_, label)
        table = tables[name, class_name].frame.sort_values("rank")
        text = table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g")
        study.write_text(f"group/{path.name.split('_')[0]}_atlas-AAL_regions.tsv", text)
    for name, values in blind.items():
        study.write_volume(f"group/control-{name}_statmap", values, phantom.cohort.grid)


def _cohort_figures(phantom: Phantom, trained: Trained, seconds: float) -> dict[str, Any]:
    cohort, effect = phantom.cohort, phantom.scenario.effect
    return {
        "subjects": len(cohort),
        "train": len(trained.train),
        "held_out": len(trained.held_out),
        "classes": list(cohort.class_names),
        "effect": {
            "regions": list(effect.regions),
            "description": effect.describe(),
            "strength": effect.strength,
            "spread": effect.spread,
            "volume_ml": float(phantom.support.sum() * cohort.grid.voxel_volume / 1000),
        },
        "seconds_per_subject": seconds / len(cohort),
    }


def _accuracy_figures(phantom: Phantom, trained: Trained, seed: int) -> dict[str, Any]:
    labels = phantom.cohort.labels[trained.held_out]
    out: dict[str, Any] = {}
    for name, score in classification_scores(trained.logits, labels, seed=seed).items():
        out[name] = score.value
        out[f"{name}_ci"] = [score.low, score.high]
    return out


def _region_figures(
    tables: dict[tuple[str, str], RegionTable], atlas: Atlas, phantom: Phantom
) -> dict[str, Any]:
    affected = list(phantom.scenario.effect.regions)
    methods: dict[str, dict[str, Any]] = {}
    for (name, class_name), table in tables.items():
        top = table.frame.dropna(subset=["rank"]).nsmallest(10, "rank")
        columns = ["region", "mean", "peak", "share", "density", "rank"]
        rows = [
            row | {"affected": row["region"] in affected}
            for row in top[columns].to_dict(orient="records")
        ]
        methods.setdefault(name, {})[class_name] = {
            "top": rows,
            "affected_ranks": ranks_of(table, affected),
            "n_regions": int((table.frame["voxels"] > 0).sum() - 1),
        }
    return {"atlas": atlas.name, "affected": affected, "methods": methods}


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2
