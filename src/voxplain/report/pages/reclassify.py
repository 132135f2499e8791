"""The page of masked scans: how well they are classified, and where the masks lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from voxplain.report.html.sections import Fact, Findings, Item, Page, Section, Table, Text
from voxplain.report.pages.demo_words import captioned
from voxplain.report.pages.reclassify_findings import by_training_and_mask, reclassify_findings
from voxplain.report.words.numbers import duration
from voxplain.report.words.scores import (
    INTERVALS,
    at_chance,
    score_cell,
    score_row,
    score_text,
    score_value,
)

__all__ = ["condition_rows", "reclassify_page"]

Part = Mapping[str, Any]

_MEASURES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
}
_WHOLE, _AGAIN = "Trained on whole images", "Trained on masked images"
_FACTS: Final = {
    ("whole", ""): "whole images",
    ("whole", "joint"): "tested behind the joint mask",
    ("inside", "joint"): "trained and tested inside it",
    ("outside", "joint"): "trained and tested outside it",
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


def condition_rows(part: Part) -> list[dict[str, Any]]:
    """Give `figures.model_scores` its rows, the accuracy under each condition."""
    rows = []
    for name, one in part["conditions"].items():
        if one["trained"] == "whole":
            label, group = f"{one['mask']} mask" if one["mask"] else name, _WHOLE
        else:
            label, group = f"{one['trained']} the {one['mask']} mask", _AGAIN
        rows.append(score_row(part, label, group, one["accuracy"]))
    return rows


def reclassify_page(part: Part, pictures: Mapping[str, bytes]) -> Page:
    """Assemble the page.

    Parameters
    ----------
    part : mapping
        The part ``reclassify`` of ``summary.json``.
    pictures : mapping of str to bytes
        PNGs under ``scores`` and ``masks``; what is missing is left out.

    Returns
    -------
    Page
    """
    found = by_training_and_mask(part)
    facts = []
    for key, label in _FACTS.items():
        if key in found:
            score = found[key]["accuracy"]
            bounds = " to ".join(map(score_text, score["ci"]))
            value = score_text(score_value(score))
            facts.append(Fact(value, label, f"accuracy, 95 % interval {bounds}"))
    names = " or ".join(part["class_names"])
    subtitle = f"{names}, predicted by {part['network']} for {part['scans']} held-out scans, "
    subtitle += "whole and masked."
    sections = (
        Section("Where the evidence is", "findings", _findings(part, pictures)),
        Section("The masks", "masks", _masks(part, pictures)),
        Section("How it was done", "methods", _methods(part)),
    )
    return Page("Classification of masked scans", subtitle, sections, tuple(facts))


def _findings(part: Part, pictures: Mapping[str, bytes]) -> list[Item]:
    conditions = part["conditions"]
    rows = tuple(
        (
            name,
            *(score_cell(one, measure) for measure in _MEASURES),
            one["permutation"]["p"],
        )
        for name, one in conditions.items()
    )
    caption = _SCORES_FIGURE + _CEILING * (part["ceiling"] is not None)
    return [
        Findings(reclassify_findings(part)),
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


def _masks(part: Part, pictures: Mapping[str, bytes]) -> list[Item]:
    options = part["options"]
    made = (
        "They were made once, from the network that was trained on all scans."
        if options["leaky"]
        else f"Each of the {part['folds']} folds has masks of its own, the random one too."
    )
    if options["soft"]:
        shown = "weight of each voxel" + ("" if options["leaky"] else ", averaged over the folds")
    elif options["leaky"]:
        shown = "voxels that a mask lets through (1)"
    else:
        shown = "share of the folds whose mask lets a voxel through"
    caption = f"Colour: {shown}; over the mean of all scans."
    overlaps = part.get("overlap")
    caption += " Outlined: where the effect acts in this phantom." * bool(overlaps)
    items: list[Item] = [
        Text((f"{_made_from(part)} {made}",)),
        *captioned(pictures, "masks", caption, "Cuts through the brain with the masks."),
    ]
    if overlaps:
        rows = tuple(
            (name, *(f"{100 * one[key]:.1f} %" for key in ("sensitivity", "precision")))
            for name, one in overlaps.items()
        )
        columns = ("mask", "true region inside the mask", "mask inside the true region")
        items.append(Table(columns, rows, "Masks and the true region", _OVERLAP))
    return items


def _made_from(part: Part) -> str:
    options = part["options"]
    scans = "scans" if options["leaky"] else "training scans"
    kind = (
        "weighs each voxel of the brain by the rank of its strength, so that the mean weight is "
        f"{100 * options['share']:g} %"
        if options["soft"]
        else f"lets the strongest {100 * options['share']:g} % of the brain's voxels through"
    )
    return (
        f"Maps by {part['method']} of each class are averaged over up to {options['explained']} "
        f"{scans} of that class, smoothed by {options['fwhm']:g} mm (FWHM), and taken without "
        f"their sign. The mask of the class {kind}. The joint mask is made in the same way of the "
        "sum over classes, each scaled to the same maximum; the random mask of smooth noise."
    )


def _methods(part: Part) -> list[Item]:
    options = part["options"]
    known = "all scans, the held-out ones among them" if options["leaky"] else "training scans only"
    rows = [
        ("network", part["network"]),
        ("method of the maps", part["method"]),
        ("masks made from", f"{known}, up to {options['explained']} of each class"),
        ("share of the brain", f"{100 * options['share']:g} %"),
        ("kind of mask", "soft, by rank" if options["soft"] else "hard, 0 or 1"),
        ("smoothing of the mean maps", f"{options['fwhm']:g} mm FWHM"),
        ("trained anew on masked scans", "yes" if options["retrain"] else "no"),
        ("cross-validation", f"{part['folds']} folds"),
        ("kept together", part["grouping"]),
        ("schedule", part["schedule"]),
        ("seed", str(options["seed"])),
        ("time", duration(part["seconds"])),
    ]
    rows += [(f"version of {name}", str(version)) for name, version in part["versions"].items()]
    words = (*_BEHIND, *_TRAINED) if options["retrain"] else _BEHIND
    return [Text(words), Table(("what", "value"), tuple(rows))]
