"""Who takes part in a cohort, where their images lie, and who was left out and why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxplain.cohort.labels import Coding, missing, read_labels
from voxplain.errors import InputError
from voxplain.volume import scan_name

if TYPE_CHECKING:
    import pandas as pd

    from voxplain.cohort.files import ImageFile

__all__ = [
    "Exclusion",
    "Listing",
    "Scan",
    "listing",
    "plain_label",
    "require_folder",
    "session_label",
    "some_of",
]

_NAMED = 5


@dataclass(frozen=True)
class Scan:
    """One participant's image.

    Parameters
    ----------
    subject : str
        Participant label without ``sub-``, letters and digits.
    image : ImageFile
    mask : ImageFile, optional
        Of the brain, on the image's grid.
    session : str, default=""
        Label of the session without ``ses-``, where a participant may have several scans.
    run : str, default=""
        What else tells scans of one session apart, as BIDS writes it: ``"acq-mprage_run-2"``.
    """

    subject: str
    image: ImageFile
    mask: ImageFile | None = None
    session: str = ""
    run: str = ""

    @property
    def name(self) -> str:
        """Label that no other scan has: ``"01"``, or ``"01_ses-2_run-1"``."""
        return scan_name(_named(self.subject, self.session), self.run)


@dataclass(frozen=True)
class Exclusion:
    """Something that was found and is not used.

    Parameters
    ----------
    subject : str
    what : str
        The image, or the table that names the participant.
    reason : str
        Half a sentence.
    """

    subject: str
    what: str
    reason: str

    def __post_init__(self) -> None:
        # A file's name may hold tabs and line breaks; a row of a table may not.
        for name in ("what", "reason"):
            object.__setattr__(self, name, " ".join(getattr(self, name).split()))


@dataclass(frozen=True, eq=False)
class Listing:
    """What a source of brains holds, before any image is opened.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row per scan, in its order: ``participant_id``, ``label`` and the other columns given.
    scans : tuple of Scan
    class_names : tuple of str
    coding : str
        How labels were read, a sentence.
    exclusions : tuple of Exclusion
    """

    participants: pd.DataFrame
    scans: tuple[Scan, ...]
    class_names: tuple[str, ...]
    coding: str
    exclusions: tuple[Exclusion, ...] = ()

    def __len__(self) -> int:
        return len(self.scans)


def listing(
    scans: Sequence[Scan],
    table: pd.DataFrame,
    label: str,
    coding: Coding | None = None,
    exclusions: Iterable[Exclusion] = (),
) -> Listing:
    """Join images with the participants' table.

    Parameters
    ----------
    scans : sequence of Scan
    table : pandas.DataFrame
        With a column ``participant_id``, with or without ``sub-``, all text. Where it has a column
        ``session_id``, a row is of that session, and else of all of a participant's scans.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean; see `read_labels`.
    exclusions : iterable of Exclusion
        What the reader left out already.

    Returns
    -------
    Listing
        Sorted by participant. Scans without a row or a label, and rows without a scan, are among
        its exclusions.

    Raises
    ------
    InputError
        If a participant or session occurs twice, the column is missing or unusable, nobody is
        left, or all have the same label.
    """
    if label not in table.columns:
        raise InputError(
            f"The table has no column {label!r} for the labels; it has: "
            f"{', '.join(' '.join(str(name).split()) for name in table.columns)}."
        )
    rows = _rows(table)
    _require_once([scan.name for scan in scans], "the images")
    labels, said = read_labels(table[label], coding)
    out = list(exclusions)
    excluded = {one.subject for one in out}
    sought = {(scan.subject, scan.session): scan for scan in scans}
    out += [
        Exclusion(_named(subject, session), "the table", "no image was found")
        for subject, session in rows
        if subject not in excluded
        and not any(who == subject and (session in ("", when) or not when) for who, when in sought)
    ]
    _require_one_label_each(table, labels)
    subjects = [subject for subject, _ in rows]
    kept: list[tuple[Scan, int]] = []
    for scan in sorted(scans, key=lambda scan: (scan.subject, scan.session, scan.run)):
        row = rows.get((scan.subject, scan.session), rows.get((scan.subject, "")))
        if row is None and not scan.session and subjects.count(scan.subject) == 1:
            row = next(row for (subject, _), row in rows.items() if subject == scan.subject)
        if row is None and not scan.session and scan.subject in subjects:
            reason = "the table has several sessions of this participant, and the scan names none"
            out.append(Exclusion(scan.name, str(scan.image), reason))
        elif row is None:
            out.append(Exclusion(scan.name, str(scan.image), "not in the table"))
        elif labels[row] is None:
            out.append(Exclusion(scan.name, str(scan.image), f"no value in column {label!r}"))
        else:
            kept.append((scan, row))
    names = [labels[row] for _, row in kept]
    _require_classes(names, label, out)
    participants = table.iloc[[row for _, row in kept]].reset_index(drop=True)
    columns: dict[str, Any] = {
        "participant_id": [f"sub-{scan.subject}" for scan, _ in kept],
        "label": names,
    }
    participants = participants.drop(columns=["session_id", "run_id"], errors="ignore")
    if any(scan.session for scan, _ in kept):
        columns["session_id"] = [scan.session and f"ses-{scan.session}" for scan, _ in kept]
    if any(scan.run for scan, _ in kept):
        columns["run_id"] = [scan.run for scan, _ in kept]
    rest = [name for name in participants.columns if name not in columns]
    participants = participants.assign(**columns)[[*columns, *rest]]
    classes = tuple(sorted({name for name in names if name is not None}))
    return Listing(participants, tuple(scan for scan, _ in kept), classes, said, tuple(out))


def require_folder(folder: Path, what: str) -> None:
    """Refuse a folder that is not there or is shut; ``what`` names the one that is wanted."""
    try:
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; give that of {what}.")
        # Searching would pass over what may not be entered, as if nothing were there.
        inside = [folder, *(Path(entry) for entry in os.scandir(folder) if entry.is_dir())]
        shut = [path for path in inside if not os.access(path, os.R_OK | os.X_OK)]
    except PermissionError:
        shut = [folder]
    if shut:
        raise InputError(f"{some_of(shut)} may not be read by this user; change the permissions.")


def some_of(names: Iterable[object]) -> str:
    """Name the first few of many, and count the rest."""
    given = [str(name) for name in names]
    more = f" and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return ", ".join(given[:_NAMED]) + more


def session_label(value: object) -> str:
    """Take a session's label as a table gives it, without ``ses-``; ``""`` where there is none."""
    return "" if missing(value) else plain_label(str(value).strip().removeprefix("ses-"))


