"""What a page holds, declared: the template alone knows how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxplain.errors import InputError
from voxplain.report.html.items import (
    Cards,
    Case,
    Cases,
    Code,
    Finding,
    Findings,
    Heading,
    Item,
    Links,
    MapViewer,
    NotRun,
    Picture,
    SideBySide,
    Standing,
    Text,
)
from voxplain.report.html.table import Table

__all__ = [
    "Cards",
    "Case",
    "Cases",
    "Code",
    "Fact",
    "Finding",
    "Findings",
    "Heading",
    "Item",
    "Links",
    "Made",
    "MapViewer",
    "NotRun",
    "Page",
    "Picture",
    "Section",
    "SideBySide",
    "Standing",
    "Table",
    "Text",
]


@dataclass(frozen=True)
class Section:
    """A numbered part of the page.

    Parameters
    ----------
    title : str
    anchor : str
        Its address within the page: lower-case letters, digits and hyphens.
    items : sequence of Item
    """

    title: str
    anchor: str
    items: Sequence[Item]

    def __post_init__(self) -> None:
        if not self.anchor or set(self.anchor) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise InputError(
                f"The anchor {self.anchor!r} may hold only lower-case letters, digits and hyphens."
            )

    @property
    def empty(self) -> bool:
        """Whether the section says only what was not run."""
        return bool(self.items) and all(isinstance(item, NotRun) for item in self.items)


@dataclass(frozen=True)
class Fact:
    """One of the large numbers at the top of the page."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Made:
    """Of what, by what and when a page was made.

    Parameters
    ----------
    study : str
        Name of its folder.
    command : str
    date : str
    version : str
        Of voxplain.
    """

    study: str
    command: str
    date: str
    version: str


@dataclass(frozen=True)
class Page:
    """All that `render` needs.

    Parameters
    ----------
    title, subtitle : str
    sections : tuple of Section
    facts : tuple of Fact
    made : Made, optional
        Of what, by what and when the page was made.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    facts: tuple[Fact, ...] = field(default=())
    made: Made | None = None

    def __post_init__(self) -> None:
        anchors = [section.anchor for section in self.sections]
        if len(set(anchors)) != len(anchors):
            raise InputError("Two sections of a page share an anchor; give each its own.")

    @property
    def holds_maps(self) -> bool:
        """Whether a section has a viewer of maps, which needs its script."""
        return any(isinstance(item, MapViewer) for part in self.sections for item in part.items)
