"""``voxplain fit`` and ``voxplain phantom``: train networks, on real brains or on made ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from voxplain.cli.modules import importable_here
from voxplain.console import make_console, make_progress

__all__ = ["fit"]

_SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "roc_auc": "ROC AUC",
    "brier": "Brier",
    "mae": "mean error",
    "r": "r",
}


def fit(
    study: Annotated[Path, typer.Argument(help="Study with a cohort, see 'voxplain cohort'.")],
    out: Annotated[
        Path | None, typer.Option(help="Study for the results; else the same one.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="mrinet or another name; may be repeated.")
    ] = None,
    outcome: Annotated[
        str, typer.Option(help="label, or a column of numbers to predict, such as age.")
    ] = "label",
    cv: Annotated[int, typer.Option(help="Folds; 0 leaves one scan or group out at a time.")] = 10,
    repeats: Annotated[int, typer.Option(help="Times that the folds are drawn anew.")] = 1,
    group: Annotated[
        str, typer.Option(help="Column whose scans stay together; auto, or none to split families.")
    ] = "auto",
    schedule: Annotated[str, typer.Option(help="default, or kan2020 for the paper's.")] = "default",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Scans in a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam; the peak.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="flip, affine, noise, intensity, commas between; or none.")
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Weigh classes alike, whatever their size.")
    ] = False,
    parts: Annotated[
        int, typer.Option(help="Pieces in which a batch goes through, where memory is short.")
    ] = 1,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without gain on an inner part.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="auto, bfloat16 where it is right; or exact, float32 throughout.")
    ] = "auto",
    no_final: Annotated[
        bool, typer.Option("--no-final", help="Do not train on all scans as well.")
    ] = False,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Leave out the models on voxels.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option(help="Measures, such as FreeSurfer's, for models on a table.")
    ] = None,
    confound: Annotated[
        list[str] | None, typer.Option(help="Column to control for; else brain size, age, site.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over networks trained with other options.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
) -> None:
    """Train and cross-validate networks on a study's cohort."""
    from voxplain.errors import unknown_name
    from voxplain.fit.training.augment import CHANGES
    from voxplain.fit.training.schedule import PAPER_SCHEDULE, Schedule
    from voxplain.pipeline.fit.run import FitOptions, run_fit

    schedules = {"default": Schedule(), "kan2020": PAPER_SCHEDULE}
    if schedule not in schedules:
        raise unknown_name("schedule", schedule, schedules)
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if augment is not None:
        names = [name.strip() for name in augment.split(",")] if augment != "none" else []
        for name in names:
            if name not in ("flip", *CHANGES):
                raise unknown_name("augmentation", name, ["flip", *CHANGES, "none"])
        changes["mirror"] = "flip" in names
        changes["augment"] = tuple(name for name in names if name != "flip")
    plan = dataclasses.replace(
        schedules[schedule],
        class_weights=class_weights,
        parts=parts,
        patience=patience,
        precision=precision,
        **changes,
    )
    options = FitOptions(
        study=study,
        out=out or study,
        networks=tuple(dict.fromkeys(network or ["mrinet"])),
        outcome=outcome,
        folds=cv,
        repeats=repeats,
        group=group,
        schedule=plan,
        final=not no_final,
        baselines=not no_baselines,
        table=table,
        confounds=tuple(confound or ()),
        seed=seed,
        device=device,
        replace=replace,
    )
    console = make_console()
    with importable_here():
        result = run_fit(options, make_progress(console))
    if not result:
        return
    _tell(console, result)
    for name in ("fit.html", "summary.json"):
        console.print(f"Written: {options.out / name}", highlight=False, soft_wrap=True)


def _tell(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    from voxplain.report.words.scores import few_folds

    names = [name for name in _SHOWN if name in result]
    table = Table(title=f"{result['folds']} folds, held-out scans, 95 % intervals")
    table.add_column("model", overflow="fold")
    for name in names:
        table.add_column(_SHOWN[name], justify="right")
    for model, scores in result["models"].items():
        table.add_row(model, *(_cell(scores.get(name)) for name in names))
    console.print(table)
    if few := few_folds(result):
        console.print(few, highlight=False, soft_wrap=True)
    _tell_confounds(console, result)
    for name, reason in result["failed"].items():
        console.print(
            f"{name} failed, and is left out: {reason}",
            style="bold",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    test = result["permutation"]
    console.print(
        f"{next(iter(result['models']))} against shuffled labels: p = {test['p']:.3g} "
        f"({test['of']}). {result['grouping']}",
        highlight=False,
        soft_wrap=True,
    )


def _tell_confounds(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    found = result["confounds"]
    if not found:
        return
    name = "accuracy" if result["class_names"] else "mae"
    columns = ", ".join(found["columns"])
    matched = found.get("matched", {"scans": 0})
    table = Table(title=f"Controls for {columns}: pooled {_SHOWN[name]}")
    table.add_column("model", overflow="fold")
    for head in ("as it is", "without confounds", f"{matched['scans']} of matched size"):
        table.add_column(head, justify="right")
    for what, scores in found["alone"].items():
        table.add_row(f"{what} alone", f"{scores[name]:.3f}", "–", "–")
    table.add_section()
    for model, scores in result["models"].items():
        same_size = f"{matched[model][name]:.3f}" if matched["scans"] else "–"
        left = found["removed"][model][name]
        table.add_row(model, f"{scores[name]['pooled']:.3f}", f"{left:.3f}", same_size)
    console.print(table)


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return "–"
    low, high = score["ci"]
    value = score["mean"] if score["folds_ci"] else score["pooled"]
    return f"{value:.3f} ({low:.2f} to {high:.2f})"
