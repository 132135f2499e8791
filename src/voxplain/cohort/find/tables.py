"""Tables of participants as people keep them: TSV, CSV or a spreadsheet, every cell as text."""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.errors import InputError, VoxplainWarning
from voxplain.files.pointers import require_content
from voxplain.tables.cells import fold, missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["participant_key", "read_table"]

# What a name promises comes first; people save the one as the other all the same.
_SEPARATORS = {".tsv": "\t,;", ".csv": ",;\t", ".txt": "\t,;"}
_SHEETS = (".xlsx", ".xls", ".ods")
_KEYS = ("participant_id", "subject", "subject_id", "ixi_id", "id")
_STATS_TABLE = re.compile(r"(Measure:|[lr]h\.)")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# As spreadsheets are made to keep the zeros of 001.
_FORMULA = re.compile(r'="?([^"]*)"?')


@dataclass(frozen=True)
class _Row:
    """Cells of a row, the line of the file that it ends in, and whether it swallowed others."""

    line: int
    cells: list[str]
    swallowed: bool = False


def participant_key(path: Path) -> str:
    """Find the column that names participants in a table of measures.

    Parameters
    ----------
    path : path
        With ``participant_id``, HCP's ``Subject``, or one of FreeSurfer's stats tables, whose first
        column has the name of the measure.

    Returns
    -------
    str
        ``participant_id`` where there is none, so that reading the table says what is missing.
    """
    if path.suffix.lower() not in _SEPARATORS or not path.exists():
        return "participant_id"
    names = [_name(cell) for cell in _rows(path, _KEYS)[0].cells]
    lower = {name.lower(): name for name in names}
    for name in _KEYS:
        if name in lower:
            return lower[name]
    return names[0] if _STATS_TABLE.match(names[0]) else "participant_id"


