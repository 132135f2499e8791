"""What masked scans say about the place of the evidence, as far as their intervals carry it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from voxplain.report.html.sections import Finding
from voxplain.report.words.scores import (
    apart,
    at_chance,
    beats,
    chance_level,
    few_folds,
    score_cell,
)
from voxplain.results.reclassify import JOINT, RANDOM, Condition, ReclassifyResult
from voxplain.results.scores import Judged

__all__ = ["reclassify_findings"]

_LEAK: Final = Finding(
    "Warning",
    "The masks were made from maps of all scans by a network that was trained on all of them, so "
    "that they know the held-out scans: the accuracies behind the masks are too good.",
    "chance",
    "masks know the held-out scans",
)
_HOLDS, _PLACE = "Does the joint mask hold evidence?", "More than a random mask?"
_AGAIN, _NEEDED = "More than a random mask, trained anew?", "Is the joint mask needed?"


def reclassify_findings(result: ReclassifyResult) -> tuple[Finding, ...]:
    """Say whether the joint mask holds the evidence, and is needed, and is more than a random one.

    Parameters
    ----------
    result : ReclassifyResult

    Returns
    -------
    tuple of Finding
        What only networks that were trained anew can tell is left out where there are none, and
        all of it where the network is not clearly better than chance on whole images. Too few folds
        are warned of first.
    """
    chance = chance_level(result.class_names, result.class_counts) or 0.0
    found, leaky = result.conditions, result.making.leaky
    whole, joint = found[Condition("whole")], found[Condition("whole", JOINT)]
    few = few_folds(result.folds)
    warning: tuple[Finding, ...] = (_LEAK,) if leaky else ()
    warning += (Finding("Warning", few, "chance", "too few folds"),) if few else ()
    if not _better(whole, chance):
        words = f"On whole images the accuracy of {result.network} is {_score(whole)}, which "
        words += f"{_against_chance(whole, chance)}. {_no_evidence(result, whole)}"
        return (*warning, Finding("Whole images", words, _low(whole), _badge(whole)))
    said = [_holds(joint, whole, chance)]
    if _better(joint, chance):
        words = "Behind the joint mask"
        said.append(_against_random(_PLACE, words, joint, found[Condition("whole", RANDOM)]))
    if leaky:
        said = [
            replace(one, standing="weak", badge=f"{one.badge}, but the masks leak")
            if one.standing == "good"
            else one
            for one in said
        ]
    elif (again := Condition("inside", JOINT)) in found:
        inside, outside = found[again], found[Condition("outside", JOINT)]
        said.append(_trained_inside(inside, found[Condition("inside", RANDOM)], chance))
        said.append(_outside(outside, whole, chance))
    return (*warning, *said)


def _no_evidence(result: ReclassifyResult, whole: Judged) -> str:
    """Say what is left to say of masks where whole images are not clearly told apart."""
    held = result.overlap.get(JOINT)
    known = held and f"the joint mask holds {100 * held.sensitivity:.0f} % of the true region"
    if at_chance(whole):
        words = "No evidence is shown that a mask could hold, and masks that are made of its maps "
        words += "say nothing"
        return f"{words} by themselves; yet {known}." if held else f"{words}."
    words = "Whether its maps, and masks that are made of them, show where the evidence is, stays "
    words += "open"
    return f"{words}, although {known}." if held else f"{words}."


def _holds(joint: Judged, whole: Judged, chance: float) -> Finding:
    words = "Behind the joint mask, the accuracy of the network that was trained on whole images "
    words += f"is {_score(joint)}, which {_against_chance(joint, chance)}"
    if not _better(joint, chance):
        words += ". The network has never seen masked scans, which may shift all of its answers "
        words += "towards one class, so that this alone does not show that the evidence is "
        words += "elsewhere. The ROC AUC, which such a shift leaves as it is, is "
        words += f"{_score(joint, 'roc_auc')}."
        return Finding(_HOLDS, words, _low(joint), _badge(joint))
    side = apart(joint, whole)
    if side < 0:
        words += f", but less than on whole images, {_score(whole)}: either there is evidence "
        words += "outside the mask as well, or masked scans mislead the network."
        return Finding(_HOLDS, words, "weak", "holds a part of it")
    than = "and more than" if side else "and cannot be told apart from that"
    return Finding(_HOLDS, f"{words}, {than} on whole images, {_score(whole)}.", "good", "yes")


def _against_random(label: str, where: str, joint: Judged, other: Judged) -> Finding:
    side = apart(joint, other)
    words = f"{where}, the accuracy is {_score(joint)}, and with a random mask of the same size "
    words += f"and smoothness {_score(other)}"
    if side > 0:
        words += ". The place of the mask counts, and not its size alone."
        return Finding(label, words, "good", "more than a random mask")
    if side < 0:
        return Finding(label, f"{words}, which is more.", "chance", "less than a random mask")
    words += ". The intervals overlap, so that the two cannot be told apart: it is not shown that "
    words += "the place of the mask counts."
    return Finding(label, words, "weak", "cannot be told apart")


def _trained_inside(inside: Judged, random: Judged, chance: float) -> Finding:
    if _better(inside, chance):
        words = "Trained and tested inside the joint mask"
        return _against_random(_AGAIN, words, inside, random)
    words = f"Trained and tested inside the joint mask, the accuracy is {_score(inside)}, which "
    shown = "no evidence is shown inside it"
    if not at_chance(inside):
        shown = "whether there is evidence inside it stays open"
    words += f"{_against_chance(inside, chance)}: {shown}."
    return Finding(_AGAIN, words, _low(inside), _badge(inside))


def _outside(outside: Judged, whole: Judged, chance: float) -> Finding:
    words = f"Trained and tested outside the joint mask, the accuracy is {_score(outside)}, which "
    words += _against_chance(outside, chance)
    side = apart(outside, whole)
    if _better(outside, chance):
        words += ": there is evidence elsewhere as well, and the mask is not needed"
        less = f". It is less than on whole images, {_score(whole)}"
        return Finding(
            _NEEDED, f"{words}{less * (side < 0)}.", "weak", "evidence elsewhere as well"
        )
    if side < 0:
        words += f", and less than on whole images, {_score(whole)}: no evidence was found outside "
        return Finding(_NEEDED, f"{words}the mask.", "good", "none found elsewhere")
    words += f", and cannot be told apart from that on whole images, {_score(whole)}, either: "
    return Finding(_NEEDED, f"{words}whether the mask is needed stays open.", "weak", "open")


def _better(model: Judged, chance: float) -> bool:
    return not at_chance(model) and beats(model, "accuracy", chance)


def _against_chance(model: Judged, chance: float) -> str:
    p = model.permutation.p
    tested = f"chance is {chance:.3f}" + ("" if p is None else f", p = {p:.3f}")
    if at_chance(model):
        return f"cannot be distinguished from chance ({tested})"
    if not beats(model, "accuracy", chance):
        return f"is not clearly better than chance ({tested}, but the interval does not lie above)"
    return f"is better than chance ({tested})"


def _low(model: Judged) -> Literal["chance", "weak"]:
    return "chance" if at_chance(model) else "weak"


def _badge(model: Judged) -> str:
    return "at chance" if at_chance(model) else "not clearly better than chance"


def _score(model: Judged, measure: str = "accuracy") -> str:
    return score_cell(model, measure).replace("(", "(95 % interval ")
