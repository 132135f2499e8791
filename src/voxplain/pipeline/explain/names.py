"""Names: labels of scans given as files, and targets as they are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from voxplain.attribution.network.names import require_class
from voxplain.cohort import subject_labels
from voxplain.errors import InputError, unknown_name

__all__ = ["require_different", "require_target", "scan_labels"]

_ENTITIES = (
    *("ses", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec", "dir"),
    *("run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "split"),
    *("recording", "chunk", "cohort", "seg", "res", "den", "label", "desc"),
)
_PART = re.compile(rf"(?:{'|'.join(_ENTITIES)})-[0-9A-Za-z+]+")


def scan_labels(paths: Sequence[Path]) -> list[str]:
    """Label scans by their participant and by every other entity of their files' names.

    Parameters
    ----------
    paths : sequence of path

    Returns
    -------
    list of str
        Without ``sub-``: ``"01"``, ``"01_ses-2_acq-mprage_run-1"``.
    """
    return [
        "_".join([participant, *_entities(path)])
        for path, participant in zip(paths, subject_labels(paths), strict=True)
    ]


def _entities(path: Path) -> list[str]:
    name = path.name.partition(".")[0]
    found = [part for part in name.split("_") if _PART.fullmatch(part)]
    if not any(part.startswith("ses-") for part in found):
        folders = [part for part in path.absolute().parts[-4:-1] if part.startswith("ses-")]
        found = [part for part in folders[-1:] if _PART.fullmatch(part)] + found
    return list({part.partition("-")[0]: part for part in found}.values())


def require_different(labels: Sequence[str], paths: Sequence[Path]) -> None:
    """Refuse two files that would be written under one name."""
    seen: dict[str, Path] = {}
    for label, path in zip(labels, paths, strict=True):
        other = seen.setdefault(label, path)
        if other is not path:
            raise InputError(
                f"{other} and {path} would both be written as subject {label!r}; give them names "
                "that tell them apart (sub-<label>_ses-<label>_T1w.nii.gz), or another --out each."
            )


def require_target(target: int | str, names: Sequence[str], count: int, *rules: str) -> None:
    """Refuse a target that is no class of a network with `count` outputs, and no rule for one.

    Parameters
    ----------
    target : int or str
    names : sequence of str
        Of the classes; empty where they have none.
    count : int
    *rules : str
        Words that stand for a class beside ``"predicted"``.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(target, int):
        require_class(target, count)
    elif target not in ("predicted", *rules, *names):
        raise unknown_name(
            "target", target, ["predicted", *rules, *names, *map(str, range(max(count, 2)))]
        )
