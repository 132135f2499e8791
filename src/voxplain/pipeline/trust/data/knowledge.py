"""Whether the network knows the outcome, and more than head size, age and site know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.fit import Outcome, bootstrap, measures, permutation_p
from voxplain.fit.beyond import Beyond, beyond_confounds
from voxplain.fit.confounds import confounds_alone
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.confounding import Confounding
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Finding, Measurement

__all__ = ["KNOWLEDGE", "first_line", "main_measure"]

_MEASURES = {"roc_auc": ("AUC", 0.5), "r": ("correlation", 0.0)}


def main_measure(case: Case) -> str:
    """Name the measure that is told: of classes the area under the ROC curve, of a number r."""
    return "roc_auc" if case.outcome.class_names else "r"


def _score(case: Case, output: NDArray[np.float64], name: str) -> float:
    return measures(case.outcome, output)[name]


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan, progress
    outcome, output, name = case.outcome, case.outputs, main_measure(case)
    label, chance = _MEASURES[name]
    score = bootstrap(outcome, output, case.groups, seed=case.seed, only=name)[name]
    found: list[Measurement] = []
    figures: dict[str, Any] = {"measure": name, "score": score.value, "chance": chance}
    if not np.isfinite(score.value):
        words = "The predictions are the same for all scans."
        found.append(Measurement("knowledge-chance", None, 1.0, words, figures=figures))
    else:
        p = permutation_p(outcome, output, name, case.groups, seed=case.seed)
        words = (
            f"Held-out {label} {score.value:.2f} (95 % interval {score.low:.2f} to "
            f"{score.high:.2f}), by chance {chance:g}, p = {p:.2g}."
        )
        figures |= {"low": score.low, "high": score.high}
        found.append(Measurement("knowledge-chance", None, p, words, figures=figures))
    known = case.confounding
    alone = _alone(case, known, name)
    all_names = ", ".join(known.names)
    beyond = beyond_confounds(outcome, output, known.all, seed=case.seed)
    left = _score(case, beyond.left, name)
    found.append(_beyond(beyond, (score.value, left), alone, (all_names, label)))
    worst = max(alone, key=lambda one: alone[one])
    share = 2 * alone[worst] - 1 if outcome.class_names else alone[worst]
    words = f"From {worst} alone the outcome is foretold with {label} {alone[worst]:.2f}."
    found.append(
        Measurement(
            "class-confounds", None, float(np.nan_to_num(share)), words, figures={"alone": alone}
        )
    )
    return found


def _alone(case: Case, known: Confounding, name: str) -> dict[str, float]:
    """Held-out scores of each confound, and of all together where there are several."""
    sets = {one: [column] for one, column in zip(known.names, known.features, strict=True)}
    if len(sets) > 1:
        sets["all of them"] = list(known.features)
    found = {}
    for one, columns in sets.items():
        outputs = confounds_alone(known.features[columns], case.outcome, case.folds)
        pooled = np.empty((len(case.cohort), case.outcome.outputs))
        for fold, given in zip(case.folds, outputs, strict=True):
            pooled[fold.test] = given
        score = _score(case, pooled, name)
        found[one] = score if np.isfinite(score) else _MEASURES[name][1]
    return found


def _beyond(
    beyond: Beyond,
    scores: tuple[float, float],
    alone: Mapping[str, float],
    told: tuple[str, str],
) -> Measurement:
    (whole, left), (names, label) = scores, told
    best = max(alone, key=lambda one: alone[one])
    figures = {
        "score": whole,
        "without": left,
        "alone": alone,
        "best": best,
        "confounds": names,
        "movable": beyond.movable,
    }
    words = (
        f"{_capital(names)} alone: {label} {alone[best]:.2f}; the network {whole:.2f}, and "
        f"{left:.2f} once they are taken out (p = {beyond.p:.2g} among scans that are alike in "
        "them)."
    )
    return Measurement("knowledge-confounds", None, beyond.p, words, figures=figures)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reads(case: Case) -> Mapping[str, Any]:
    return {"predictions": case.predictions_sha256, "table": case.table_sha256, "seed": case.seed}


KNOWLEDGE = Test(
    "knowledge",
    ("knowledge-chance", "knowledge-confounds", "class-confounds"),
    "What the network knows",
    _run,
    _reads,
)


def first_line(case: Case, findings: Sequence[Finding]) -> str:
    """Say what the network knows, and so what its maps can explain.

    Parameters
    ----------
    case : Case
    findings : sequence of Finding
        Of the tests of the study.

    Returns
    -------
    str
    """
    found = {one.rule.test: one for one in findings}
    label = _MEASURES[main_measure(case)][0]
    asked = _question(case.outcome)
    chance, beyond = found.get("knowledge-chance"), found.get("knowledge-confounds")
    if chance is None or chance.outcome == "not tested":
        return f"What {case.network} knows was not tested, and maps explain no more than that."
    told = chance.measurement.figures
    score = f"{label} {told['score']:.2f}" if told["score"] is not None else label
    if chance.outcome == "fail":
        return (
            f"{case.network} does not know {asked}: {chance.measurement.words} Its maps explain "
            "nothing."
        )
    start = f"{case.network} tells {asked} in scans that it has not seen ({score}"
    if beyond is None or beyond.outcome == "not tested":
        return f"{start})."
    figures = beyond.measurement.figures
    best = str(figures["best"])
    alone = f"{figures['confounds'] if best == 'all of them' else best} alone"
    start += f"; {alone} {figures['alone'][best]:.2f}; the network without "
    start += f"{figures['confounds']} {figures['without']:.2f})"
    if beyond.outcome == "fail":
        names = figures["confounds"] if best == "all of them" else best
        return f"{start}: it reads {names}, and maps explain {names}."
    if figures["alone"][best] >= figures["without"]:
        return f"{start}: it knows more than {figures['confounds']}, and maps explain both."
    return f"{start}: it knows more than they do."


def _question(outcome: Outcome) -> str:
    names = outcome.class_names
    if not names:
        return outcome.name
    return " from ".join(names) if len(names) == 2 else ", ".join(names)
