"""The page of masked scans: how well they are classified, and where the masks lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from voxplain.report.html.sections import Fact, Findings, Item, Page, Section, Table, Text
from voxplain.report.pages.demo_words import captioned
from voxplain.report.pages.reclassify_findings import reclassify_findings
from voxplain.report.words.numbers import duration
from voxplain.report.words.scores import (
    INTERVALS,
    ScoreRow,
    at_chance,
    score_cell,
    score_row,
    score_text,
    score_value,
)
from voxplain.results.reclassify import JOINT, Condition, ReclassifyResult

__all__ = ["condition_rows", "reclassify_page"]

_MEASURES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
}
_WHOLE, _AGAIN = "Trained on whole images", "Trained on masked images"
_FACTS: Final = {
    Condition("whole"): "whole images",
    Condition("whole", JOINT): "tested behind the joint mask",
    Condition("inside", JOINT): "trained and tested inside it",
    Condition("outside", JOINT): "trained and tested outside it",
}
_SCORES_FIGURE: Final = (
    "Accuracy of held-out scans under each condition. Large marks: means over folds, or pooled "
    "where folds are single scans. Lines: 95 % intervals. Small dots: single folds."
)
_CEILING: Final = " Best possible: accuracy of the best observer of whole images of this phantom."
_SCORES_TABLE: Final = (
    "Mean over folds, or pooled where a fold is a single scan; in brackets the 95 % interval. p is "
    "that of a permutation test of the accuracy, not corrected for the number of conditions; "
    "marked conditions cannot be distinguished from chance (p ≥ 0.05)."
)
_COMPARED: Final = (
    "Two accuracies are told apart where their 95 % intervals do not overlap. This is a cautious "
    "rule, as the same scans are classified under every condition: a difference may be there "
    "where none is shown. "
)
_OVERLAP: Final = (
    "Means over the folds' masks. The random mask says what its size alone would give. A mask of "
    "the right place covers all of the true region; how much of the mask lies in it is bounded by "
    "how large the mask is made."
)
_BEHIND: Final = (
    "Behind a mask, a scan is multiplied by the mask: what the mask does not let through is 0.",
    "Whole images: a network is trained on the training part of each fold and classifies the "
    "held-out scans as they are.",
    "Tested behind a mask: the same network, which has never seen masked scans, classifies the "
    "held-out scans behind the mask of a class, the joint mask, or a random one. A low accuracy "
    "may come from a lack of evidence or from a kind of image that is new to the network.",
)
_TRAINED: Final = (
    "Trained and tested inside a mask: a new network learns from masked scans and classifies "
    "masked scans. It finds what evidence the mask lets through, whether or not the first network "
    "uses it.",
    "Trained and tested outside the joint mask: the same with the mask's complement. Above chance, "
    "there is evidence that the mask does not hold. The outline of the hole is the same for all "
    "scans of a fold and tells nothing of the class.",
)


def condition_rows(result: ReclassifyResult) -> list[ScoreRow]:
    """Give `figures.model_scores` its rows, the accuracy under each condition."""
    rows, single = [], result.folds >= result.scans
    for condition, judged in result.conditions.items():
        if condition.trained == "whole":
            label = f"{condition.mask} mask" if condition.mask else str(condition)
            group = _WHOLE
        else:
            label, group = f"{condition.trained} the {condition.mask} mask", _AGAIN
        rows.append(score_row(label, group, judged.scores["accuracy"], single=single))
    return rows


def reclassify_page(result: ReclassifyResult, pictures: Mapping[str, bytes]) -> Page:
    """Assemble the page.

    Parameters
    ----------
    result : ReclassifyResult
    pictures : mapping of str to bytes
        PNGs under ``scores`` and ``masks``; what is missing is left out.

    Returns
    -------
    Page
    """
    facts = []
    for condition, label in _FACTS.items():
        if condition in result.conditions:
            score = result.conditions[condition].scores["accuracy"]
            bounds = " to ".join(map(score_text, score.ci))
            value = score_text(score_value(score))
            facts.append(Fact(value, label, f"accuracy, 95 % interval {bounds}"))
    names = " or ".join(result.class_names)
    subtitle = f"{names}, predicted by {result.network} for {result.scans} held-out scans, "
    subtitle += "whole and masked."
    sections = (
        Section("Where the evidence is", "findings", _findings(result, pictures)),
        Section("The masks", "masks", _masks(result, pictures)),
        Section("How it was done", "methods", _methods(result)),
    )
    return Page("Classification of masked scans", subtitle, sections, tuple(facts))


def _findings(result: ReclassifyResult, pictures: Mapping[str, bytes]) -> list[Item]:
    conditions = result.conditions
    rows = tuple(
        (
            str(condition),
            *(score_cell(one, measure) for measure in _MEASURES),
            one.permutation.p,
        )
        for condition, one in conditions.items()
    )
    caption = _SCORES_FIGURE + _CEILING * (result.ceiling is not None)
    return [
        Findings(reclassify_findings(result)),
        *captioned(pictures, "scores", caption, "Accuracy under all conditions."),
        Table(
            ("condition", *_MEASURES.values(), "p"),
            rows,
            caption="Scores of held-out scans",
            note=_SCORES_TABLE,
            highlight=frozenset(n for n, one in enumerate(conditions.values()) if at_chance(one)),
        ),
        Text((_COMPARED + INTERVALS,)),
    ]


def _masks(result: ReclassifyResult, pictures: Mapping[str, bytes]) -> list[Item]:
    made_by = result.making
    made = (
        "They were made once, from the network that was trained on all scans."
        if made_by.leaky
        else f"Each of the {result.folds} folds has masks of its own, the random one too."
    )
    if made_by.soft:
        shown = "weight of each voxel" + ("" if made_by.leaky else ", averaged over the folds")
    elif made_by.leaky:
        shown = "voxels that a mask lets through (1)"
    else:
        shown = "share of the folds whose mask lets a voxel through"
    caption = f"Colour: {shown}; over the mean of all scans."
    overlaps = result.overlap
    caption += " Outlined: where the effect acts in this phantom." * bool(overlaps)
    items: list[Item] = [
        Text((f"{_made_from(result)} {made}",)),
        *captioned(pictures, "masks", caption, "Cuts through the brain with the masks."),
    ]
    if overlaps:
        rows = tuple(
            (name, f"{100 * one.sensitivity:.1f} %", f"{100 * one.precision:.1f} %")
            for name, one in overlaps.items()
        )
        columns = ("mask", "true region inside the mask", "mask inside the true region")
        items.append(Table(columns, rows, "Masks and the true region", _OVERLAP))
    return items


def _made_from(result: ReclassifyResult) -> str:
    made_by = result.making
    scans = "scans" if made_by.leaky else "training scans"
    kind = (
        "weighs each voxel of the brain by the rank of its strength, so that the mean weight is "
        f"{100 * made_by.share:g} %"
        if made_by.soft
        else f"lets the strongest {100 * made_by.share:g} % of the brain's voxels through"
    )
    return (
        f"Maps by {result.method} of each class are averaged over up to {made_by.explained} "
        f"{scans} of that class, smoothed by {made_by.fwhm:g} mm (FWHM), and taken without "
        f"their sign. The mask of the class {kind}. The joint mask is made in the same way of the "
        "sum over classes, each scaled to the same maximum; the random mask of smooth noise."
    )


def _methods(result: ReclassifyResult) -> list[Item]:
    made_by = result.making
    known = "all scans, the held-out ones among them" if made_by.leaky else "training scans only"
    rows = [
        ("network", result.network),
        ("method of the maps", result.method),
        ("masks made from", f"{known}, up to {made_by.explained} of each class"),
        ("share of the brain", f"{100 * made_by.share:g} %"),
        ("kind of mask", "soft, by rank" if made_by.soft else "hard, 0 or 1"),
        ("smoothing of the mean maps", f"{made_by.fwhm:g} mm FWHM"),
        ("trained anew on masked scans", "yes" if made_by.retrain else "no"),
        ("cross-validation", f"{result.folds} folds"),
        ("kept together", result.grouping),
        ("schedule", result.schedule),
        ("seed", str(made_by.seed)),
        ("time", duration(result.seconds)),
    ]
    rows += [(f"version of {name}", version) for name, version in result.versions.items()]
    words = (*_BEHIND, *_TRAINED) if made_by.retrain else _BEHIND
    return [Text(words), Table(("what", "value"), tuple(rows))]
