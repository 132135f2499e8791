"""What a page holds, declared: the template alone knows how it looks."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from voxplain.errors import InputError
from voxplain.report.words.numbers import cell

__all__ = [
    "Code",
    "Fact",
    "Finding",
    "Findings",
    "Heading",
    "Item",
    "Page",
    "Picture",
    "Section",
    "SideBySide",
    "Table",
    "Text",
    "Viewer",
]

_CSS_PER_PIXEL: Final = 0.8
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text.

    Parameters
    ----------
    paragraphs : tuple of str
    """

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Code:
    """Lines to copy, such as a command."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Picture:
    """A figure.

    Parameters
    ----------
    png : bytes
    caption : str
    alt : str
        What the picture shows, for who cannot see it.
    """

    kind: ClassVar[str] = "picture"
    png: bytes
    caption: str
    alt: str

    def __post_init__(self) -> None:
        if not self.png.startswith(_SIGNATURE) or len(self.png) < 24:
            raise InputError(f"The picture of {self.alt!r} is not a PNG; give the bytes of one.")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, CSS pixels: the figures' type then suits the text's."""
        width, height = struct.unpack(">II", self.png[16:24])
        return round(width * _CSS_PER_PIXEL), round(height * _CSS_PER_PIXEL)


@dataclass(frozen=True)
class Table:
    """Rows of values; numbers are written with three decimals, what is missing as a dash.

    Parameters
    ----------
    columns : tuple of str
    rows : tuple of tuple
        Texts, numbers, intervals (pairs), truth values or None, one per column.
    caption : str
    note : str
        Small print below.
    highlight : frozenset of int
        Positions of rows that stand out.

    Raises
    ------
    InputError
        If a row has another number of cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""
    note: str = ""
    highlight: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    f"A row of the table {self.caption!r} has {len(row)} cells for "
                    f"{len(self.columns)} columns."
                )

    @property
    def cells(self) -> list[list[str]]:
        """The rows as they are written."""
        return [[cell(value) for value in row] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers or intervals, and are set flush right."""
        return [
            any(_is_number(v) for v in column) and not any(isinstance(v, str) for v in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.columns)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | tuple | list) and not isinstance(value, bool)


@dataclass(frozen=True)
class Viewer:
    """A page of its own inside the page, such as `viewer.slice_viewer` makes."""

    kind: ClassVar[str] = "viewer"
    html: str
    caption: str


@dataclass(frozen=True)
class Finding:
    """A verdict in one sentence.

    Parameters
    ----------
    label : str
        What it is about.
    sentence : str
    standing : {"good", "weak", "chance", "plain"}
        Decides the colour; the badge says it in words as well.
    badge : str
    """

    label: str
    sentence: str
    standing: Literal["good", "weak", "chance", "plain"] = "plain"
    badge: str = ""


@dataclass(frozen=True)
class Findings:
    """Verdicts, one below the other."""

    kind: ClassVar[str] = "findings"
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class SideBySide:
    """Items in two columns where the window is wide enough."""

    kind: ClassVar[str] = "side_by_side"
    items: tuple[Picture | Table, ...]


Item = Text | Heading | Code | Picture | Table | Viewer | Findings | SideBySide
"""What a section holds."""


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


@dataclass(frozen=True)
class Fact:
    """One of the large numbers at the top of the page."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """All that `render` needs.

    Parameters
    ----------
    title, subtitle : str
    sections : tuple of Section
    facts : tuple of Fact
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    facts: tuple[Fact, ...] = field(default=())

    def __post_init__(self) -> None:
        anchors = [section.anchor for section in self.sections]
        if len(set(anchors)) != len(anchors):
            raise InputError("Two sections of a page share an anchor; give each its own.")
