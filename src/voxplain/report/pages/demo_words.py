"""Small pieces of sentences that the demo's sections share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from voxplain.report.html.sections import Picture
from voxplain.results.localisation import MethodResult

__all__ = [
    "captioned",
    "class_words",
    "listed",
    "region_name",
    "standing",
    "subject_words",
    "whose_figures",
]


def listed(names: Iterable[str]) -> str:
    """Join names as a sentence does: ``a, b and c``."""
    words = [region_name(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def region_name(name: str) -> str:
    """Write an atlas label with spaces: ``Hippocampus_L`` becomes ``Hippocampus L``."""
    return str(name).replace("_", " ")


def subject_words(count: int) -> str:
    """Count subjects: ``1 subject``, ``36 subjects``."""
    return f"{count} subject{'' if count == 1 else 's'}"


def class_words(method: MethodResult) -> str:
    """Name the class whose mean map a method's group figures are of: ``, class “case”``."""
    return f", class “{method.group_class}”"


def whose_figures(method: MethodResult) -> str:
    """Say, in a sentence that follows others, what a method's group figures are of."""
    return (
        f" Group figures are of the mean map of class “{method.group_class}” alone, which carries "
        "the effect; means of subjects are over both classes."
    )


def captioned(pictures: Mapping[str, bytes], key: str, caption: str, alt: str) -> list[Picture]:
    """Return the picture under a key in a list, or an empty list where there is none."""
    return [Picture(pictures[key], caption, alt)] if key in pictures else []


def standing(method: MethodResult) -> tuple[Literal["good", "weak", "chance"], str]:
    """Rank a method by what it beats: a standing for the eye, and the same in words."""
    if not method.better_than_chance:
        return "chance", "no better than chance"
    if not method.beats_edges:
        return "weak", "better than chance, but not than an edge filter"
    if method.beats_t_map:
        return "good", "better than chance, the edge filter and the t-map"
    return "good", "better than chance and the edge filter"
