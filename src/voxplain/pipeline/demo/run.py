"""The whole job on a phantom cohort: make, train, explain, judge, report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.atlas import Atlas
from voxplain.attribution import METHODS, Engine
from voxplain.cohort import load_atlas
from voxplain.errors import InputError
from voxplain.fit import Schedule
from voxplain.group import region_table
from voxplain.maps import GroupMap, RegionTable
from voxplain.phantom import Phantom
from voxplain.pipeline.demo.judge import AFFECTED_CLASS, Judge, controls, group_maps
from voxplain.pipeline.demo.learn import Trained, prepare_phantom, train_network
from voxplain.pipeline.demo.pictures import demo_pictures, demo_viewer, smaller
from voxplain.pipeline.demo.summary import (
    SCORING,
    Clock,
    cohort_facts,
    estimates,
    network_facts,
    peak_rss_mb,
    region_ranks,
    training_facts,
    versions,
)
from voxplain.pipeline.made import write_page
from voxplain.pipeline.maps import Question
from voxplain.pipeline.streams import Some
from voxplain.pipeline.writing import explain_and_write
from voxplain.progress import Progress
from voxplain.report.pages.demo import demo_page
from voxplain.report.words.places import command_line
from voxplain.results.demo import DemoResult
from voxplain.results.summary import demo_json
from voxplain.study import Study
from voxplain.trust import FWHM_MM
from voxplain.volume import smooth

__all__ = ["DemoOptions", "run_demo"]

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
        How many held-out subjects meaningful perturbation, the costly method, explains.
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

    def command(self) -> str:
        """Return the command line that repeats the run."""
        return shlex.join(
            [
                *("voxplain", "demo", "--out", str(self.out), "--subjects", str(self.subjects)),
                *("--seed", str(self.seed), "--device", self.device),
                *("--perturbed", str(self.perturbed), "--epochs", str(self.epochs)),
            ]
        )


def run_demo(options: DemoOptions, progress: Progress) -> DemoResult:
    """Run the demonstration and return what it found.

    Files appear in the study folder as they are made; ``summary.json`` and ``report.html`` come
    last. A rerun with the same options keeps the training and every map that is there.

    Parameters
    ----------
    options : DemoOptions
    progress : Progress

    Returns
    -------
    DemoResult
        As ``summary.json`` has it.

    Raises
    ------
    VoxplainError
        If an option cannot be used or a file cannot be written.
    """
    clock = Clock()
    study = Study(options.out, "voxplain demonstration on a phantom cohort", __version__)
    study.claim("demo.json", {k: v for k, v in asdict(options).items() if k != "out"})
    engine = Engine(device=options.device)
    device = engine.resolve_device().type

    phantom, phantom_seconds = prepare_phantom(study, options.subjects, options.seed, progress)
    clock.lap("phantom")
    schedule = Schedule(epochs=options.epochs)
    trained = train_network(study, phantom, schedule, options.seed, device, progress)
    clock.lap("training")
    explained, questions = {}, _questions(phantom, trained, options)
    with engine.run() as shared:
        for name, (question, chosen) in questions.items():
            volumes = Some(phantom.cohort, chosen.tolist())
            explained[name] = explain_and_write(
                study, trained.network, volumes, question, shared, progress
            )
    clock.lap("explain")

    with progress.step("Scoring against truth, chance and controls", 1) as advance:
        blind = controls(phantom, trained.train, trained.held_out, lambda done: advance(done / 2))
        groups = group_maps(explained, phantom.cohort.class_names)
        judge = Judge(phantom, blind, groups, options.seed)
        chance_ap, chance_ap_95 = judge.chance()
        methods = {}
        for number, (name, (question, _)) in enumerate(questions.items(), start=1):
            methods[name] = judge.method_scores(question, explained[name], AFFECTED_CLASS)
            advance(0.5 + 0.3 * number / len(questions))
        atlas = load_atlas("AAL").on(phantom.cohort.grid)
        tables = {key: _table(map_, atlas, phantom.brain) for key, map_ in groups.items()}
    _write_groups(study, groups, blind, tables, phantom)
    clock.lap("scoring")

    held_out = estimates(phantom, trained, options.seed)
    result = DemoResult(
        title="A known effect, a trained network, and what its explanations found",
        command=command_line(shlex.split(options.command())[1:]),
        seed=options.seed,
        target="each subject's own class",
        grid=phantom.cohort.grid,
        cohort=cohort_facts(phantom, trained, phantom_seconds),
        accuracy=held_out["accuracy"],
        balanced_accuracy=held_out["balanced_accuracy"],
        roc_auc=held_out["roc_auc"],
        network=network_facts(trained, explained, device),
        training=training_facts(trained),
        fwhm_mm=FWHM_MM,
        scoring=SCORING,
        chance_ap=chance_ap,
        chance_ap_95=chance_ap_95,
        methods=methods,
        controls=judge.control_scores(),
        agreement=judge.agreements(AFFECTED_CLASS),
        regions=region_ranks(tables, atlas, phantom),
        versions=versions(),
    )
    with progress.step("Drawing figures and the report", 1) as advance:
        pictures = demo_pictures(phantom, trained, result, groups, blind, tables, advance)
        viewer = demo_viewer(phantom, groups, atlas)
        for name, png in pictures.items():
            study.write_bytes(f"figures/{name.replace(':', '_')}.png", png)
        clock.lap("report")
        result = replace(result, seconds=clock.seconds(), peak_rss_mb=peak_rss_mb())
        shown = {name: smaller(name, png) for name, png in pictures.items()}
        write_page(study, "report.html", demo_page(result, shown, viewer))
    study.write_json("summary.json", demo_json(result))
    return result


def _questions(
    phantom: Phantom, trained: Trained, options: DemoOptions
) -> dict[str, tuple[Question, NDArray[np.int64]]]:
    """Ask every method what speaks for each held-out subject's own class.

    Meaningful perturbation deletes towards the mean training image of the other class: a brain
    that the network has learned to call the opposite. It is asked of a few subjects alone.
    """
    cohort, labels = phantom.cohort, phantom.cohort.labels
    opposite = {c: cohort.mean(trained.train[labels[trained.train] != c]) for c in (0, 1)}
    few = _few(labels, trained, options.perturbed)
    asked: dict[str, tuple[dict[str, Any], NDArray[np.int64]]] = {
        "gradient": ({}, trained.held_out),
        "grad-cam": ({}, trained.held_out),
        "guided-backprop": ({}, trained.held_out),
        "meaningful-perturbation": ({"reference": opposite}, few),
    }
    return {
        name: (
            Question(
                name,
                target=[int(labels[i]) for i in chosen],
                class_names=cohort.class_names,
                options=own,
                seed=options.seed,
            ),
            chosen,
        )
        for name, (own, chosen) in asked.items()
    }


def _few(labels: NDArray[np.int64], trained: Trained, count: int) -> NDArray[np.int64]:
    """Choose held-out subjects, as many of either class, those first that are classified right."""
    right = trained.logits.argmax(axis=1) == labels[trained.held_out]
    order = trained.held_out[np.argsort(~right, kind="stable")]
    return np.sort(np.concatenate([order[labels[order] == c][: count // 2] for c in (0, 1)]))


def _table(map_: GroupMap, atlas: Atlas, brain: NDArray[np.bool_]) -> RegionTable:
    """Sum up the smoothed group map by regions: unsmoothed, voxel noise would weigh most."""
    values = smooth(map_.values, map_.grid, FWHM_MM)
    return region_table(
        values, atlas, brain, grid=map_.grid, method=map_.method, target=map_.target
    )


def _write_groups(
    study: Study,
    groups: Mapping[tuple[str, str], GroupMap],
    blind: Mapping[str, NDArray[np.float32]],
    tables: Mapping[tuple[str, str], RegionTable],
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
