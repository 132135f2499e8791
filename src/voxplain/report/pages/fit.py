"""The page of a fit: how good each model is on held-out scans, and what that may rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from voxplain.report.html.sections import Fact, Finding, Findings, Item, Page, Section, Table, Text
from voxplain.report.pages.demo_words import captioned, listed
from voxplain.report.words.numbers import MISSING, duration
from voxplain.report.words.scores import (
    INTERVALS,
    ScoreRow,
    at_chance,
    beats,
    chance_level,
    few_folds,
    score_cell,
    score_row,
    score_text,
    score_value,
    scores_caption,
)
from voxplain.results.fit import Confounds, FitResult, ModelResult

__all__ = ["fit_page", "score_rows"]

Pictures = Mapping[str, bytes]

_CLASSES: Final = ("accuracy", "balanced_accuracy", "roc_auc", "brier")
_NUMBERS: Final = ("mae", "r", "r2")
_WORDS: Final = {
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
    "mae": "mean absolute error",
    "r2": "R²",
    "brain_ml": "brain volume",
    "tiv_ml": "intracranial volume",
    "etiv": "intracranial volume",
    "age_in_yrs": "age",
    "age_at_scan": "age",
    "site_id": "site",
    "all of them": "all confounds",
}
_SCORES: Final = (
    "Mean over folds, or pooled where a fold is a single scan; in brackets the 95 % interval. p is "
    "that of a permutation test of the held-out predictions, not corrected for the number of "
    "models. Less is better for the "
)
_MARKED: Final = " The rows with a grey ground cannot be distinguished from chance (p ≥ 0.05)."
_POOLED: Final = (
    " Its r is that of all scans together; the table's is the mean over folds, which is another "
    "figure where folds differ in their level."
)
_NO_CONFOUNDS: Final = (
    "Not examined: the participants' table has no brain volume, age or site that varies, and no "
    "other column was named. The scores above may rest on such differences."
)
_CONFOUNDS: Final = (
    "Alone: a linear model of these columns, on the same folds and without any image. A model of "
    "images that does no better may have learned nothing else. Without confounds: the part of the "
    "held-out outputs that is linear in the confounds, as estimated on the other folds, is "
    "subtracted; models on voxels are instead fitted again after the confounds were regressed out "
    "of the voxels within the training part. Effects that are not linear remain. Of matched size: "
    "the same predictions, scored on pairs of two classes with like brain volume, if there are any."
)
_CALIBRATION: Final = (
    "A model is calibrated when 80 % of what it predicts with a probability of 0.8 is right: its "
    "points then lie on the dashed line. Below it, a model is overconfident. The (expected) "
    "calibration error is the mean distance from the line, weighted by the number of scans."
)
_CALIBRATION_FIGURE: Final = (
    "How often predictions are right against how probable they were said to be. On the dashed "
    "line a model is calibrated. Area: number of scans. Vertical lines: 95 % Wilson intervals. "
    "Support vector machines give no probabilities and are left out."
)
_IMPORTANCES: Final = (
    "What models on the table lose on held-out scans when one measure is shuffled, as their mean. "
    "Measures that are correlated stand in for each other, so that each may look unimportant "
    "alone. Values about zero or below are noise."
)
_IMPORTANCES_FIGURE: Final = "Permutation importance of the first measures of the table."
_INTERVALS: Final = (
    f"{INTERVALS} It covers neither another scanner nor another population. Where a fold is a "
    "single scan, folds have no spread, and a classifier without information falls below chance: "
    "it names the class that was left more frequent.",
    "The permutation test shuffles the truth against the held-out predictions. Networks are not "
    "trained again: it asks whether these predictions are related to the truth.",
)


def score_rows(fit: FitResult) -> list[ScoreRow]:
    """Give `figures.model_scores` its rows: accuracy of classes, mean absolute error of numbers."""
    rows, single = [], fit.folds >= fit.scans
    for name, model in fit.models.items():
        group, _, label = ("network", "", name) if model.network else name.partition(", ")
        score = model.judged.scores[fit.main]
        rows.append(score_row(label or name, group, score, single=single))
    for name, scores in (fit.confounds.alone if fit.confounds else {}).items():
        rows.append(ScoreRow(_word(name), "confound", scores[fit.main]))
    return rows


def fit_page(fit: FitResult, pictures: Pictures) -> Page:
    """Assemble the page.

    Parameters
    ----------
    fit : FitResult
    pictures : mapping of str to bytes
        PNGs under ``scores``, ``calibration``, ``importances`` and, for the held-out predictions
        of a model, ``predictions:<model>``; what is missing is left out.

    Returns
    -------
    Page
    """
    outcome, classes, main = fit.outcome, fit.class_names, fit.main
    name, model = fit.first.name, fit.first.judged
    how = "held-out scans are classified" if classes else f"{outcome} is predicted"
    columns = list(dict.fromkeys(map(_word, fit.confounds.columns if fit.confounds else ())))
    alone = f"{listed(columns)} {'do' if columns[1:] else 'does'}" if columns else "confounds do"
    made = [
        Section(f"How well {how}", "scores", _scores(fit, pictures)),
        Section(f"What {alone} alone", "confounds", _confounds(fit)),
    ]
    for key, title, text, caption in (
        ("calibration", "Are the probabilities right?", _CALIBRATION, _CALIBRATION_FIGURE),
        ("importances", "What the table's models use", _IMPORTANCES, _IMPORTANCES_FIGURE),
    ):
        shown = captioned(pictures, key, caption, caption)
        made += [Section(title, key, [Text((text,)), *shown])] if shown else []
    made.append(Section("How it was done", "methods", _methods(fit)))
    bounds = " to ".join(score_text(bound, main) for bound in model.scores[main].ci)
    facts = (
        Fact(
            score_text(score_value(model.scores[main]), main),
            f"{_word(main)} of {name}",
            f"95 % interval {bounds}",
        ),
        Fact(score_text(model.permutation.p), "p of the permutation test", name),
        Fact(str(len(fit.models)), "models", "networks and baselines"),
        Fact(str(fit.scans), "scans", _folds(fit)),
    )
    what = f"{' or '.join(classes) or outcome}, predicted for {fit.scans} held-out scans."
    return Page("Cross-validated models", what, tuple(made), facts)


def _scores(fit: FitResult, pictures: Pictures) -> list[Item]:
    measures, models = _CLASSES if fit.class_names else _NUMBERS, fit.models
    judged = [model.judged for model in models.values()]
    rows = [
        (name, *(score_cell(one, key) for key in measures), score_text(one.permutation.p))
        for name, one in zip(models, judged, strict=True)
    ]
    few = few_folds(fit.folds, fit.repeats)
    warned = [Finding("Warning", few, "chance", "too few folds")] if few else []
    told = [_verdict(fit, m) for m in models.values() if m.network]
    chance = frozenset(n for n, one in enumerate(judged) if at_chance(one))
    failed = [
        Finding(name, f"{reason} The other models are not touched by it.", "chance", "failed")
        for name, reason in fit.failed.items()
    ]
    items: list[Item] = [
        Findings((*warned, *told, *failed)),
        *captioned(pictures, "scores", scores_caption(fit), "Scores of all models side by side."),
        Table(
            ("model", *map(_word, measures), "p"),
            tuple(rows),
            caption="Scores of held-out scans",
            note=_SCORES
            + ("Brier score." if fit.class_names else "mean absolute error.")
            + _MARKED * bool(chance),
            highlight=chance,
        ),
    ]
    for name in models:
        words = f"Held-out predictions of {name} against the truth, a dot a scan."
        words += _POOLED * bool(models[name].judged.scores[fit.main].folds_ci)
        items += captioned(pictures, f"predictions:{name}", words, words)
    return items


def _verdict(fit: FitResult, network: ModelResult) -> Finding:
    """Say whether a network does better than chance, or than the mean of all numbers."""
    main, chance = fit.main, chance_level(fit.class_names, fit.class_counts)
    name, model = network.name, network.judged
    score = score_cell(model, main).replace("(", "(95 % interval ")
    said = f"The {_word(main)} of {name} is {score}; "
    mean = f"R² is {score_cell(model, 'r2')}, where predicting the mean gives 0"
    said += mean if chance is None else f"chance is {score_text(chance)}"
    said += f". The permutation test gives p = {score_text(model.permutation.p)}"
    key, floor = ("r2", 0.0) if chance is None else (main, chance)
    if at_chance(model):
        words = f"{said}: the held-out predictions cannot be distinguished from chance."
        return Finding(name, words, "chance", "at chance")
    if not beats(model, key, floor):
        words = f"{said}, but the interval of {_word(key)} does not lie above {floor:.3g}."
        return Finding(name, words, "weak", "not clearly better than chance")
    return Finding(name, f"{said}: better than chance.", "good", "better than chance")


def _confounds(fit: FitResult) -> list[Item]:
    found = fit.confounds
    if not found:
        return [Text((_NO_CONFOUNDS,))]
    # An error says nothing once the mean is subtracted with the confounds; a correlation does.
    matched, key = found.matched, "accuracy" if fit.class_names else "r"
    rows: list[tuple[object, ...]] = [
        (f"{_word(name)} alone", score_text(scores[key]), MISSING, MISSING)
        for name, scores in found.alone.items()
    ]
    for name, model in fit.models.items():
        same_size = matched.scores.get(name, {}).get(key) if matched else None
        three = (model.judged.scores[key].pooled, found.removed[name][key], same_size)
        rows.append((name, *map(score_text, three)))
    width = 4 if matched else 3
    same = f"{(matched and matched.scans) or 'none'} of matched size"
    return [
        Findings((_against_confounds(fit, found),)),
        Table(
            ("model", "as it is", "without confounds", same)[:width],
            tuple(row[:width] for row in rows),
            caption=f"Pooled held-out predictions: {_word(key)}",
        ),
        Text((_CONFOUNDS,)),
    ]


def _against_confounds(fit: FitResult, found: Confounds) -> Finding:
    """Warn where the first network is not shown to do better than the best of the confounds."""
    name, model, main = fit.first.name, fit.first.judged, fit.main
    alone = {k: _number(s[main]) for k, s in found.alone.items()}
    best = (min if main == "mae" else max)(alone, key=lambda k: alone[k])
    word = _word(best)
    said = f"Without any image, the {_word(main)} of a linear model of {word} is "
    said += f"{score_text(alone[best], main)}; that of {name} is {score_cell(model, main)}"
    if not beats(model, main, alone[best]):
        words = f"{said}. What {name} knows, and what its maps show, may come from {word} alone."
        return Finding("Warning", words, "chance", f"{name} does not beat confounds alone")
    if at_chance(model):
        return Finding(word, f"{said}, which is at chance.", "weak", "nothing to compare")
    words = f"{said}, which is better. It may still use {word} in part; see the table."
    return Finding(word, words, "good", f"{name} beats confounds alone")


def _methods(fit: FitResult) -> list[Item]:
    rows = [
        ("outcome", fit.outcome),
        ("cross-validation", _folds(fit)),
        ("kept together", fit.grouping),
        ("schedule", fit.schedule),
    ]
    for name, model in fit.models.items():
        if model.network:
            words = f"{model.network.kind}, {model.network.parameters:,} parameters, all trainings "
            rows.append((name, words + duration(model.network.training_seconds)))
            if model.network.arithmetic_words:
                rows.append((f"arithmetic of {name}", model.network.arithmetic_words))
    rows += [(f"{name}, failed", reason) for name, reason in fit.failed.items()]
    rows += [(f"version of {name}", version) for name, version in fit.versions.items()]
    return [Table(("what", "value"), tuple(rows)), Text(_INTERVALS)]


def _folds(fit: FitResult) -> str:
    return f"{fit.folds} folds" + f", {fit.repeats} repeats" * (fit.repeats > 1)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _word(name: str) -> str:
    return _WORDS.get(name.lower(), name.replace("_", " "))