def plain_label(value: object) -> str:
    """Take a participant's label as a table or folder gives it.

    Parameters
    ----------
    value : object
        Such as ``"sub-01"``, ``"01"`` or ``"OAS1_0001_MR1"``.

    Returns
    -------
    str
        Letters and digits alone, as BIDS wants them; without ``sub-``.

    Raises
    ------
    InputError
        If there are none, or others than dots, dashes and underscores between them.
    """
    text = str(value).strip().removeprefix("sub-")
    label = "".join(c for c in text if c not in "-_.")
    if not label or not all(c.isascii() and (c.isalnum() or c == "+") for c in label):
        raise InputError(
            f"The participant label {str(value)!r} cannot be used; labels consist of letters and "
            "digits."
        )
    return label


def _named(subject: str, session: str) -> str:
    return scan_name(subject, session and f"ses-{session}")


def _rows(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Find the table's row of each participant, and of each session where it tells them apart."""
    subjects = [plain_label(value) for value in table["participant_id"]]
    sessions = [""] * len(table)
    if "session_id" in table.columns:
        sessions = [session_label(value) for value in table["session_id"]]
    keys = list(zip(subjects, sessions, strict=True))
    # Scans of one session may have a row each, for their paths; what is said of them is the same.
    if "run_id" not in table.columns:
        _require_once([_named(*key) for key in keys], "the table")
    return {key: row for row, key in reversed(list(enumerate(keys)))}


def _require_one_label_each(table: pd.DataFrame, labels: Sequence[str | None]) -> None:
    """Refuse rows of one session that contradict each other."""
    if "run_id" not in table.columns:
        return
    first: dict[tuple[str, str], str | None] = {}
    for i, subject in enumerate(plain_label(value) for value in table["participant_id"]):
        session = session_label(table["session_id"].iloc[i]) if "session_id" in table else ""
        if first.setdefault((subject, session), labels[i]) != labels[i]:
            raise InputError(
                f"The rows of {_named(subject, session)} have different labels; correct the table."
            )


def _require_once(subjects: Iterable[str], where: str) -> None:
    names, counts = np.unique(np.array(list(subjects), dtype=str), return_counts=True)
    twice = names[counts > 1]
    if len(twice):
        raise InputError(
            f"{some_of(twice)} {'occur' if len(twice) > 1 else 'occurs'} more than once in "
            f"{where}; keep one of each."
        )


def _require_classes(
    names: Sequence[str | None], label: str, exclusions: Sequence[Exclusion]
) -> None:
    if not names:
        reasons = some_of(sorted({one.reason for one in exclusions})) or "there are no images"
        raise InputError(f"No participant has both an image and a label: {reasons}.")
    if len(set(names)) == 1:
        raise InputError(
            f"All {len(names)} participants have the same value {names[0]!r} in column {label!r}; "
            "there is nothing to tell apart."
        )
