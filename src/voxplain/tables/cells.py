"""Cells of tables as people write them: what holds nothing, and what is one word."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

__all__ = ["fold", "missing", "one_spelling", "shown", "visible"]

# Without blanks, dots, dashes, underscores and apostrophes, which people put anywhere.
_MISSING = frozenset(
    (
        "", "n/a", "na", "nan", "none", "null", "<na>", "nat",
        "#n/a", "#na", "#value!", "#ref!", "#div/0!", "#null!", "#num!", "#name?", "#error!",
        "unknown", "unk", "unkn", "notknown", "unidentified", "unbekannt", "inconnu", "desconocido",
        "missing", "missingdata", "missingvalue", "nodata", "noanswer", "noresponse",
        "notreported", "notavailable", "notapplicable", "notrecorded", "notspecified", "notstated",
        "notcollected", "notdisclosed", "notdetermined", "notprovided", "notassessed", "notgiven",
        "undisclosed", "undefined", "undetermined", "unspecified", "unreported", "unavailable",
        "prefernottosay", "prefernottoanswer", "declinedtoanswer", "refusedtoanswer",
        "dontknow", "donotknow", "tobedetermined", "tobeconfirmed", "tbd", "tbc", "ka",
        "keineangabe",
    )
)  # fmt: skip
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
_MARKS_ALONE = re.compile(r"[-–—−_.?…*/\\~\s]*")
_BRACKETS = " ()[]{}\"'"

_SHOWN = 3


def visible(value: object) -> str:
    """Take what cannot be seen out of a cell, and write digits and blanks in one way."""
    return unicodedata.normalize("NFKC", str(value)).translate(_INVISIBLE)


def fold(value: object) -> str:
    """Write alike what differs by case, blanks or invisible characters alone."""
    return "".join(visible(value).split()).casefold()


def missing(value: object) -> bool:
    """Tell whether a cell of a table holds nothing, in any of the ways that people write it."""
    text = fold(value)
    if _MARKS_ALONE.fullmatch(text):
        return True
    bare = text.strip(_BRACKETS)
    return bool({text, bare, re.sub("[-_.'’]", "", bare)} & _MISSING)


def one_spelling(values: Iterable[str]) -> dict[str, str]:
    """Choose one spelling for words that differ by case or blanks alone.

    Parameters
    ----------
    values : iterable of str
        All cells, so that the most frequent spelling is known.

    Returns
    -------
    dict of str to str
        From each spelling, in the order of the alphabet, to the chosen one.
    """
    counts = Counter(values)
    chosen: dict[str, str] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], value.count(" "), value)):
        chosen.setdefault(fold(value), " ".join(value.split()))
    return {value: chosen[fold(value)] for value in sorted(counts)}


def shown(cells: Iterable[str]) -> str:
    """Quote the first few of some cells."""
    given = [repr(cell) for cell in cells]
    more = f" and {len(given) - _SHOWN} more" if len(given) > _SHOWN else ""
    return ", ".join(given[:_SHOWN]) + more
