"""Lists of region names, as atlases and their tools write them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from voxplain.errors import InputError
from voxplain.files.pointers import require_content

__all__ = ["NamedLabel", "read_region_names"]

_INDEX = ("index", "label", "labelid", "id", "no", "no.", "number", "value", "key", "roi")
_NAME = ("name", "label name", "labelname", "region", "structure", "roi name", "label")
_LUT = re.compile(r"(\d+)\s+(\S.*?)(?:\s+\d+){4}")
# A colour may stand first in a table.
_COMMENT = re.compile(r"\s*#(?![0-9a-fA-F]{6}[\t,;])")
_ITK_SNAP = re.compile(r"(\d+)(?:\s+\d+){3}\s+[\d.]+\s+[01]\s+[01]\s+\"(.*)\"")


@dataclass(frozen=True)
class NamedLabel:
    """One line of a list.

    Parameters
    ----------
    label : int
    name : str
    line : int
        Its number in the file, from 1.
    text : str
        The line as it is.
    """

    label: int
    name: str
    line: int
    text: str


def read_region_names(path: Path) -> list[NamedLabel]:
    """Read a list of region names.

    Parameters
    ----------
    path : path
        In UTF-8: a table with a header such as BIDS's ``dseg.tsv`` (``index``, ``name``), a
        FreeSurfer lookup table (label, name, four numbers of colour), ITK-SNAP's label
        descriptions (seven numbers and a quoted name), FSL's XML, or a label and a name a line,
        apart by a tab, comma, semicolon or white space. Names may hold blanks. What follows the
        name behind a tab, comma or semicolon is left out, and so are numbers that stand at the end
        of every line, where the names are still different without them. Lines that begin with # are
        comments.

    Returns
    -------
    list of NamedLabel
        Without label 0, the background.

    Raises
    ------
    InputError
        If the file cannot be read as text, or a line holds no label and name.
    """
    require_content(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list of region names {path} cannot be read as text.") from error
    if text.lstrip().startswith("<"):
        return _from_xml(path, text)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(n, line) for n, line in lines if not _COMMENT.match(line)]
    named = []
    for (number, line), (label, name) in zip(
        lines, _rows([line for _, line in lines]), strict=True
    ):
        if label is None:
            continue
        if not re.fullmatch(r"\d+(\.0*)?", label) or not name:
            raise InputError(f"Line {number} of {path} must hold a label and a name: {line!r}.")
        named.append(NamedLabel(int(float(label)), name, number, line))
    return [one for one in named if one.label]


def _from_xml(path: Path, text: str) -> list[NamedLabel]:
    """Read FSL's description of an atlas, whose maps of probability are numbered from 0.

    The labels of the image of most probable regions are then larger by 1 than the numbers.
    """
    if "<!" in text.replace("<!--", ""):
        raise InputError(f"{path} holds declarations of XML, which lists of names do not need.")
    try:
        root = ElementTree.fromstring(text)
        found = [(int(one.attrib["index"]), one.text or "") for one in root.iter("label")]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is no description of an atlas as FSL writes it, with <label index=...>."
        ) from error
    kind = (root.findtext("header/type") or "").strip().lower()
    first = int(kind.startswith("prob"))
    named = [
        NamedLabel(index + first, " ".join(name.split()), number, name)
        for number, (index, name) in enumerate(found, 1)
    ]
    if not named or not all(one.name for one in named):
        raise InputError(f"{path} holds no <label index=...>, or one without a name.")
    return [one for one in named if one.label]


def _rows(lines: list[str]) -> list[tuple[str | None, str]]:
    """Split each line into a label and a name; a header has None for a label."""
    for pattern in (_ITK_SNAP, _LUT):
        found = [pattern.fullmatch(line.strip()) for line in lines]
        if lines and all(found):
            return [(match[1], match[2].strip()) for match in found if match]
    separator = next((s for s in "\t,;" if all(s in line for line in lines)), None)
    if separator is None:
        rows = [line.split(maxsplit=1) for line in lines]
        if len(rows) > 1 and _header(rows[0]) is not None:
            return [(None, ""), *_without_numbers(rows[1:])]
        return list(_without_numbers(rows))
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    columns = _header(rows[0]) if len(rows) > 1 else None
    if columns is None:
        return [(row[0], row[1]) for row in rows]
    index, name = columns
    padded = [row + [""] * len(rows[0]) for row in rows[1:]]
    return [(None, ""), *((row[index], row[name]) for row in padded)]


def _header(cells: list[str]) -> tuple[int, int] | None:
    """Find the columns of label and name in a first line, if it is a header."""
    names = [" ".join(re.split(r"[\s_]+", cell.strip().lower())) for cell in cells]
    index = next((names.index(word) for word in _INDEX if word in names), None)
    name = next((names.index(w) for w in _NAME if w in names and names.index(w) != index), None)
    return None if index is None or name is None else (index, name)


def _without_numbers(rows: list[list[str]]) -> list[tuple[str | None, str]]:
    """Take labels and names apart by white space, without columns of numbers behind the names."""
    labels = [row[0] for row in rows]
    names = [row[1].strip().strip("\"'") if len(row) > 1 else "" for row in rows]
    while all(re.search(r"\S\s+[\d.]+$", name) for name in names):
        shorter = [name.rsplit(maxsplit=1)[0] for name in names]
        if len(set(shorter)) < len(set(names)):
            break
        names = shorter
    return list(zip(labels, names, strict=True))
