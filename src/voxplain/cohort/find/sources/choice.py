"""One scan of each participant, or all: what is used where there are several sessions."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from voxplain.cohort.find.listing import Exclusion, Scan
from voxplain.cohort.find.participants import some_of
from voxplain.errors import InputError

__all__ = ["one_each"]


def one_each(
    scans: Sequence[Scan], longitudinal: Collection[Path], session: str | None, every: bool
) -> tuple[list[Scan], list[Exclusion]]:
    """Choose among sessions, and runs of a session.

    Parameters
    ----------
    scans : sequence of Scan
    longitudinal : collection of path
        Images from a longitudinal stream, which are used where a session has no other.
    session : str, optional
        Label of the session to be used; by default each participant's first.
    every : bool
        Whether every session and run is used, instead of one per participant.

    Returns
    -------
    scans : list of Scan
    exclusions : list of Exclusion

    Raises
    ------
    InputError
        If no scan is of that session.
    """
    wanted = None if session is None else session.removeprefix("ses-")
    used: dict[str, Scan] = {}
    gone: list[Exclusion] = []
    for scan in sorted(scans, key=lambda scan: _order(scan, longitudinal)):
        name = scan.name if every else scan.subject
        other = used.get(name)
        if wanted is not None and scan.session != wanted:
            reason = f"not of session {wanted}"
        elif other is None or other.participant != scan.participant:
            # Two participants of one name are refused where scans are joined with the table.
            used[name if other is None else str(scan.image)] = scan
            continue
        elif other.name == scan.name:
            reason = (
                "a longitudinal run of a session that is used"
                if scan.image.path in longitudinal
                else "another scan of this session"
            )
        elif other.session == scan.session:
            reason = "another run of this participant"
        else:
            reason = "another session"
        gone.append(Exclusion(scan.subject, str(scan.image), reason))
    if scans and not used:
        sessions = sorted({scan.session for scan in scans if scan.session})
        have = f"the sessions are {some_of(sessions)}" if sessions else "there are no sessions"
        raise InputError(f"No scan is of session {wanted!r}; {have}.")
    return list(used.values()), gone


def _order(scan: Scan, longitudinal: Collection[Path]) -> tuple[object, ...]:
    """Sort sessions as people count them, and a longitudinal run after the others."""
    numbers = re.sub(r"\d+", lambda match: f"{int(match[0]):09d}", scan.session)
    late = scan.image.path in longitudinal
    return scan.subject, numbers, late, scan.run, str(scan.image)
