"""Small pieces of sentences that the demo's sections share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from voxplain.report.html.sections import Picture

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


def class_words(method: Mapping[str, Any]) -> str:
    """Name the class whose mean map a method's group figures are of: ``, class “case”``."""
    name = method.get("group_class")
    return f", class “{name}”" if name else ""


def whose_figures(method: Mapping[str, Any]) -> str:
    """Say, in a sentence that follows others, what a method's group figures are of."""
    name = method.get("group_class")
    if not name:
        return ""
    return (
        f" Group figures are of the mean map of class “{name}” alone, which carries the effect; "
        "means of subjects are over both classes."
    )


def captioned(pictures: Mapping[str, bytes], key: str, caption: str, alt: str) -> list[Picture]:
    """Return the picture under a key in a list, or an empty list where there is none."""
    return [Picture(pictures[key], caption, alt)] if key in pictures else []


def standing(method: Mapping[str, Any]) -> tuple[Literal["good", "weak", "chance"], str]:
    """Rank a method by what it beats: a standing for the eye, and the same in words."""
    if not method["better_than_chance"]:
        return "chance", "no better than chance"
    if method.get("beats_edges") is False:
        return "weak", "better than chance, but not than an edge filter"
    if method.get("beats_t_map"):
        return "good", "better than chance, the edge filter and the t-map"
    return "good", "better than chance" + (
        " and the edge filter" if method.get("beats_edges") else ""
    )
