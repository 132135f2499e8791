"""``voxplain fit`` and ``voxplain phantom``: train networks, on real brains or on made ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from voxplain.cli.options.modules import importable_here
from voxplain.cli.options.shards import (
    DaskOption,
    ManifestOption,
    ShardOption,
    WorkersOption,
    read_shard,
    read_workers,
    tell_part,
)
from voxplain.console import make_console, make_progress

if TYPE_CHECKING:
    from voxplain.results.fit import FitResult
    from voxplain.results.scores import HeldOut

__all__ = ["fit"]

_PERMUTED = frozenset(("study", "permuted_labels", "network", "blocks", "device"))
_SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "roc_auc": "ROC AUC",
    "brier": "Brier",
    "mae": "mean error",
    "r": "r",
}


def fit(
    context: typer.Context,
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
    permuted_labels: Annotated[
        int | None,
        typer.Option(
            help="Train the networks of an earlier fit so many times on permuted labels instead, "
            "for 'voxplain group --null labels': 19 or more."
        ),
    ] = None,
    blocks: Annotated[
        str, typer.Option(help="Whose labels change places, as for 'voxplain group'.")
    ] = "auto",
    shard: ShardOption = None,
    manifest: ManifestOption = None,
    workers: WorkersOption = None,
    dask: DaskOption = None,
) -> tuple[Path, str] | None:
    """Train and cross-validate networks on a study's cohort."""
    if permuted_labels is not None:
        _require_only(context, _PERMUTED)
        _train_permuted(study, permuted_labels, tuple(network or ()), blocks, device)
        return None
    from voxplain.errors import InputError, unknown_name
    from voxplain.fit.training.augment import CHANGES
    from voxplain.fit.training.schedule import PAPER_SCHEDULE, Schedule
    from voxplain.pipeline.fit.parts import fit_on_workers, fit_part, fit_study
    from voxplain.pipeline.fit.run import FitOptions

    part, helpers = read_shard(shard, manifest), read_workers(workers, dask, shard)
    if blocks != "auto":
        raise InputError("--blocks goes with --permuted-labels; folds are cut by --group.")
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
        if part:
            run = fit_part(options, part, make_progress(console), manifest)
            tell_part(run, part, options.out, console)
            return options.out, run
        progress = make_progress(console)
        result = (
            fit_on_workers(options, helpers, progress) if helpers else fit_study(options, progress)
        )
    if result is None:
        return None
    _tell(console, result)
    for name in ("fit.html", "summary.json"):
        console.print(f"Written: {options.out / name}", highlight=False, soft_wrap=True)
    return None


def _require_only(context: typer.Context, allowed: frozenset[str]) -> None:
    from voxplain.errors import InputError

    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in allowed and str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    ]
    if given:
        raise InputError(
            "--permuted-labels takes folds, schedule and seed from the fit that is there; leave "
            f"{', '.join(given)} out."
        )


def _train_permuted(
    study: Path, count: int, networks: tuple[str, ...], blocks: str, device: str
) -> None:
    from voxplain.pipeline.fit.permuted import PermutedOptions, train_permuted

    console = make_console()
    with importable_here():
        options = PermutedOptions(study, count, networks, blocks, device)
        found = train_permuted(options, make_progress(console))
    for name in dict.fromkeys(one["network"] for one in found):
        values = [one["value"] for one in found if one["network"] == name]
        console.print(
            f"{name} on {len(values)} permutations of the labels: held-out {found[0]['score']} "
            f"{sum(values) / len(values):.3f} on average ({min(values):.3f} to {max(values):.3f}).",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Written: {study / 'null'}", highlight=False, soft_wrap=True)


def _tell(console: Console, result: FitResult) -> None:
    from rich.table import Table

    from voxplain.report.words.scores import few_folds

    first = result.first
    names = [name for name in _SHOWN if name in first.judged.scores]
    table = Table(title=f"{result.folds} folds, held-out scans, 95 % intervals")
    table.add_column("model", overflow="fold")
    for name in names:
        table.add_column(_SHOWN[name], justify="right")
    for name, model in result.models.items():
        table.add_row(name, *(_cell(model.judged.scores.get(measure)) for measure in names))
    console.print(table)
    if few := few_folds(result.folds, result.repeats):
        console.print(few, highlight=False, soft_wrap=True)
    _tell_confounds(console, result)
    for name, reason in result.failed.items():
        console.print(
            f"{name} failed, and is left out: {reason}",
            style="bold",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    test = first.judged.permutation
    console.print(
        f"{first.name} against shuffled labels: p = {test.p:.3g} ({test.of}). {result.grouping}",
        highlight=False,
        soft_wrap=True,
    )


def _tell_confounds(console: Console, result: FitResult) -> None:
    from rich.table import Table

    found, name = result.confounds, result.main
    if found is None:
        return
    columns, matched = ", ".join(found.columns), found.matched
    count = matched.scans if matched else 0
    table = Table(title=f"Controls for {columns}: pooled {_SHOWN[name]}")
    table.add_column("model", overflow="fold")
    for head in ("as it is", "without confounds", f"{count} of matched size"):
        table.add_column(head, justify="right")
    for what, scores in found.alone.items():
        table.add_row(f"{what} alone", _figure(scores[name]), "–", "–")
    table.add_section()
    for model, one in result.models.items():
        same_size = matched.scores[model][name] if matched and count else None
        left = found.removed[model][name]
        pooled = one.judged.scores[name].pooled
        table.add_row(model, _figure(pooled), _figure(left), _figure(same_size))
    console.print(table)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cell(score: HeldOut | None) -> str:
    if score is None:
        return "–"
    low, high = score.ci
    return f"{_figure(score.mean if score.folds_ci else score.pooled)} ({low:.2f} to {high:.2f})"
