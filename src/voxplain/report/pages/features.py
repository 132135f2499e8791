"""The page of feature maps: which of them differ between two classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from voxplain.report.html.sections import (
    Fact,
    Finding,
    Findings,
    Item,
    Page,
    Section,
    SideBySide,
    Table,
    Text,
)
from voxplain.report.pages.demo_words import captioned
from voxplain.report.words.numbers import number

__all__ = ["MEASURES", "features_page"]

Features = Mapping[str, Any]

MEASURES: Final = {"mean": "Mean activation", "entropy": "Entropy, bits"}
"""Title of each measure of a feature map, by its key in ``summary.json``."""

_FIGURE: Final = (
    "Means of each class over participants with 95 % intervals, a feature map a column, ordered by "
    "Hedges' g; of more than 48 feature maps the outermost are shown. Filled dots differ at "
    "q < .05."
)
_TABLES: Final = (
    "The feature maps of the largest |g|, numbered from 0 as the layer's channels are. Marked maps "
    "differ at q < .05. All maps stand in the tables (TSV) beside the weights of the network."
)
_TESTS: Final = (
    "The mean is that of all values of a feature map. The entropy is Shannon's, in bits, of the "
    "histogram of these values in 256 bins of equal width from the least to the largest: low where "
    "few voxels stand out of an even background, 8 at most, 0 for a constant map. It does not "
    "depend on the map's scale.",
    "p is that of Welch's t-test of the two classes over participants, two-sided; several scans of "
    "one participant were averaged before, as they are not independent. q is p corrected for the "
    "number of maps of one measure (Benjamini and Hochberg 1995): of all maps with q < .05, at "
    "most 5 % are expected to be false. Hedges' g is the difference of the class means in standard "
    "deviations pooled within classes, corrected for small samples (Hedges 1981).",
    "The tests take participants as independent. Where they are of one family, and families tend "
    "to be of one class, p and q are too small.",
)


def features_page(features: Features, pictures: Mapping[str, bytes]) -> Page:
    """Assemble the page.

    Parameters
    ----------
    features : mapping
        The part ``features`` of ``summary.json``.
    pictures : mapping of str to bytes
        A PNG under ``contrasts``; left out where it is missing.

    Returns
    -------
    Page
    """
    first, second = features["counts"]
    facts = [
        Fact(
            f"{features[key]['differ']} of {features[key]['maps']}",
            f"feature maps differ, {_name(key)}",
            "at q < .05",
        )
        for key in MEASURES
    ]
    facts += [Fact(str(n), f"participants, {name}", _of(features)) for name, n in _counts(features)]
    said = [_differ(features, key) for key in MEASURES]
    if not features["fold"]:
        said.insert(0, _learned_by_heart(features))
    found: list[Item] = [
        Findings(tuple(said)),
        *captioned(pictures, "contrasts", _FIGURE, "Feature maps of two classes."),
    ]
    tables = tuple(_most(features, key) for key in MEASURES)
    sections = (
        Section(f"What differs between {first} and {second}", "findings", found),
        Section("The maps that differ most", "maps", [Text((_TABLES,)), SideBySide(tables)]),
        Section("How it was done", "methods", _methods(features)),
    )
    what = f"{features['layer']} of {features['network']}, {first} against {second}."
    return Page("Feature maps of two classes", what, sections, tuple(facts))


def _learned_by_heart(features: Features) -> Finding:
    words = f"{features['network']} was trained on these very scans, so that what differs is in "
    words += "part learned by heart. 'voxplain features STUDY --fold 1' takes the network of a "
    words += "fold and the scans that it has not seen."
    return Finding("Warning", words, "chance", "scans that the network was trained on")


def _differ(features: Features, key: str) -> Finding:
    (first, second), told = features["counts"], features[key]
    differ, maps, higher = told["differ"], told["maps"], told["higher_in_second"]
    label = f"Do the maps differ in {_name(key)}?"
    uncorrected = f"{told['differ_uncorrected']} at p < .05, where {number(0.05 * maps)} are "
    uncorrected += "expected by chance"
    if not differ:
        words = f"No feature map of {maps} differs in {_name(key)} at q < .05 ({uncorrected}): no "
        return Finding(label, f"{words}difference is shown.", "chance", "none is shown to")
    words = f"{differ} of {maps} feature maps differ in {_name(key)} at q < .05 ({uncorrected}): "
    words += f"{higher} higher in {second}, {differ - higher} higher in {first}."
    if features["fold"]:
        return Finding(label, words, "good", f"{differ} of {maps}")
    return Finding(label, words, "weak", f"{differ} of {maps}, on scans of the training")


def _most(features: Features, key: str) -> Table:
    names, rows = tuple(features["counts"]), features[key]["most"]
    return Table(
        ("map", *(f"mean, {name}" for name in names), "Hedges' g", "higher in", "p", "q"),
        tuple(
            (
                row["map"],
                *row["means"],
                row["g"],
                names[row["g"] > 0] if row["g"] else None,
                row["p"],
                row["q"],
            )
            for row in rows
        ),
        caption=MEASURES[key],
        highlight=frozenset(n for n, row in enumerate(rows) if row["q"] < 0.05),
    )


def _methods(features: Features) -> list[Item]:
    rows = [
        ("network", features["network"]),
        ("layer", features["layer"]),
        ("trained on", f"fold {features['fold']}" if features["fold"] else "all scans"),
        ("scans", _of(features)),
        (
            "participants",
            f"{features['participants']}: " + ", ".join(f"{n} {c}" for c, n in _counts(features)),
        ),
    ]
    rows += [(f"version of {name}", str(version)) for name, version in features["versions"].items()]
    return [Text(_TESTS), Table(("what", "value"), tuple(rows))]


def _of(features: Features) -> str:
    """Say which scans were taken: ``60 scans of 30 participants, held out``."""
    scans, people = features["n_scans"], features["participants"]
    return f"{scans} scans{f' of {people} participants' * (scans > people)}, {features['scans']}"


def _counts(features: Features) -> list[tuple[str, int]]:
    return list(features["counts"].items())


def _name(key: str) -> str:
    """Write a measure within a sentence, its unit left out."""
    return "mean activation" if key == "mean" else key
