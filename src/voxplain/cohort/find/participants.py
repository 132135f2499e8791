"""Who is who: labels of participants, and which row of a table is whose scan."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from voxplain.errors import InputError
from voxplain.tables.cells import missing

__all__ = ["Joined", "given_label", "join", "plain_label", "session_label", "some_of"]

_NAMED = 5
_PREFIX = re.compile(r"^sub-(?=.)", re.IGNORECASE)
_LOOSE_PREFIX = re.compile(r"^(?:subject|subj|sub)[-_ ]?(?=\d)")
_BETWEEN = re.compile(r"(?<!\d)[-_. ]+|[-_. ]+(?!\d)")
_WITHIN_DIGITS = re.compile(r"\d[-_. ]+\d")
_SHORT = re.compile(r"\d[-_. ]+\d{1,2}(?!\d)")


def some_of(names: Iterable[object]) -> str:
    """Name the first few of many, and count the rest."""
    given = [str(name) for name in names]
    more = f" and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return ", ".join(given[:_NAMED]) + more


def session_label(value: object) -> str:
    """Take a session's label as a table gives it, without ``ses-``; ``""`` where there is none."""
    text = re.sub(r"(\d)\.0+$", r"\1", str(value).strip())
    return "" if missing(value) else plain_label(text.removeprefix("ses-"))


def given_label(value: object) -> str:
    """Take a participant's name as a table or folder writes it, without blanks and ``sub-``."""
    return _PREFIX.sub("", str(value).strip(), count=1)


def plain_label(value: object) -> str:
    """Make a participant's label of what a table or folder gives.

    Parameters
    ----------
    value : object
        Such as ``"sub-01"``, ``"01"`` or ``"OAS1_0001_MR1"``.

    Returns
    -------
    str
        Letters and digits alone, as BIDS wants them; without ``sub-``. Different names may have
        one label, so that rows are joined by `join` and never by it.

    Raises
    ------
    InputError
        If there are none, or others than dots, dashes, blanks and underscores between them.
    """
    text = given_label(value)
    label = "".join(c for c in text if c not in "-_. ")
    if not label or not all(c.isascii() and (c.isalnum() or c == "+") for c in label):
        raise InputError(
            f"The participant label {str(value)!r} cannot be used; labels consist of letters and "
            "digits."
        )
    return label


@dataclass(frozen=True)
class Joined:
    """Which names of two lists mean one participant.

    Parameters
    ----------
    rows : dict of str to str
        From a scan's name to the table's.
    said : str
        A sentence on names that are joined though they differ by more than marks; else empty.
    hint : str
        A sentence on names that look alike and are not joined; else empty.
    """

    rows: dict[str, str]
    said: str = ""
    hint: str = ""


def join(scans: Iterable[str], table: Iterable[str]) -> Joined:
    """Find the table's name of each scan's participant.

    Names are joined where they are equal; else where they are once the marks beside letters are
    taken out; else, which is said, once case, leading zeros and a prefix such as ``sub`` are taken
    out as well. A mark between two digits counts, as ``1_2`` is not ``12``, unless all names of a
    list are built alike, as ``OAS1_0001`` with letters and a padded number. Where a name could be
    joined with two, or two with it, none is.

    Parameters
    ----------
    scans, table : iterable of str
        Names as they are written; see `given_label`.

    Returns
    -------
    Joined
    """
    ours, theirs = sorted(set(scans)), sorted(set(table))
    rows: dict[str, str] = {}
    loose: dict[str, str] = {}
    for key, silent in _keys(ours, theirs):
        found = _pairs(ours, theirs, key)
        new = {
            one: other
            for one, other in found.items()
            if one not in rows and other not in rows.values()
        }
        rows |= new
        loose |= {} if silent else new
    told = [f"{one} = {other}" for one, other in loose.items()]
    said = (
        f"Scans and rows of the table are joined although their names are written differently "
        f"(scan = table: {some_of(told)}); correct the table if any are different people."
        if told
        else ""
    )
    return Joined(rows, said, _hint(ours, theirs, rows))


def _keys(
    ours: Sequence[str], theirs: Sequence[str]
) -> Iterable[tuple[Callable[[str], str], bool]]:
    """Ways to compare names, from strict to loose, and whether each may be taken in silence."""
    yield given_label, True
    yield _without_marks, True
    yield _loose, False
    if _built_alike(theirs) or _built_alike(ours):
        yield _letters_and_digits, False


def _without_marks(name: str) -> str:
    return _BETWEEN.sub("", given_label(name))


def _loose(name: str) -> str:
    """Take out marks beside letters, case, zeros before a number and a prefix for subject."""
    text = _LOOSE_PREFIX.sub("", given_label(name).casefold(), count=1)
    return re.sub(r"\d+", lambda match: str(int(match[0])), _BETWEEN.sub("", text))


def _letters_and_digits(name: str) -> str:
    return re.sub("[-_. ]", "", given_label(name)).casefold()


def _built_alike(names: Sequence[str]) -> bool:
    """Whether all names have marks, letters and digits at the same places, and padded numbers."""
    patterns = {re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "0", given_label(name))) for name in names}
    return (
        len(patterns) == 1
        and "a" in next(iter(patterns))
        and any(_WITHIN_DIGITS.search(name) for name in names)
        and not any(_SHORT.search(name) for name in names)
    )


def _pairs(ours: Sequence[str], theirs: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Join names whose key no other name of either list has."""
    by_key: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list))
    for found, names in zip(by_key, (ours, theirs), strict=True):
        for name in names:
            found[key(name)].append(name)
    left, right = by_key
    return {
        names[0]: right[one][0]
        for one, names in left.items()
        if len(names) == 1 and len(right.get(one, ())) == 1
    }


def _hint(ours: Sequence[str], theirs: Sequence[str], rows: dict[str, str]) -> str:
    """Name pairs that look alike and were not joined."""
    free = [name for name in theirs if name not in rows.values()]
    alike = []
    for one in (name for name in ours if name not in rows):
        for key in (_loose, _letters_and_digits, _number):
            others = [name for name in free if key(name) and key(name) == key(one)]
            if others:
                alike.append(f"{one} of the scans and {' or '.join(others[:3])} of the table")
                break
    if not alike:
        return ""
    return f"These look alike but are not joined: {some_of(alike)}; write one as the other."


def _number(name: str) -> str:
    """Keep the digits alone, without zeros before them."""
    return re.sub(r"\D", "", name).lstrip("0")
