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
Pictures = Mapping[str, bytes]

_CLASSES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
}
_NUMBERS: Final = {"mae": "mean absolute error", "r": "r", "r2": "R²"}
_USUAL: Final = {
    "brain_ml": "brain volume",
    "tiv_ml": "intracranial volume",
    "etiv": "intracranial volume",
    "age_in_yrs": "age",
    "age_at_scan": "age",
    "site_id": "site",
    "all of them": "all together",
}
_MOST_MEASURES: Final = 15
_LEVEL: Final = 0.05
_SCORES: Final = (
    "Every score is of scans that a model was not trained on; all models share the same folds. An "
    "interval is widened to whichever reaches further, the spread over folds or another draw of "
    "participants. The p-value is that of a permutation test of the held-out predictions, without "
    "correction for the number of models.{}"
)
_DIRECTION: Final = {
    True: " Of the Brier score less is better.",
    False: " The mean absolute error is in the unit of the outcome, and less is better.",
}
_CONFOUNDS: Final = (
    "Alone: a linear model of these columns, on the same folds and without any image. A model of "
    "images that does no better may have learned nothing else.",
    "Without confounds: of networks and of models on the table, the part of the held-out outputs "
    "that is linear in the confounds, as estimated on the other folds, is taken away; models on "
    "voxels are fitted again on voxels from which the confounds were regressed within the training "
    "part. Effects that are not linear remain. All scores here pool the held-out predictions.",
)
_CALIBRATION: Final = (
    "A model is calibrated when, of all predictions given with a probability of 0.8, 80 % are "
    "right: its points then lie on the dashed line. Below the line a model is overconfident. The "
    "expected calibration error is the mean distance from the line, weighed by the number of scans "
    "in each bin; with few scans it is overestimated."
)
_INTERVALS: Final = (
    "Intervals cover 95 % and join two sources of uncertainty. One is the spread over folds, by a "
    "t interval whose variance is corrected for training parts that overlap (Nadeau and Bengio "
    "2003). The other is the draw of participants, or of groups that belong together, by a "
    "bootstrap of the pooled held-out predictions of the first repeat. At each end, whichever "
    "reaches further counts. They do not cover another scanner or another population.",
    "The permutation test shuffles the truth against the held-out predictions 1000 times. Networks "
    "are not trained again, so that it asks whether these predictions are related to the truth.",
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
    main = next(iter(_measures(fit)))
    for name, model in fit["models"].items():
        kind, _, rest = ("network", "", name) if "class" in model else name.partition(", ")
        score = model[main]
        # A fold of a single scan says nothing by itself.
        folds = score["per_fold"] if score["folds_ci"] and fit["folds"] < fit["scans"] else ()
        row = {"label": rest, "group": kind, "value": _value(score), "ci": score["ci"]}
        rows.append(row | {"per_fold": folds})
    for name, scores in _alone(fit).items():
        rows.append({"label": _word(name), "group": "confound", "value": scores[main]})
    return rows


def fit_page(fit: Fit, pictures: Pictures) -> Page:
    """Assemble the page.

    Parameters
    ----------
    fit : mapping
        The part ``fit`` of ``summary.json``, and ``class_counts`` where known (`chance_level`).
    pictures : mapping of str to bytes
        PNGs under ``scores``, ``calibration``, ``importances`` and, for the held-out predictions
        of a model, ``predictions:<model>``; what is missing is left out.

    Returns
    -------
    Page
    """
    classes, outcome = fit["class_names"], fit["outcome"]
    what = "held-out scans are classified" if classes else f"{outcome} of held-out scans is predicted"
    words = list(dict.fromkeys(map(_word, (fit["confounds"] or {}).get("columns", ()))))
    alone = f"{listed(words)} {'does' if len(words) == 1 else 'do'}" if words else "confounds do"
    sections = (
        Section(f"How well {what}", "scores", _scores(fit, pictures)),
        Section(f"What {alone} alone", "confounds", _confounds(fit)),
        Section("Are the probabilities right", "calibration", _calibration(fit, pictures)),
        Section("What the table's models use", "importances", _importances(fit, pictures)),
        Section("How it was done", "methods", _methods(fit)),
    )
    main, label = next(iter(_measures(fit).items()))
    facts = [Fact(_p(model), "p of the permutation test", name) for name, model in _first(fit)]
    for name, model in (*_first(fit), *_best_baseline(fit)):
        value, interval = _cell(model[main], main).partition(" ")[::2]
        facts.append(Fact(value, label, f"{name}, 95 % interval {interval.strip('()')}"))
    facts.append(Fact(str(fit["scans"]), "scans", f"held out in {fit['folds']} folds"))
    return Page(
        title="Cross-validated models",
        subtitle=f"{fit['scans']} scans, {' or '.join(classes) or outcome}. {fit['grouping']}",
        sections=tuple(section for section in sections if section.items),
        facts=tuple(facts),
    )


def _scores(fit: Fit, pictures: Pictures) -> list[Item]:
    measures, models = _measures(fit), fit["models"]
    found = [_verdict(fit, name, m) for name, m in models.items() if "class" in m]
    for (name, model), (rival, other) in zip(_first(fit), _best_baseline(fit), strict=False):
        value = _value(other[next(iter(measures))])
        found.append(_against(fit, name, model, (f"the best baseline ({rival})", value)))
    rows = [
        (name, *(_cell(model.get(key), key) for key in measures), _p(model))
        for name, model in models.items()
    ]
    at_chance = (i for i, m in enumerate(models.values()) if (_p_of(m) or 0) >= _LEVEL)
    return [
        Findings(tuple(found)),
        *captioned(
            pictures,
            "scores",
            "Large marks: mean over folds, or the pooled score where folds are single scans. Lines: "
            "95 % intervals. Small dots: single folds. Confounds alone are pooled.",
            "Scores of all models side by side, with intervals, against chance.",
        ),
        Table(
            ("model", *measures.values(), "p"),
            tuple(rows),
            caption="Scores of held-out scans, with 95 % intervals",
            note=_SCORES + _DIRECTION[bool(fit["class_names"])],
            highlight=frozenset(at_chance),
        ),
        *(
            item
            for name in models
            for item in captioned(
                pictures,
                f"predictions:{name}",
                f"Held-out predictions of {name}, a dot a scan.",
                f"Held-out predictions of {name} against the truth.",
            )
        ),
    ]


def _verdict(fit: Fit, name: str, model: Mapping[str, Any]) -> Finding:
    """Say in a sentence whether a network does better than chance."""
    main, label = next(iter(_measures(fit).items()))
    value, p, chance = _value(model[main]), _p_of(model), chance_level(fit)
    said = f"{name} has a {label} of {_cell(model[main], main)}"
    said += "" if chance is None else f", and chance is {cell(chance)}"
    said += f". In the permutation test p is {_p(model)}"
    if p is None or value is None:
        return Finding(name, f"{said}.")
    if p >= _LEVEL:
        words = ": the held-out predictions cannot be told from chance."
        return Finding(name, said + words, "chance", "at chance")
    if chance is not None and not _beats(fit, model, chance):
        words = ", yet the interval of the accuracy includes chance or lies below it."
        return Finding(name, said + words, "weak", "not clearly above chance")
    return Finding(name, f"{said}: better than chance.", "good", "better than chance")


def _against(
    fit: Fit, name: str, model: Mapping[str, Any], rival: tuple[str, float | None]
) -> Finding:
    """Hold a network's interval against a score that a rival has."""
    main, label = next(iter(_measures(fit).items()))
    given = f"{_text(rival[1], main)}, {rival[0]}" 
    said = f"{name} has a {label} of {_cell(model[main], main)}"
    if rival[1] is None:
        return Finding(f"{name} and {rival[0]}", f"{said}; {rival[0]} has none.")
