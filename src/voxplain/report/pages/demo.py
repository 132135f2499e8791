"""The demo's page: what was asked, what was found, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

__all__ = ["demo_page"]


def demo_page(
    summary: Mapping[str, Any], pictures: Mapping[str, bytes], viewers: Mapping[str, str]
) -> Page:
    """Assemble the demo's page from its summary, pictures and viewers alone.

    Parameters
    ----------
    summary : mapping
        The demo's ``summary.json`` as plain values.
    pictures : mapping of str to bytes
        PNGs under ``cohort``, ``training``, ``predictions``, ``localisation``, ``agreement``,
        ``gallery``, ``mosaic:<method>:<class>`` and ``regions:<method>:<class>``; what is missing
        is left out.
    viewers : mapping of str to str
        Pages of `viewer.slice_viewer` under ``<method>:<class>`` or ``<method>``.

    Returns
    -------
    Page
    """
    cohort = summary["cohort"]
    built = (
        Section("What was asked, and what was found", "found", _found(summary, pictures)),
        Section("The cohort", "cohort", _cohort(summary, pictures)),
        Section("The network and its accuracy", "network", _network(summary, pictures)),
        Section("The maps", "maps", maps(summary, pictures, viewers)),
        Section("Localisation against the truth", "localisation", localisation(summary, pictures)),
        Section("Agreement between methods", "agreement", agreement(summary, pictures)),
        Section("Regions", "regions", regions(summary, pictures)),
        Section("How to repeat this run", "repeat", provenance(summary)),
    )
    subtitle = (
        f"{cohort['subjects']} phantom brains with a known effect in "
        f"{listed(cohort['effect']['regions'])}; a 3D network trained on {cohort['train']} of "
        "them; "
        f"{len(summary['methods'])} explanation methods, judged by whether they point at it."
    )
    return Page(
        title=str(summary["title"]),
        subtitle=subtitle,
        sections=tuple(section for section in built if section.items),
        facts=_facts(summary),
    )


def _facts(summary: Mapping[str, Any]) -> tuple[Fact, ...]:
    methods = summary["methods"].values()
    able = [m for m in methods if m["better_than_chance"]]
    best = max(methods, key=lambda m: m["group_ap"])
    held_out = summary["cohort"]["held_out"]
    facts = [
        Fact(
            f"{summary['accuracy']:.2f}",
            "held-out accuracy",
            f"{interval(summary.get('accuracy_ci'))}; {held_out} subjects",
        ),
        Fact(f"{summary['roc_auc']:.2f}", "ROC AUC", interval(summary.get("roc_auc_ci"))),
        Fact(
            f"{len(able)} of {len(methods)}", "methods better than chance", "at finding the effect"
        ),
        Fact(
            f"{best['group_ap']:.2f}",
            f"best average precision{class_words(best)}",
            f"{best['label']}; chance is {summary['chance_ap']:.3f}",
        ),
    ]
    total = summary.get("seconds", {}).get("total")
    if total is not None:
        memory = summary.get("peak_rss_mb")
        note = f"{memory / 1000:.1f} GB of memory at most" if memory is not None else ""
        facts.append(Fact(duration(total), "from start to end", note))
    return tuple(facts)


def _found(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    methods = list(summary["methods"].values())
    able = [m for m in methods if m["better_than_chance"]]
    unable = [m["label"] for m in methods if not m["better_than_chance"]]
    if not unable:
        chance = "Every method finds the effect better than chance."
    elif not able:
        chance = "No method finds the effect: all are no better than chance."
    else:
        are = "are" if len(unable) > 1 else "is"
        find = "find" if len(able) > 1 else "finds"
        chance = (
            f"{listed(m['label'] for m in able)} {find} the effect better than chance. "
            f"{listed(unable)} {are} no better than chance."
        )
    controls = " ".join(
        _who_beats(able, key, words)
        for key, words in (
            ("beats_edges", "the edge filter, which sees the image but no network"),
            ("beats_t_map", "the voxel-wise t-map of the training images, which needs no network"),
        )
        if any(key in m for m in methods)
    )
    asked = (
        "A network was trained to tell two classes apart, one of which carries a local effect at a "
        "place we chose. Each method was then asked, for subjects the network had not seen, which "
        "voxels its answer rests on. As the place of the effect is known, the maps can be marked."
    )
    verdicts = Findings(
        tuple(
            Finding(m["label"], m.get("verdict", ""), *standing(m))
            for m in summary["methods"].values()
        )
    )
    items: list[Item] = [Text((asked, f"{chance} {controls}".strip())), verdicts]
    items += captioned(
        pictures,
        "gallery",
        "The methods at the same cuts, mean over held-out subjects, over the anatomy. Each row has "
        "its own scale. The outline is the true effect.",
        "Maps of all methods at the same cuts through the brain, the true effect outlined.",
    )
    return items


def _who_beats(able: list[Mapping[str, Any]], key: str, words: str) -> str:
    winners = [m["label"] for m in able if m.get(key)]
    if not winners:
        return f"No method beats {words}."
    return f"{listed(winners)} {'beat' if len(winners) > 1 else 'beats'} {words}."


def _cohort(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    cohort = summary["cohort"]
    effect = cohort["effect"]
    classes = cohort["classes"]
    told = (
        "A phantom is a made-up brain of which everything is known. Each begins as the MNI152 "
        "template and is given its own smooth anatomy, contrast, bias field and noise, so that no "
        "two are alike; a network has to look past these differences as it would in real scans."
    )
    where = (
        f"Subjects of class “{classes[1]}” carry an effect in {listed(effect['regions'])}; those "
        f"of class “{classes[0]}” do not. {effect.get('description', '')}"
    )
    rows: list[tuple[object, ...]] = [
        ("Subjects", cohort["subjects"]),
        ("Used for training", cohort["train"]),
        ("Held out", cohort["held_out"]),
        ("Classes", listed(classes)),
    ]
    counts = cohort.get("class_counts")
    if counts:
        rows.append(("Subjects per class", ", ".join(f"{k} {v}" for k, v in counts.items())))
    if effect.get("volume_ml") is not None:
        rows.append(("Volume of the effect", f"{effect['volume_ml']:.1f} ml"))
    if "grid" in summary:
        rows.append(("Grid", summary["grid"]["text"]))
    if cohort.get("seconds_per_subject") is not None:
        rows.append(("Time to make a subject", duration(cohort["seconds_per_subject"])))
    picture = captioned(
        pictures,
        "cohort",
        "Subjects with the effect, the same subjects without it, and the difference, at one axial "
        "and one coronal cut.",
        "Cuts through phantom subjects with and without the effect, and their difference.",
    )
    return [
        Text((told, where.strip())),
        *picture,
        Table(("Quantity", "Value"), tuple(rows), caption="The cohort in numbers"),
    ]


def _network(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    network, training = summary["network"], summary["training"]
    words = (
        f"{network['name']}, {network['parameters']:,} parameters, was trained on "
        f"{summary['cohort']['train']} subjects in {duration(training.get('seconds'))} "
        f"({training.get('schedule', 'schedule not recorded')}). Accuracy is measured on "
        f"{subject_words(summary['cohort']['held_out'])} that took no part in training; intervals "
        "are 95 % bootstrap intervals over these subjects."
    )
    rows = tuple(
        (label, float(summary[key]), summary.get(f"{key}_ci"))
        for label, key in (
            ("Accuracy", "accuracy"),
            ("Balanced accuracy", "balanced_accuracy"),
            ("ROC AUC", "roc_auc"),
        )
        if summary.get(key) is not None
    )
    classes = summary["cohort"]["classes"]
    history = training.get("history") or [{}]
    final = cell(history[-1].get("train_accuracy"))
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
        f"Left: probability of class “{classes[1]}” for every held-out subject; open dots are "
        "wrong answers. Right: the ROC curve.",
        "Predicted probabilities of held-out subjects by true class, and the ROC curve.",
    )
    return [*items, *pair]
