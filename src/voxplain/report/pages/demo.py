"""The demo's page: what was asked, what was found, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from voxplain.report.html.sections import (
    Fact,
    Finding,
    Findings,
    Item,
    Page,
    Picture,
    Section,
    Table,
    Text,
)
from voxplain.report.pages.demo_findings import agreement, localisation, maps, provenance, regions
from voxplain.report.pages.demo_words import (
    captioned,
    class_words,
    listed,
    standing,
    subject_words,
)
from voxplain.report.words.numbers import cell, duration, interval
from voxplain.results.demo import DemoResult

__all__ = ["demo_page"]

_EDGES: Final = "the edge filter, which sees the image but no network"
_T_MAP: Final = "the voxel-wise t-map of the training images, which needs no network"


def demo_page(result: DemoResult, pictures: Mapping[str, bytes], viewer: str = "") -> Page:
    """Assemble the demo's page from its result, pictures and viewer alone.

    Parameters
    ----------
    result : DemoResult
    pictures : mapping of str to bytes
        PNGs under ``cohort``, ``training``, ``predictions``, ``localisation``, ``agreement``,
        ``gallery``, ``mosaic:<method>:<class>`` and ``regions:<method>:<class>``; what is missing
        is left out.
    viewer : str
        What `voxplain.report.html.viewer.viewer_data` made; empty for no viewer.

    Returns
    -------
    Page
    """
    cohort = result.cohort
    built = (
        Section("What was asked, and what was found", "found", _found(result, pictures)),
        Section("The cohort", "cohort", _cohort(result, pictures)),
        Section("The network and its accuracy", "network", _network(result, pictures)),
        Section("The maps", "maps", maps(result, pictures, viewer)),
        Section("Localisation against the truth", "localisation", localisation(result, pictures)),
        Section("Agreement between methods", "agreement", agreement(result, pictures)),
        Section("Regions", "regions", regions(result, pictures)),
        Section("How to repeat this run", "repeat", provenance(result)),
    )
    subtitle = (
        f"{cohort.subjects} phantom brains with a known effect in "
        f"{listed(cohort.effect.regions)}; a 3D network trained on {cohort.train} of "
        "them; "
        f"{len(result.methods)} explanation methods, judged by whether they point at it."
    )
    return Page(
        title=result.title,
        subtitle=subtitle,
        sections=tuple(section for section in built if section.items),
        facts=_facts(result),
    )


def _facts(result: DemoResult) -> tuple[Fact, ...]:
    methods = result.methods.values()
    able = [m for m in methods if m.better_than_chance]
    best = max(methods, key=lambda m: m.group_ap)
    accuracy, area = result.accuracy, result.roc_auc
    memory = f"{result.peak_rss_mb / 1000:.1f} GB of memory at most"
    return (
        Fact(
            f"{accuracy.value:.2f}",
            "held-out accuracy",
            f"{interval(accuracy.ci)}; {result.cohort.held_out} subjects",
        ),
        Fact(f"{area.value:.2f}", "ROC AUC", interval(area.ci)),
        Fact(
            f"{len(able)} of {len(methods)}", "methods better than chance", "at finding the effect"
        ),
        Fact(
            f"{best.group_ap:.2f}",
            f"best average precision{class_words(best)}",
            f"{best.label}; chance is {result.chance_ap:.3f}",
        ),
        Fact(duration(result.seconds["total"]), "from start to end", memory),
    )


def _found(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    methods = result.methods.values()
    able = [m for m in methods if m.better_than_chance]
    unable = [m.label for m in methods if not m.better_than_chance]
    if not unable:
        chance = "Every method finds the effect better than chance."
    elif not able:
        chance = "No method finds the effect: all are no better than chance."
    else:
        are = "are" if len(unable) > 1 else "is"
        find = "find" if len(able) > 1 else "finds"
        chance = (
            f"{listed(m.label for m in able)} {find} the effect better than chance. "
            f"{listed(unable)} {are} no better than chance."
        )
    edges = [m.label for m in able if m.beats_edges]
    t_map = [m.label for m in able if m.beats_t_map]
    controls = f"{_who_beats(edges, _EDGES)} {_who_beats(t_map, _T_MAP)}"
    asked = (
        "A network was trained to tell two classes apart, one of which carries a local effect at a "
        "place we chose. Each method was then asked, for subjects the network had not seen, which "
        "voxels its answer rests on. As the place of the effect is known, the maps can be marked."
    )
    verdicts = Findings(
        tuple(Finding(m.label, m.verdict, *standing(m)) for m in result.methods.values())
    )
    items: list[Item] = [Text((asked, f"{chance} {controls}")), verdicts]
    items += captioned(
        pictures,
        "gallery",
        "The methods at the same cuts, mean over held-out subjects, over the anatomy. Each row has "
        "its own scale. The outline is the true effect.",
        "Maps of all methods at the same cuts through the brain, the true effect outlined.",
    )
    return items


def _who_beats(winners: list[str], words: str) -> str:
    if not winners:
        return f"No method beats {words}."
    return f"{listed(winners)} {'beat' if len(winners) > 1 else 'beats'} {words}."


def _cohort(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    cohort = result.cohort
    effect, classes = cohort.effect, cohort.classes
    told = (
        "A phantom is a made-up brain of which everything is known. Each begins as the MNI152 "
        "template and is given its own smooth anatomy, contrast, bias field and noise, so that no "
        "two are alike; a network has to look past these differences as it would in real scans."
    )
    where = (
        f"Subjects of class “{classes[1]}” carry an effect in {listed(effect.regions)}; those "
        f"of class “{classes[0]}” do not. {effect.description}"
    )
    rows: tuple[tuple[object, ...], ...] = (
        ("Subjects", cohort.subjects),
        ("Used for training", cohort.train),
        ("Held out", cohort.held_out),
        ("Classes", listed(classes)),
        ("Subjects per class", ", ".join(f"{k} {v}" for k, v in cohort.class_counts.items())),
        ("Volume of the effect", f"{effect.volume_ml:.1f} ml"),
        ("Grid", str(result.grid)),
        ("Time to make a subject", duration(cohort.seconds_per_subject)),
    )
    picture = captioned(
        pictures,
        "cohort",
        "Subjects with the effect, the same subjects without it, and the difference, at one axial "
        "and one coronal cut.",
        "Cuts through phantom subjects with and without the effect, and their difference.",
    )
    return [
        Text((told, where)),
        *picture,
        Table(("Quantity", "Value"), rows, caption="The cohort in numbers"),
    ]


def _network(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    network, training, cohort = result.network, result.training, result.cohort
    words = (
        f"{network.name}, {network.parameters:,} parameters, was trained on "
        f"{cohort.train} subjects in {duration(training.seconds)} "
        f"({training.schedule}). Accuracy is measured on "
        f"{subject_words(cohort.held_out)} that took no part in training; intervals "
        "are 95 % bootstrap intervals over these subjects."
    )
    rows = tuple(
        (label, estimate.value, estimate.ci)
        for label, estimate in (
            ("Accuracy", result.accuracy),
            ("Balanced accuracy", result.balanced_accuracy),
            ("ROC AUC", result.roc_auc),
        )
    )
    final = cell(training.history[-1].train_accuracy)
    pair: list[Picture | Table] = []
    items: list[Item] = [
        Text((words,)),
        Table(
            ("Held out", "Value", "95 % interval"), rows, caption="Accuracy on held-out subjects"
        ),
    ]
    pair += captioned(
        pictures,
        "training",
        f"Loss and accuracy over the epochs; accuracy on the training set at the end: {final}.",
        "Curves of loss and accuracy over the epochs of training.",
    )
    pair += captioned(
        pictures,
        "predictions",
        f"Left: probability of class “{cohort.classes[1]}” for every held-out subject; open dots "
        "are wrong answers. Right: the ROC curve.",
        "Predicted probabilities of held-out subjects by true class, and the ROC curve.",
    )
    return [*items, *pair]
