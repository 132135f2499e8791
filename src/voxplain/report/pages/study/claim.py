"""CLAIM (Mongan, Moy & Kahn 2020): which items the study answers, and which its authors must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from voxplain.report.html.sections import Item, Table, Text
from voxplain.report.words.scores import score_cell
from voxplain.results.study import StudyFound

__all__ = ["checklist"]

Answer = Callable[[StudyFound], str]

_SCORES: Final = {"roc_auc": "ROC AUC", "brier": "Brier score", "r2": "R²"}


def _none(found: StudyFound) -> str:
    return ""


def _preparing(found: StudyFound) -> str:
    return found.cohort.recipe if found.cohort else ""


def _excluded(found: StudyFound) -> str:
    if found.cohort is None or not found.cohort.told:
        return ""
    return f"{len(found.cohort.exclusions)} left out, each with its reason, see What was asked"


def _partitions(found: StudyFound) -> str:
    if not found.fit:
        return ""
    seed = found.fit.options.get("seed")
    return f"{found.fit.folds} folds, stratified by class, at random; seed {seed}"


def _disjoint(found: StudyFound) -> str:
    return found.fit.grouping if found.fit else ""


def _model(found: StudyFound) -> str:
    if not found.fit or not found.fit.first.network:
        return ""
    one = found.fit.first.network
    return f"{one.kind}, {one.parameters:,} parameters"


def _software(found: StudyFound) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.versions.items())


def _initial(found: StudyFound) -> str:
    return f"at random, seed {found.fit.options.get('seed')}" if found.fit else ""


def _training(found: StudyFound) -> str:
    return found.fit.schedule if found.fit else ""


def _selection(found: StudyFound) -> str:
    if not found.fit:
        return ""
    patience = (found.fit.options.get("schedule") or {}).get("patience")
    return (
        f"stopped after {patience} epochs without gain on an inner part"
        if patience
        else "the last epoch; nothing was selected on held-out scans"
    )


def _metrics(found: StudyFound) -> str:
    scores = found.fit.first.judged.scores if found.fit else ()
    return ", ".join(_SCORES.get(name, name.replace("_", " ")) for name in scores)


def _uncertainty(found: StudyFound) -> str:
    return "95 % intervals and permutation tests, see Methods" if found.fit else ""


def _robust(found: StudyFound) -> str:
    return "see Trust tests" if found.trust else ""


def _explained(found: StudyFound) -> str:
    return ", ".join(one.label for one in found.methods.values())


def _flow(found: StudyFound) -> str:
    return "see What was asked" if found.cohort else ""


def _balance(found: StudyFound) -> str:
    told = found.cohort.told.get("balance") if found.cohort else None
    return f"{', '.join(one['name'] for one in told)} by class, see cohort.html" if told else ""


def _performance(found: StudyFound) -> str:
    if not found.fit:
        return ""
    return f"{found.fit.main} {score_cell(found.fit.first.judged, found.fit.main)}"


def _failures(found: StudyFound) -> str:
    wrong = [one for one in found.scans if one.predicted and one.predicted != one.truth]
    if not found.fit or not found.fit.class_names or not found.scans:
        return ""
    return f"{len(wrong)} scans predicted wrongly, see Single scans"


_ITEMS: Final[tuple[tuple[int, str, Answer], ...]] = (
    (1, "Title or abstract names the kind of study", _none),
    (2, "Structured summary", _none),
    (3, "Background, and the use of the approach", _none),
    (4, "Aims and hypotheses", _none),
    (5, "Prospective or retrospective", _none),
    (6, "Goal of the study", _none),
    (7, "Sources of the data", _none),
    (8, "Who was eligible, and who was left out", _excluded),
    (9, "How data were prepared", _preparing),
    (10, "Selection of parts of the data", _none),
    (11, "Definitions of the data's elements", _none),
    (12, "De-identification", _none),
    (13, "Missing data", _excluded),
    (14, "Reference standard", _none),
    (15, "Why this reference standard", _none),
    (16, "Who annotated", _none),
    (17, "Tools of annotation", _none),
    (18, "Agreement of annotators", _none),
    (19, "Sample size, and how it was chosen", _none),
    (20, "How data were assigned to parts", _partitions),
    (21, "At which level parts are disjoint", _disjoint),
    (22, "The model", _model),
    (23, "Software", _software),
    (24, "Initial parameters", _initial),
    (25, "Training", _training),
    (26, "How the final model was selected", _selection),
    (27, "Ensembles", _none),
    (28, "Measures of performance", _metrics),
    (29, "Significance and uncertainty", _uncertainty),
    (30, "Robustness", _robust),
    (31, "Explanation", _explained),
    (32, "Tests on other data", _none),
    (33, "Flow of participants", _flow),
    (34, "Characteristics of the parts", _balance),
    (35, "Performance", _performance),
    (36, "Accuracy and its precision", _performance),
    (37, "Failures", _failures),
    (38, "Limits of the study", _none),
    (39, "What follows for practice", _none),
    (40, "Registration", _none),
    (41, "Where the full protocol is", _none),
    (42, "Funding", _none),
)


def checklist(found: StudyFound) -> list[Item]:
    """List the items that the study answers, and name the others."""
    answered, left = [], []
    for number, what, answer in _ITEMS:
        said = answer(found)
        if said:
            answered.append((number, what, said))
        else:
            left.append(f"{number} {what[:1].lower()}{what[1:]}")
    table = Table(("item", "what", "answer"), tuple(answered), caption="Answered by the study")
    return [table, Text((f"For the authors to answer: {'; '.join(left)}.",))]
