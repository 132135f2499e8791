"""Rows of a participants' table: whose each is, and which belongs to a scan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from voxplain.cohort.find.participants import given_label, session_label, some_of
from voxplain.errors import InputError
from voxplain.volume import scan_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Key",
    "find_row",
    "has_scan",
    "named",
    "require_one_row_each",
    "require_once",
    "row_keys",
]

Key = tuple[str, str]
"""A participant as the table writes it, and the label of a session or ``""``."""


def named(subject: str, session: str) -> str:
    """Label a participant's session, as `Scan.name` does."""
    return scan_name(subject, session and f"ses-{session}")


def row_keys(table: pd.DataFrame) -> list[Key]:
    """Tell whose each row is, and of which session where the table tells them apart."""
    people = [given_label(value) for value in table["participant_id"]]
    sessions = [""] * len(table)
    if "session_id" in table.columns:
        sessions = [session_label(value) for value in table["session_id"]]
    return list(zip(people, sessions, strict=True))


def find_row(session: str, who: str | None, rows: Mapping[Key, int]) -> tuple[int | None, str]:
    """Find the row of a scan.

    Parameters
    ----------
    session : str
        Of the scan.
    who : str or None
        Its participant as the table writes it; None for one who is not in it.
    rows : mapping of Key to int

    Returns
    -------
    row : int or None
    reason : str
        Half a sentence where there is no row, or none that is the scan's without doubt.
    """
    sessions = {when: row for (one, when), row in rows.items() if one == who}
    if session in sessions:
        return sessions[session], ""
    alike = [when for when in sessions if _same_session(when, session)]
    if len(alike) == 1:
        return sessions[alike[0]], ""
    if "" in sessions:
        return sessions[""], ""
    if sessions and not session:
        if len(sessions) == 1:
            return next(iter(sessions.values())), ""
        return None, "the table has several sessions of this participant, and the scan names none"
    return None, "not in the table"


def has_scan(key: Key, scanned: Iterable[tuple[str | None, str]]) -> bool:
    """Whether a row's participant and session are among those of the scans."""
    who, session = key
    return any(
        one == who and (not session or not when or _same_session(session, when))
        for one, when in scanned
    )


def _same_session(one: str, other: str) -> bool:
    """Compare labels of sessions as ``01`` and ``1`` are written for each other."""

    def plain(label: str) -> str:
        return re.sub(r"0*(\d+)", r"\1", label.casefold())

    return plain(one) == plain(other)


def require_one_row_each(keys: Sequence[Key], labels: Sequence[str | None], runs: bool) -> None:
    """Refuse several rows of one session, or, where each run has one, rows that disagree."""
    if not runs:
        require_once([named(*key) for key in keys], "the table")
    first: dict[Key, str | None] = {}
    for key, label in zip(keys, labels, strict=True):
        if first.setdefault(key, label) != label:
            raise InputError(f"The rows of {named(*key)} have different labels; correct the table.")


def require_once(subjects: Iterable[str], where: str) -> None:
    """Refuse names that occur twice; ``where`` says in what."""
    names, counts = np.unique(np.array(list(subjects), dtype=str), return_counts=True)
    twice = names[counts > 1]
    if len(twice):
        sessions = ", or name their sessions in a column session_id" if "table" in where else ""
        raise InputError(
            f"{some_of(twice)} {'occur' if len(twice) > 1 else 'occurs'} more than once in "
            f"{where}; keep one of each{sessions}."
        )
