"""Who takes part in a cohort, where their images lie, and who was left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxplain.cohort.labels import Coding, read_labels
from voxplain.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from voxplain.cohort.files import ImageFile

__all__ = ["Exclusion", "Listing", "Scan", "listing", "plain_label", "require_folder", "some_of"]

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
    """

    subject: str
    image: ImageFile
    mask: ImageFile | None = None


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
        With a column ``participant_id``, with or without ``sub-``, all text.
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
        If a participant occurs twice, the column is missing or unusable, nobody is left, or all
        have the same label.
    """
    if label not in table.columns:
        raise InputError(
            f"The table has no column {label!r} for the labels; it has: "
            f"{', '.join(map(str, table.columns))}."
        )
    table = table.assign(participant_id=[plain_label(value) for value in table["participant_id"]])
    _require_once(table["participant_id"], "the table")
    _require_once([scan.subject for scan in scans], "the images")
    labels, said = read_labels(table[label], coding)
    out = list(exclusions)
    rows = {subject: row for row, subject in enumerate(table["participant_id"])}
    there = {scan.subject for scan in scans} | {one.subject for one in out}
    out += [
        Exclusion(subject, "the table", "no image was found")
        for subject in rows
        if subject not in there
    ]
    kept: list[Scan] = []
    for scan in sorted(scans, key=lambda scan: scan.subject):
        row = rows.get(scan.subject)
        if row is None:
            out.append(Exclusion(scan.subject, str(scan.image), "not in the table"))
        elif labels[row] is None:
            out.append(Exclusion(scan.subject, str(scan.image), f"no value in column {label!r}"))
        else:
            kept.append(scan)
    names = [labels[rows[scan.subject]] for scan in kept]
    _require_classes(names, label, out)
    participants = table.iloc[[rows[scan.subject] for scan in kept]].reset_index(drop=True)
    columns: dict[str, Any] = {
        "participant_id": [f"sub-{scan.subject}" for scan in kept],
        "label": names,
    }
    rest = [name for name in participants.columns if name not in columns]
    participants = participants.assign(**columns)[[*columns, *rest]]
    classes = tuple(sorted({name for name in names if name is not None}))
    return Listing(participants, tuple(kept), classes, said, tuple(out))


def require_folder(folder: Path, what: str) -> None:
    """Refuse a folder that is not there; ``what`` names the one that is wanted."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; give that of {what}.")


def some_of(names: Iterable[object]) -> str:
    """Name the first few of many, and count the rest."""
    given = [str(name) for name in names]
    more = f" and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return ", ".join(given[:_NAMED]) + more


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
