"""``voxplain reclassify``: what is left of a network's answer behind masks of its own evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from voxplain.cli.options.modules import importable_here
from voxplain.console import make_console, make_progress

__all__ = ["reclassify"]


def reclassify(
    study: Annotated[Path, typer.Argument(help="Study with a cohort, see 'voxplain cohort'.")],
    out: Annotated[
        Path | None, typer.Option(help="Study for the results; else the same one.")
    ] = None,
    network: Annotated[str, typer.Option(help="mrinet or another name.")] = "mrinet",
    method: Annotated[
        str | None, typer.Option(help="Whose maps make the masks; gradient where none is named.")
    ] = None,
    share: Annotated[float, typer.Option(help="Part of the brain that a mask lets through.")] = 0.1,
    soft: Annotated[
        bool, typer.Option("--soft", help="Weigh voxels by rank instead of all or nothing.")
    ] = False,
    fwhm: Annotated[float, typer.Option(help="Smoothing of the mean maps, mm.")] = 8.0,
    explained: Annotated[
        int, typer.Option(help="Training scans of each class whose maps make a mask.")
    ] = 20,
    no_retrain: Annotated[
        bool,
        typer.Option(
            "--no-retrain", help="Train no network on masked scans, only mask held-out ones."
        ),
    ] = False,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Masks that know the held-out scans, as published; leaky."),
    ] = False,
    cv: Annotated[int, typer.Option(help="Folds.")] = 10,
    group: Annotated[
        str, typer.Option(help="Column whose scans stay together; auto, or none to split families.")
    ] = "auto",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same masks.")] = 0,
) -> None:
    """Classify held-out scans again from behind masks of where the evidence lies."""
    from voxplain.attribution import METHODS
    from voxplain.errors import unknown_name
    from voxplain.fit import Schedule
    from voxplain.pipeline.reclassify.run import ReclassifyOptions
    from voxplain.pipeline.reclassify.run import reclassify as run
    from voxplain.report.words.scores import few_folds

    method = method or "gradient"
    if method not in METHODS and not method.startswith("captum:"):
        raise unknown_name("method", method, METHODS)
    schedule = Schedule() if epochs is None else replace(Schedule(), epochs=epochs)
    options = ReclassifyOptions(
        study=study,
        out=out or study,
        network=network,
        method=method,
        share=share,
        soft=soft,
        fwhm=fwhm,
        explained=explained,
        retrain=not no_retrain,
        leaky=paper,
        folds=cv,
        group=group,
        schedule=schedule,
        seed=seed,
        device=device,
    )
    console = make_console()
    with importable_here():
        result = run(options, make_progress(console))
    shown = Table(title=f"{method}, {100 * share:g} % of the brain, held-out scans")
    for name in ("condition", "accuracy", "95 % interval", "ROC AUC"):
        shown.add_column(name, justify="left" if name == "condition" else "right")
    for condition, judged in result.conditions.items():
        accuracy, area = judged.scores["accuracy"], judged.scores["roc_auc"]
        low, high = accuracy.ci
        shown.add_row(
            str(condition), f"{accuracy.mean:.3f}", f"{low:.2f} to {high:.2f}", f"{area.mean:.3f}"
        )
    console.print(shown)
    if few := few_folds(result.folds):
        console.print(few, highlight=False, soft_wrap=True)
    if paper:
        console.print("The masks know the held-out scans: these figures are too good.")
    for name in ("reclassify.html", "summary.json"):
        console.print(f"Written: {options.out / name}", highlight=False, soft_wrap=True)
