"""Names that hold a session: of files, of folders and in tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxplain.cohort.find.participants import given_label, session_label

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Name", "PLACED", "entities", "read_name", "read_names", "with_sessions"]

PLACED = ("sub", "ses", "space", "desc", "res")
_LONGITUDINAL = re.compile(r"(.+)\.long\.(.+)")
_WORD = (
    "sessions?|sess|ses|visits?|vis|v|timepoint|tp|time|wave|w|mr|mr_d|scan|followup|fu|years?|yr|y"
    "|months?|mth|mo|m|days?|d"
)
# A participant with a number in it, then a word for a session; T1 may be a time or a contrast.
_PLAIN = tuple(
    re.compile(rf"(.*?\d.*?)[-_. ]+({word})(?:[-_. ].*)?", re.IGNORECASE)
    for word in (
        rf"(?:{_WORD})[-_.]?\d{{1,4}}|bl|baseline|screening|sc|pre|post|test|retest|\d{{8}}"
        r"|\d{4}-\d\d-\d\d",
        r"t\d",
    )
)


@dataclass(frozen=True)
class Name:
    """What a name says of a scan.

    Parameters
    ----------
    participant : str
        As it is written, without ``sub-``.
    session : str
        Letters and digits; empty where none is named.
    run : str
        What else tells scans of one session apart, as BIDS writes it.
    template : str
        Of a longitudinal run of FreeSurfer, the name of its base.
    """

    participant: str
    session: str = ""
    run: str = ""
    template: str = ""


def entities(name: str) -> dict[str, str]:
    """Read the parts of a BIDS name, such as ``sub-01_ses-2``."""
    parts = (part.partition("-") for part in name.split("_"))
    return {key: value for key, dash, value in parts if dash}


def read_name(text: str) -> Name:
    """Read a name as BIDS and FreeSurfer write it; else all of it is the participant."""
    long = _LONGITUDINAL.fullmatch(text)
    if long is not None:
        found = read_name(long[1])
        return Name(found.participant, found.session, found.run, long[2])
    begins = re.search(r"(?:^|_)(sub-.*)", text, re.IGNORECASE)
    found_in = entities(begins[1]) if begins else {}
    who = next((value for key, value in found_in.items() if key.lower() == "sub"), "")
    if who:
        others = {k: v for k, v in found_in.items() if k.lower() not in PLACED}
        run = "_".join(f"{k}-{v}" for k, v in others.items() if k.isalpha() and v.isalnum())
        return Name(who, session_label(found_in.get("ses", "")), run)
    who, mark, rest = text.partition("_ses-")
    if mark:
        return Name(given_label(who), session_label(rest.partition("_")[0]))
    return Name(given_label(text))


def read_names(texts: Sequence[str], known: Iterable[str] = ()) -> list[Name]:
    """Read names of one source together, so that sessions that are written in any way are seen.

    A name such as ``S01_visit2`` or ``OAS1_0001_MR2`` is split where its participant then has
    several sessions, or is in the table when the whole name is not.

    Parameters
    ----------
    texts : sequence of str
    known : iterable of str
        Participants of the table.

    Returns
    -------
    list of Name
    """
    whole = [read_name(text) for text in texts]
    table = {given_label(name) for name in known}
    for pattern in _PLAIN:
        split = {
            name.participant: Name(match[1], session_label(match[2]), name.run, name.template)
            for name in whole
            if not name.session and (match := pattern.fullmatch(name.participant))
        }
        sessions: dict[str, set[str]] = defaultdict(set)
        for found in split.values():
            sessions[found.participant].add(found.session)
        several = any(len(labels) > 1 for labels in sessions.values())
        whole = [
            split[name.participant]
            if name.participant in split
            and not name.session
            and (
                several
                or (split[name.participant].participant in table and name.participant not in table)
            )
            else name
            for name in whole
        ]
    return whole


def with_sessions(table: pd.DataFrame, scans: Iterable[str] = ()) -> pd.DataFrame:
    """Take sessions out of the participants' names in a table without a column of them.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``participant_id``.
    scans : iterable of str
        Names of the participants of whom there are scans.

    Returns
    -------
    pandas.DataFrame
        With ``session_id`` where any name holds a session.
    """
    if "session_id" in table.columns:
        return table
    texts = table["participant_id"].tolist()
    names = read_names(texts, scans)
    if not any(name.session for name in names):
        return table
    return table.assign(
        participant_id=[name.participant for name in names],
        session_id=[name.session or "n/a" for name in names],
    )
