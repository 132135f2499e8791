"""Who takes part in a cohort, where their images lie, and who was left out and why."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxplain.cohort.find.labels import Coding, read_labels
from voxplain.cohort.find.participants import given_label, join, some_of
from voxplain.cohort.find.rows import (
    find_row,
    has_scan,
    named,
    require_once,
    require_one_row_each,
    row_keys,
)
from voxplain.cohort.find.sessions import with_sessions
from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.cells import fold
from voxplain.volume import scan_name

if TYPE_CHECKING:
    import pandas as pd

    from voxplain.images.files import ImageFile

__all__ = [
    "Exclusion",
    "Listing",
    "Scan",
    "listing",
    "require_folder",
]


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
    given : str, default=""
        The participant as the source writes it, where that is not the label.
    """

    subject: str
    image: ImageFile
    mask: ImageFile | None = None
    session: str = ""
    run: str = ""
    given: str = ""

    @property
    def participant(self) -> str:
        """The participant as the source writes it, by which the table is searched."""
        return given_label(self.given or self.subject)

    @property
    def name(self) -> str:
        """Label that no other scan has: ``"01"``, or ``"01_ses-2_run-1"``."""
        return scan_name(named(self.subject, self.session), self.run)


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
        One row per scan, in its order: ``participant_id``, ``label`` and the other columns given;
        ``source_id`` where a participant's label is not what the source writes.
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
    measured: Mapping[str, Mapping[str, str]] | None = None,
) -> Listing:
    """Join images with the participants' table.

    Parameters
    ----------
    scans : sequence of Scan
    table : pandas.DataFrame
        With a column ``participant_id``, with or without ``sub-``, all text; see `join` for who is
        taken for whom. Where it has a column ``session_id``, or sessions in the names of
        participants, a row is of that session, and else of all of a participant's scans.
    label : str
        Column that holds the classes.
    coding : Coding, optional
        What its values mean; see `read_labels`.
    exclusions : iterable of Exclusion
        What the reader left out already.
    measured : mapping of str to mapping, optional
        Further columns, each from a scan's name to its value.

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
    label = _column(table, label)
    _require_one_name_each(scans)
    table = with_sessions(table, {scan.participant for scan in scans})
    keys = row_keys(table)
    labels, said = read_labels(table[label], coding)
    require_one_row_each(keys, labels, "run_id" in table.columns)
    rows = {key: row for row, key in reversed(list(enumerate(keys)))}
    joined = join((scan.participant for scan in scans), (who for who, _ in keys))
    kept: list[tuple[Scan, int]] = []
    out = list(exclusions)
    explained = {_letters(one.subject) for one in out}
    scanned = {(joined.rows.get(scan.participant), scan.session) for scan in scans}
    out += [
        Exclusion(named(*key), "the table", "no image was found")
        for key in rows
        if _letters(key[0]) not in explained and not has_scan(key, scanned)
    ]
    for scan in sorted(scans, key=lambda scan: (scan.subject, scan.session, scan.run)):
        row, reason = find_row(scan.session, joined.rows.get(scan.participant), rows)
        if row is not None and labels[row] is None:
            reason = f"no value in column {label!r}"
        if row is None or reason:
            out.append(Exclusion(scan.name, str(scan.image), reason))
        else:
            kept.append((scan, row))
    names = [labels[row] for _, row in kept]
    _require_classes(names, label, out, joined.hint)
    for text in filter(None, (joined.said, joined.hint)):
        warnings.warn(text, VoxplainWarning, stacklevel=2)
    participants = _participants(table, kept, names, measured or {})
    classes = tuple(sorted({name for name in names if name is not None}))
    return Listing(participants, tuple(scan for scan, _ in kept), classes, said, tuple(out))


def _participants(
    table: pd.DataFrame,
    kept: Sequence[tuple[Scan, int]],
    labels: Sequence[str | None],
    measured: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """Write a row for each scan."""
    participants = table.iloc[[row for _, row in kept]].reset_index(drop=True)
    participants = participants.drop(columns=["session_id", "run_id"], errors="ignore")
    columns: dict[str, Any] = {
        "participant_id": [f"sub-{scan.subject}" for scan, _ in kept],
        "label": list(labels),
    }
    if any(scan.session for scan, _ in kept):
        columns["session_id"] = [scan.session and f"ses-{scan.session}" for scan, _ in kept]
    if any(scan.run for scan, _ in kept):
        columns["run_id"] = [scan.run for scan, _ in kept]
    if any(scan.participant != scan.subject for scan, _ in kept):
        columns["source_id"] = [scan.participant for scan, _ in kept]
    rest = [name for name in participants.columns if name not in columns]
    participants = participants.assign(**columns)[[*columns, *rest]]
    return participants.assign(
        **{
            name: [values.get(scan.name, "n/a") for scan, _ in kept]
            for name, values in measured.items()
        }
    )


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


def _letters(name: str) -> str:
    return re.sub("[-_. ]", "", name).casefold()


def _column(table: pd.DataFrame, label: str) -> str:
    """Find the column of the labels; one that differs by case or blanks alone will do."""
    if label in table.columns:
        return label
    alike = [str(name) for name in table.columns if fold(name) == fold(label)]
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"The table has no column {label!r} for the labels; it has: "
        f"{', '.join(' '.join(str(name).split()) for name in table.columns)}."
    )


def _require_one_name_each(scans: Sequence[Scan]) -> None:
    """Refuse scans that would be written under one name."""
    first: dict[str, Scan] = {}
    for scan in scans:
        other = first.setdefault(scan.name, scan)
        if other.participant != scan.participant:
            raise InputError(
                f"{other.participant} and {scan.participant} would both be called "
                f"sub-{scan.subject}; rename one, so that letters and digits tell them apart."
            )
    require_once([scan.name for scan in scans], "the images")


def _require_classes(
    names: Sequence[str | None], label: str, exclusions: Sequence[Exclusion], hint: str
) -> None:
    hint = f" {hint}" if hint else ""
    if not names:
        reasons = some_of(sorted({one.reason for one in exclusions})) or "there are no images"
        raise InputError(f"No participant has both an image and a label: {reasons}.{hint}")
    if len(set(names)) == 1:
        raise InputError(
            f"All {len(names)} participants have the same value {names[0]!r} in column {label!r}; "
            f"there is nothing to tell apart.{hint}"
        )
