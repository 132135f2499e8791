"""Tables of participants as people keep them: TSV, CSV or a spreadsheet, every cell as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.errors import InputError
from voxplain.pointers import require_content

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["participant_key", "read_table"]

_SEPARATORS = {".tsv": "\t", ".csv": None, ".txt": None}
_KEYS = ("participant_id", "subject", "subject_id", "ixi_id", "id")
_STATS_TABLE = re.compile(r"(Measure:|[lr]h\.)")
_SHEETS = (".xlsx", ".xls", ".ods")


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
    try:
        first = path.read_text(encoding="utf-8-sig", errors="replace").split("\n", 1)[0]
    except OSError:
        return "participant_id"
    names = [" ".join(name.strip(' "\r').split()) for name in re.split(r"[\t,;]", first)]
    lower = {name.lower(): name for name in names}
    for name in _KEYS:
        if name in lower:
            return lower[name]
    return names[0] if _STATS_TABLE.match(names[0]) else "participant_id"


def read_table(path: Path, key: str = "participant_id") -> pd.DataFrame:
    """Read a table with one row per participant.

    Parameters
    ----------
    path : path
        ``.tsv``, ``.csv`` (comma or semicolon), ``.xlsx`` or ``.xls``.
    key : str
        Column that names the participant; it is called ``participant_id`` in what is returned.

    Returns
    -------
    pandas.DataFrame of str
        Cells as they are written; empty ones are ``"n/a"``.

    Raises
    ------
    InputError
        If the file is missing or no such table, has no such column, no row, or a column twice.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in _SEPARATORS and suffix not in _SHEETS:
        raise InputError(f"{path} is not a table by its name; give a .tsv, .csv or .xlsx file.")
    require_content(path)
    try:
        if suffix in _SHEETS:
            table = pd.read_excel(path, dtype=str)
        else:
            separator = _SEPARATORS[suffix] or _separator(path)
            table = pd.read_csv(
                path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the path.") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read by this user; change its permissions.") from error
    except ImportError as error:
        raise InputError(
            f"{path} is a spreadsheet, which needs one more package ({error.name or error}); "
            "install it with: pip install 'voxplain[excel]', or save the sheet as .csv."
        ) from error
    except (ValueError, OSError, KeyError, pd.errors.ParserError) as error:
        raise InputError(f"{path} cannot be read as a table; save it as .tsv or .csv.") from error
    table.columns = [" ".join(str(name).split()) for name in table.columns]
    if key not in table.columns:
        raise InputError(
            f"{path} has no column {key!r} for the participants; it has: "
            f"{', '.join(table.columns)}."
        )
    if not len(table):
        raise InputError(f"{path} has no rows; give a table with one row per participant.")
    table = table.fillna("n/a").replace("", "n/a")
    if key != "participant_id":
        # A second name for participants beside the one that images go by.
        table = table.drop(columns="participant_id", errors="ignore")
    return table.rename(columns={key: "participant_id"})


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    return max(",;\t", key=first.count)