def read_table(path: Path, key: str = "participant_id") -> pd.DataFrame:
    """Read a table with one row per participant.

    Text may be UTF-8, UTF-16 or UTF-32 with a mark, or of Western Europe, which is warned of; rows
    without any value, and columns without name and value, are passed over.

    Parameters
    ----------
    path : path
        ``.tsv``, ``.csv`` (comma or semicolon), ``.txt``, ``.xlsx`` or ``.xls``.
    key : str
        Column that names the participant; it is called ``participant_id`` in what is returned.

    Returns
    -------
    pandas.DataFrame of str
        Cells as they are written, without blanks around them; empty ones are ``"n/a"``.
        Participants whom a spreadsheet wrote as ``1.0`` are called ``1``.

    Raises
    ------
    InputError
        If the file is missing or no such table; if a row has more or fewer cells than the header;
        if it has no such column, no row, a row without participant, or a column twice.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in _SEPARATORS and suffix not in _SHEETS:
        raise InputError(f"{path} is not a table by its name; give a .tsv, .csv or .xlsx file.")
    require_content(path)
    header, *rows = _rows(path, (key,))
    names = [_name(cell) for cell in header.cells]
    rows = [_fitted(path, row, names) for row in rows]
    kept = _columns(path, names, rows)
    alike = [name for name in kept if fold(name) == fold(key)]
    if key not in kept and len(alike) == 1:
        kept = {key if name == alike[0] else name: at for name, at in kept.items()}
    if key not in kept:
        raise InputError(
            f"{path} has no column {key!r} for the participants; it has: {', '.join(kept)}."
        )
    if not rows:
        raise InputError(f"{path} has no rows; give a table with one row per participant.")
    nobody = [row.line for row in rows if missing(row.cells[kept[key]])]
    if nobody:
        raise InputError(
            f"Row {nobody[0]} of {path} names no participant in column {key!r}; fill it in, or "
            "delete the row."
        )
    table = pd.DataFrame(
        {name: [row.cells[at] or "n/a" for row in rows] for name, at in kept.items()}, dtype=str
    )
    table[key] = _without_decimals(table[key].tolist())
    if key != "participant_id":
        # A second name for participants beside the one that images go by.
        table = table.drop(columns="participant_id", errors="ignore")
    return table.rename(columns={key: "participant_id"})


def _rows(path: Path, keys: Sequence[str]) -> list[_Row]:
    """Read the rows that hold anything, the header first."""
    try:
        if path.suffix.lower() in _SHEETS:
            rows = _sheet(path)
        else:
            rows = _separated(path, _text(path), keys)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the path.") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read by this user; change its permissions.") from error
    except ImportError as error:
        raise InputError(
            f"{path} is a spreadsheet, which needs one more package ({error.name or error}); "
            "install it with: pip install 'voxplain[excel]', or save the sheet as .csv."
        ) from error
    except (ValueError, OSError, KeyError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a table; save it as .tsv or .csv.") from error
    if not rows:
        raise InputError(f"{path} is empty, and cannot be read as a table; save it again.")
    return rows


def _sheet(path: Path) -> list[_Row]:
    import pandas as pd

    sheet = pd.read_excel(path, dtype=str, header=None, keep_default_na=False, na_values=[""])
    values = sheet.fillna("").to_numpy().tolist()
    rows = [_Row(i, [_cell(value) for value in row]) for i, row in enumerate(values, 1)]
    return [row for row in rows if any(row.cells)]


def _text(path: Path) -> str:
    """Decode a file; NUL bytes and unknown encodings are refused."""
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise
        text = content.decode("cp1252")
        warnings.warn(
            f"{path} is not UTF-8; it is read as text of Western Europe (Windows-1252). Save it as "
            "UTF-8 if letters come out wrong.",
            VoxplainWarning,
            stacklevel=5,
        )
    if "\0" in text:
        raise InputError(
            f"{path} cannot be read as a table: it holds NUL bytes, as UTF-16 without a mark and "
            "binary files do; save it as UTF-8 text."
        )
    return text


def _separated(path: Path, text: str, keys: Sequence[str]) -> list[_Row]:
    """Split text by the separator that the header shows."""
    suffix = path.suffix.lower()
    told = re.match(r"sep=(.)\r?\n", text)
    candidates = told[1] if told else _SEPARATORS[suffix]
    text = text[told.end() :] if told else text
    found = {separator: _split(text, separator) for separator in candidates}
    wanted = {fold(key) for key in keys}
    separator = max(found, key=lambda one: len(found[one][0].cells) if found[one] else 0)
    for one, rows in found.items():
        names = {fold(_name(cell)) for cell in rows[0].cells} if rows else set()
        if len(names) > 1 and wanted & names:
            separator = one
            break
    rows = found[separator]
    for row in rows:
        if row.swallowed:
            raise InputError(
                f"A quotation mark in {path} opens a cell that goes on until line {row.line}; "
                "close it, or take it out."
            )
    return rows


def _split(text: str, separator: str) -> list[_Row]:
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines, delimiter=separator)
    rows, before = [], 0
    for cells in reader:
        raw = [line for line in lines[before : reader.line_num] if line.strip()]
        whole = all(line.count(separator) >= len(cells) - 1 > 0 for line in raw)
        row = _Row(reader.line_num, [_cell(value) for value in cells], len(raw) > 1 and whole)
        before = reader.line_num
        if any(row.cells):
            rows.append(row)
    return rows


def _fitted(path: Path, row: _Row, names: Sequence[str]) -> _Row:
    """Bring a row to the width of the header, which takes only cells without a value."""
    width, count = len(names), len(row.cells)
    more = [cell for cell in row.cells[width:] if cell]
    fewer = [name for name in names[count:] if name]
    if more or fewer:
        hint = " (a comma within a number or name wants quotes)" if more else ""
        raise InputError(
            f"Row {row.line} of {path} has {count} cells and the header {width}, so that "
            f"nobody can tell which belongs to which column{hint}; correct it."
        )
    return _Row(row.line, (row.cells + [""] * width)[:width])


def _columns(path: Path, names: Sequence[str], rows: Sequence[_Row]) -> dict[str, int]:
    """Find where each column stands; those that hold nothing and have no name are passed over."""
    kept: dict[str, int] = {}
    for at, name in enumerate(names):
        values = [row.cells[at] for row in rows]
        if not name:
            if any(values):
                raise InputError(
                    f"Column {at + 1} of {path} has no name but values, such as "
                    f"{next(filter(None, values))!r}; name it, or delete it."
                )
            continue
        first = kept.setdefault(name, at)
        if values != [row.cells[first] for row in rows]:
            raise InputError(
                f"{path} has two columns called {name!r} with different values; rename or delete "
                "one."
            )
    return kept


def _without_decimals(ids: list[str]) -> list[str]:
    """Write ids that are numbers as they were before a spreadsheet wrote 1.0 for 1."""
    decimal = [one for one in ids if "." in one]
    if all(re.fullmatch(r"\d+\.0+", one) for one in decimal):
        return [one.partition(".")[0] for one in ids]
    return ids


def _name(text: str) -> str:
    return " ".join(text.split())


def _cell(value: object) -> str:
    text = str(value).replace("\ufeff", "").replace("\u200b", "").strip()
    match = _FORMULA.fullmatch(text) if text.startswith("=") else None
    return match[1].strip() if match else text
