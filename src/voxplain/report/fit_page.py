"""The page of a fit: how good each model is on held-out scans, and what that may rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from voxplain.report.demo_words import captioned, listed
from voxplain.report.numbers import MISSING, cell, duration, number
from voxplain.report.sections import Fact, Finding, Findings, Item, Page, Section, Table, Text

__all__ = ["chance_level", "fit_page", "score_rows"]

Fit = Mapping[str, Any]
Model = Mapping[str, Any]
Pictures = Mapping[str, bytes]

_CLASSES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
}
_NUMBERS: Final = {"mae": "mean absolute error", "r": "r", "r2": "R²"}
_USUAL: Final = {"brain_ml": "brain volume", "tiv_ml": "intracranial volume"} | {
    "etiv": "intracranial volume", "age_in_yrs": "age", "age_at_scan": "age", "site_id": "site",
}  # fmt: skip
_MOST_MEASURES: Final = 15
_LEVEL: Final = 0.05
_SCORES: Final = (
    "Mean over folds, or pooled where a fold is a single scan; in brackets the 95 % interval. p is "
    "that of a permutation test of the held-out predictions, not corrected for the number of "
    "models; marked models cannot be distinguished from chance (p ≥ 0.05). {} less is better."
)
_NO_CONFOUNDS: Final = (
    "Not examined: the participants' table has no brain volume, age or site that varies, and no "
    "other column was named. The scores above may rest on such differences."
)
_CONFOUNDS: Final = (
    "Alone: a linear model of these columns on the same folds, without any image. Where a model of "
    "images does no better, it may have learned nothing but these.",
    "Without confounds: from the held-out outputs of networks and of models on the table, the part "
    "that is linear in the confounds is subtracted, as estimated on the other folds; models on "
    "voxels are fitted again after the confounds were regressed out of the voxels within the "
    "training part. Effects that are not linear remain. Of matched size: the same predictions, "
    "scored on pairs of both classes with like brain volume.",
)
_CALIBRATION: Final = (
    "A model is calibrated when, of the predictions that it gives a probability of 0.8, 80 % are "
    "right: its points then lie on the dashed line. Below the line it is overconfident. The "
    "expected calibration error is the mean distance from the line over bins, weighted by the "
    "number of scans; few scans make it look larger. Support vector machines have no probabilities."
)
_IMPORTANCES: Final = (
    "Permutation importance: what a model on the table loses on held-out scans when one measure is "
    "shuffled, as a mean over these models. Measures that are correlated stand in for each other, "
    "so that each may look unimportant; an importance near zero or below is noise."
)
_INTERVALS: Final = (
    "Intervals join two sources of uncertainty, and at each end the one that reaches further "
    "counts: the spread over folds, with a variance corrected for training parts that overlap "
    "(Nadeau and Bengio 2003), and the draw of participants, or of groups that stay together, by "
    "a bootstrap of the pooled held-out predictions of the first repeat. Where a fold is a single "
    "scan, the bootstrap stands alone. Neither covers another scanner or population.",
    "The permutation test shuffles the truth against the held-out predictions 1000 times; networks "
    "are not trained again. It asks whether these predictions are related to the truth.",
)


def chance_level(fit: Fit) -> float | None:
    """Return the accuracy without any information, None for numbers.

    It is the share of the largest class where ``fit`` has ``class_counts`` (numbers of scans in
    the order of ``class_names``), and else one over the number of classes.
    """
    names, counts = fit["class_names"], fit.get("class_counts")
    if not names:
        return None
    return float(max(counts) / sum(counts)) if counts else 1 / len(names)


def score_rows(fit: Fit) -> list[dict[str, Any]]:
    """Give `figures.model_scores` its rows: accuracy of classes, mean absolute error of numbers."""
    rows: list[dict[str, Any]] = []
    main = _main(fit)
    for name, model in fit["models"].items():
        group, _, label = ("network", "", name) if "class" in model else name.partition(", ")
        score = model[main]
        # A fold of a single scan says nothing by itself.
        folds = score["per_fold"] if score["folds_ci"] and fit["folds"] < fit["scans"] else ()
        row = {"label": label, "group": group, "value": _value(score), "ci": score["ci"]}
        rows.append(row | {"per_fold": folds})
    alone = fit["confounds"].get("alone", {})
    return rows + [
        {"label": _word(name), "group": "confound", "value": scores[main]}
        for name, scores in alone.items()
    ]


def fit_page(fit: Fit, pictures: Pictures) -> Page:
    """Assemble the page.

    Parameters
    ----------
    fit : mapping
        The part ``fit`` of ``summary.json``; also ``class_counts`` where known (`chance_level`).
    pictures : mapping of str to bytes
        PNGs under ``scores``, ``calibration``, ``importances`` and, for the held-out predictions
        of a model, ``predictions:<model>``; what is missing is left out.

    Returns
    -------
    Page
    """
    outcome, name, main = fit["outcome"], next(iter(fit["models"])), _main(fit)
    classes = " or ".join(fit["class_names"])
    how = "held-out scans are classified" if classes else f"{outcome} of held-out scans is predicted"
    words = list(dict.fromkeys(map(_word, fit["confounds"].get("columns", ["confounds"]))))
    do = "does" if words != ["confounds"] and len(words) == 1 else "do"
    sections = (
        Section(f"How well {how}", "scores", _scores(fit, pictures)),
        Section(f"What {listed(words)} {do} alone", "confounds", _confounds(fit)),
        Section("Are the probabilities right?", "calibration", _calibration(fit, pictures)),
        Section("What the table's models use", "importances", _importances(fit, pictures)),
        Section("How it was done", "methods", _methods(fit)),
    )
    model = fit["models"][name]
    interval = f"95 % interval {' to '.join(_text(v, main) for v in model[main]['ci'])}"
    repeats = f", drawn {fit['repeats']} times" if fit["repeats"] > 1 else ""
    return Page(
        title="Cross-validated models",
        subtitle=f"{fit['scans']} scans, {classes or outcome}. Every score is of held-out scans.",
        sections=tuple(section for section in sections if section.items),
        facts=(
            Fact(_text(_value(model[main]), main), f"{_measures(fit)[main]} of {name}", interval),
            Fact(_text(_p(model)), "p of the permutation test", name),
            Fact(str(len(fit["models"])), "models", "on the same folds"),
            Fact(str(fit["scans"]), "scans", f"{fit['folds']} folds{repeats}"),
        ),
    )


def _scores(fit: Fit, pictures: Pictures) -> list[Item]:
    measures, models = _measures(fit), fit["models"]
    rows = [
        (name, *(_cell(model, key) for key in measures), _text(_p(model)))
        for name, model in models.items()
    ]
    items: list[Item] = [
        Findings(tuple(_verdict(fit, name, m) for name, m in models.items() if "class" in m)),
        *captioned(
            pictures,
            "scores",
            "Large marks: means over folds, or pooled scores. Lines: 95 % intervals. Small dots: "
            "single folds. Confounds alone: pooled scores of a linear model without images.",
            "Scores of all models side by side with their intervals, against chance.",
        ),
        Table(
            ("model", *measures.values(), "p"),
            tuple(rows),
            caption="Scores of held-out scans",
            note=_SCORES.format("Of the Brier score" if fit["class_names"] else "Of the error"),
            highlight=frozenset(n for n, m in enumerate(models.values()) if _at_chance(m)),
        ),
    ]
    for name in models:
        words = f"Held-out predictions of {name} against the truth, a dot a scan."
        items += captioned(pictures, f"predictions:{name}", words, words)
    return items


def _verdict(fit: Fit, name: str, model: Model) -> Finding:
    """Say whether a network does better than chance."""
    main, chance = _main(fit), chance_level(fit)
    said = f"The {_measures(fit)[main]} of {name} is {_cell(model, main)}"
    said += "" if chance is None else f"; chance is {cell(chance)}"
    said += f". The permutation test gives p = {_text(_p(model))}"
    if _p(model) is None:
        return Finding(name, f"{said}.")
    if _at_chance(model):
        words = f"{said}: the held-out predictions cannot be distinguished from chance."
        return Finding(name, words, "chance", "at chance")
    if chance is not None and not _beats(model, main, chance):
        words = f"{said}, but the interval of the accuracy is not above chance."
        return Finding(name, words, "weak", "not clearly above chance")
    return Finding(name, f"{said}: better than chance.", "good", "better than chance")


def _confounds(fit: Fit) -> list[Item]:
    if not fit["confounds"]:
        return [Text((_NO_CONFOUNDS,))]
    alone, removed = fit["confounds"]["alone"], fit["confounds"]["removed"]
    matched, main = fit["confounds"].get("matched", {"scans": 0}), _main(fit)
    measure, some = _measures(fit)[main], f"{matched['scans']} of matched size"
    rows: list[tuple[object, ...]] = [
        (f"{_word(name)} alone", _text(scores[main], main), None, None)
        for name, scores in alone.items()
    ]
    for name, model in fit["models"].items():
        three = (model[main]["pooled"], removed[name][main], matched.get(name, {}).get(main))
        rows.append((name, *(_text(value, main) for value in three)))
    return [
        Findings((_against_confounds(fit),)),
        Text(_CONFOUNDS),
        Table(
            ("", measure, "without confounds", some),
            tuple(rows),
            caption=f"Pooled {measure} of held-out scans",
            note="" if matched["scans"] else "No two scans of both classes are of one brain volume.",
        ),
    ]


def _against_confounds(fit: Fit) -> Finding:
    """Warn where the first network is not shown to do better than the best of the confounds."""
    (name, model), main = next(iter(fit["models"].items())), _main(fit)
    known = {k: s[main] for k, s in fit["confounds"]["alone"].items() if _known(s[main])}
    if not known:
        return Finding("Confounds alone", "No confound has a score of its own.")
    best = (min if main == "mae" else max)(known, key=lambda k: known[k])
    measure, word = _measures(fit)[main], _word(best)
    said = f"A linear model of {word}, without any image, has {a {measure} of {_text(known[best], main)}}; "
    said += f"{name} has {_cell(model, main)}"
    if not _beats(model, main, known[best]):
        words = f"{said}. All that {name} tells may come from {word}, and so may its maps."
        return Finding("Warning", words, "chance", f"{name} does not beat confounds alone")
    if _at_chance(model):
        return Finding(word, f"{said}, and is at chance itself.", "weak", "no better than chance")
    words = f"{said}, an interval beyond it. It may use confounds all the same; see the table."
    return Finding(word, words, "good", f"{name} beats confounds alone")


def _calibration(fit: Fit, pictures: Pictures) -> list[Item]:
    errors = {n: m["calibration"]["error"] for n, m in fit["models"].items() if "calibration" in m}
    rows = tuple((name, _text(error), _cell(fit["models"][name], "brier")) for name, error in errors.items())
    if not errors:
        return []
    words = "Dots: share of predictions that are right by probability, ten bins; the area of a dot is the number of scans. Lines: 95 % Wilson intervals. Dashed: perfect calibration."
    return [
        Text((_CALIBRATION,)),
        *captioned(pictures, "calibration", words, "Reliability curves of the models."),
        Table(("model", "expected calibration error", "Brier score"), rows),
    ]


def _importances(fit: Fit, pictures: Pictures) -> list[Item]:
    known = [row for row in fit["importances"] if _known(row["permutation"])]
    own = list(fit["importances"][0]["own"]) if known else []
    rows = tuple((row["measure"], row["permutation"], *(row["own"].get(name) for name in own)) for row in known[:_MOST_MEASURES])
    if not known:
        return []
    return [
        Text((_IMPORTANCES,)),
        *captioned(pictures, "importances", f"The first of {len(known)} measures.", "Bars."),
        Table(("measure", "permutation importance", *(f"own importance, {name}" for name in own)), rows, note=),
    ]


def _methods(fit: Fit) -> list[Item]:
    repeats = f", drawn {fit['repeats']} times" if fit["repeats"] > 1 else ""
    rows = [
        ("outcome", ...),
        ("folds", f"{fit['folds']}{repeats}"),
        ("grouping", fit["grouping"]),
        ("schedule", fit["schedule"]),
        *((name, f"{m['class']}, {m['parameters']:,} parameters, trained for {duration(m['training_seconds'])} in all") for name, m in fit["models"].items() if "class" in m),
        ("seed", ),
        *((f"version of {name}", str(v)) for name, v in fit["versions"].items()),
    ]
    return [Table(("what", "value"), tuple(rows)), Text(_INTERVALS)]


def _main(fit: Fit) -> str:
    return "accuracy" if fit["class_names"] else "mae"


def _measures(fit: Fit) -> dict[str, str]:
    return _CLASSES if fit["class_names"] else _NUMBERS


def _word(column: str) -> str:
    return _USUAL.get(column.lower(), column.replace("_", " "))


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _value(score: Model) -> float | None:
    """Return the mean over folds, or the pooled score where folds have none."""
    value = score["mean"] if score["folds_ci"] and _known(score["mean"]) else score["pooled"]
    return float(value) if _known(value) else None


def _text(value: float | None, measure: str = "") -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    return number(value, 3) if measure == "mae" else f"{value:.3f}".replace("-", "−")


def _cell(model: Model, measure: str) -> str:
    """Write a score with its interval: ``0.500 (0.350 to 0.675)``."""
    score = model.get(measure)
    if score is None or _value(score) is None: return MISSING
    bounds = [_text(bound, measure) for bound in score["ci"]]
    interval = "" if MISSING in bounds else f" ({' to '.join(bounds)})"
    return _text(_value(score), measure) + interval


def _p(model: Model) -> float | None:
    p = model["permutation"]["p"]
    return p if _known(p) else None


def _at_chance(model: Model) -> bool:
    return (_p(model) or 0) >= _LEVEL


def _beats(model: Model, measure: str, other: float) -> bool:
    """Whether the interval of a score lies on the better side of another score."""
    low, high = model[measure]["ci"]
    return high < other if measure=="mae" else low > other
