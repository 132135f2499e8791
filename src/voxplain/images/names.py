"""Whose scan a file is, by its name and the folders that it lies in."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from voxplain.images.files import file_suffix

__all__ = ["subject_label", "subject_labels", "subject_name"]

# Words for contrasts, tissues and what was done, which say nothing of the participant.
_CONTRASTS = (
    r"t[12]|t[12]w|t[12]wi|t2star|flair|pd|pdw|mprage|mp2rage|spgr|bravo|tfe|fspgr|uni|inv\d"
)
_IMAGES = (
    r"anat|anatomy|anatomical|struct|structural|brain|brains|head|mri|mr|smri|image|images|img|scan"
    r"|scans|vol|volume|data|nifti|nii|dicom|raw|rawdata|sourcedata|derivatives|orig|native|input"
)
_STEPS = (
    r"bet|skull|stripped|skullstripped|masked|mask|defaced|deface|n4|bias|corrected|nu|norm"
    r"|normalized|normalised|reg|registered|warped|aligned|acpc|dc|restore|mni|mni152|space"
    r"|mninonlinear|desc|preproc|preprocessed|final|ras|lps|lpi|res|iso|\d+mm|v\d+|gm|wm|csf"
    r"|run-?\d*|acq|rec|out|output|results|copy"
)
_PLACES = r"tmp|temp|home|root|mnt|media|users|downloads|desktop|documents|work|opt|srv|data\d*"
_TELLS_NOTHING = re.compile(rf"(?:{_CONTRASTS}|{_IMAGES}|{_STEPS})", re.IGNORECASE)
_NOBODY = re.compile(rf"(?:{_CONTRASTS}|{_IMAGES}|{_STEPS}|{_PLACES}|ses-.*)", re.IGNORECASE)
# SPM writes letters before a name for what it did: wsub-01, rc1sub-01.
_ENTITY = re.compile(r"(?:^|_)[a-z0-9]{0,6}sub-([0-9a-zA-Z+]+)")
_FOLDER = re.compile(r"sub-([0-9a-zA-Z+]+)")


def subject_name(path: str | PathLike[str], stem: str | None = None) -> str:
    """Tell whose scan a file is, as its name writes it.

    Parameters
    ----------
    path : path
    stem : str, optional
        The part of the file's name that may say it; all but the suffix by default.

    Returns
    -------
    str
        What follows ``sub-``; else the name without words such as T1 or brain; else, where nothing
        is left of it, the nearest folder's name that says more than mri or anat; else the name.
    """
    name = Path(path).name
    stem = name[: len(name) - len(file_suffix(name))] if stem is None else stem
    entity = _ENTITY.search(stem)
    if entity:
        return entity[1]
    said = _without_words(stem)
    if said:
        return said
    for folder in Path(path).absolute().parts[-2:0:-1]:
        entity = _FOLDER.match(folder)
        if entity:
            return entity[1]
        if _letters(folder) and not _NOBODY.fullmatch(folder):
            return folder
    return stem


def subject_label(path: str | PathLike[str]) -> str:
    """Make a participant's label of `subject_name`: letters and digits alone, else ``"scan"``."""
    name = subject_name(path)
    return name if re.fullmatch("[0-9a-zA-Z+]+", name) else _letters(name) or "scan"


def subject_labels(paths: Sequence[str | PathLike[str]]) -> list[str]:
    """Make labels of several files, distinct where their names or folders are.

    Parameters
    ----------
    paths : sequence of path

    Returns
    -------
    list of str
        As `subject_label`; files that would share a label and name no participant (``sub-``) get
        the names of the folders that tell them apart before it.
    """
    labels = [subject_label(path) for path in paths]
    alike: dict[str, list[int]] = defaultdict(list)
    for i, label in enumerate(labels):
        if not _ENTITY.search(Path(paths[i]).name):
            alike[label].append(i)
    for same in (same for same in alike.values() if len(same) > 1):
        folders = [Path(paths[i]).absolute().parts[-2:0:-1] for i in same]
        for depth in range(min(map(len, folders))):
            told = [_letters(parts[depth]) for parts in folders]
            if len(set(told)) > 1:
                for i, folder in zip(same, told, strict=True):
                    labels[i] = folder + labels[i] if folder != labels[i] else labels[i]
            if len({labels[i] for i in same}) == len(same):
                break
    return labels


def _without_words(stem: str) -> str:
    """Take words that say nothing of the participant off both ends of a name."""
    parts = re.split(r"([-_.\s]+)", stem)
    while parts and (not parts[0].strip("-_. ") or _TELLS_NOTHING.fullmatch(parts[0])):
        parts.pop(0)
    while parts and (not parts[-1].strip("-_. ") or _TELLS_NOTHING.fullmatch(parts[-1])):
        parts.pop()
    text = "".join(parts)
    return text if _letters(text) else ""


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub("[^0-9a-zA-Z]", "", plain)
