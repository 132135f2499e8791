"""The items that sections of a page hold."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from voxplain.errors import InputError
from voxplain.report.html.table import Table
from voxplain.report.words.cards import Card

__all__ = [
    "Cards",
    "Case",
    "Cases",
    "Code",
    "Finding",
    "Findings",
    "Heading",
    "Item",
    "Links",
    "MapViewer",
    "NotRun",
    "Picture",
    "SideBySide",
    "Standing",
    "Text",
]

_CSS_PER_PIXEL: Final = 0.8
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

Standing = Literal["good", "weak", "chance", "plain"]
"""How something stands, which decides its colour."""


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
    svg : bytes, default=b""
        The same as lines, which the page then shows, sharp at any size.
    """

    kind: ClassVar[str] = "picture"
    png: bytes
    caption: str
    alt: str
    svg: bytes = b""

    def __post_init__(self) -> None:
        if not self.png.startswith(_SIGNATURE) or len(self.png) < 24:
            raise InputError(f"The picture of {self.alt!r} is not a PNG; give the bytes of one.")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, CSS pixels: the figures' type then suits the text's."""
        width, height = struct.unpack(">II", self.png[16:24])
        return round(width * _CSS_PER_PIXEL), round(height * _CSS_PER_PIXEL)


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
    standing: Standing = "plain"
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


@dataclass(frozen=True)
class NotRun:
    """A grey line: what the study does not hold, and the command that would make it.

    Parameters
    ----------
    what : str
        A sentence: ``"The maps were not tested over participants."``
    command : str
        Empty where no command makes it.
    """

    kind: ClassVar[str] = "not_run"
    what: str
    command: str = ""


@dataclass(frozen=True)
class Links:
    """Files beside the page.

    Parameters
    ----------
    links : tuple of (str, str)
        What is read, and the file, relative to the page.
    """

    kind: ClassVar[str] = "links"
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MapViewer:
    """Linked cuts through maps, whose values are in the page; see `voxplain.report.html.viewer`.

    Parameters
    ----------
    name : str
        Of the viewer within the page: lower-case letters, digits and hyphens.
    data : str
        JSON that `voxplain.report.html.viewer.viewer_data` made.
    caption : str
    """

    kind: ClassVar[str] = "map_viewer"
    name: str
    data: str
    caption: str


@dataclass(frozen=True)
class Cards:
    """Measures explained, each closed at first.

    Parameters
    ----------
    cards : sequence of Card
    """

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True)
class Case:
    """One of many of a kind, such as a participant, that opens when asked for.

    Parameters
    ----------
    label : str
    summary : str
        Beside the label, in a line.
    standing : {"good", "weak", "chance", "plain"}
    items : tuple of Text, Table or Picture
    shows : str
        What the page's viewer shows of it; empty for nothing.
    """

    label: str
    summary: str
    standing: Standing
    items: tuple[Text | Table | Picture, ...]
    shows: str = ""


@dataclass(frozen=True)
class Cases:
    """Cases, one below the other, all closed at first."""

    kind: ClassVar[str] = "cases"
    cases: tuple[Case, ...]


Item = (
    Text
    | Heading
    | Code
    | Picture
    | Table
    | Findings
    | SideBySide
    | NotRun
    | Links
    | MapViewer
    | Cards
    | Cases
)
"""What a section holds."""
