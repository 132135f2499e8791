"""Names of files, as BIDS writes them: entities of letters and digits alone."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["MapName", "described", "mark", "scan_entities", "spelled"]

_ENTITY = re.compile(r"[a-z]+-[0-9A-Za-z+]+")
_SPELLED = (
    (re.compile("<=|≤"), " at most "),
    (re.compile(">=|≥"), " at least "),
    (re.compile("<"), " below "),
    (re.compile(">"), " above "),
    (re.compile(r"\+"), " plus "),
    (re.compile("&"), " and "),
    (re.compile("%"), " percent "),
    (re.compile("="), " equal "),
    (re.compile(r"(?<=\d)\.(?=\d)"), " point "),
    # Between two words a hyphen is a hyphen, elsewhere a minus.
    (re.compile(r"(?<![0-9A-Za-z])[-−]|[-−](?![0-9A-Za-z])"), " minus "),
)
_DROPPED = re.compile(r"[0-9A-Za-z\s_\-−/.,;:()\[\]'\"]*")


class MapName:
    """Where a map lies in a study, and how its name gives way to another's.

    Parameters
    ----------
    subject : str
        Label of the scan without ``sub-``; with its other entities: ``"01_ses-2"``.
    label : str
        Label of the method, such as ``"Grad-CAM"``.
    target : str
        Short name of the target, such as ``"case"``.
    """

    def __init__(self, subject: str, label: str, target: str) -> None:
        self.who, before = scan_entities(subject)
        self.description = described(before, label, target)
        self._mark = mark(f"{subject}\n{label}\n{target}")
        self._person = mark(subject)

    def start(self, model: str = "", *, other_scan: bool = False, other_text: bool = False) -> str:
        """Return the path, in the study, without its ending.

        Parameters
        ----------
        model : str
            Network, where the name of another network's map must be told from it.
        other_scan, other_text : bool
            Whether another scan, or another target or method, would have the same name.
        """
        participant, *rest = self.who.split("_")
        who = "_".join([participant + f"x{self._person}" * other_scan, *rest])
        told = f"_model-{spelled(model)}" * bool(model)
        what = self.description + f"x{self._mark}" * other_text
        return f"maps/{who}/{who}{told}_desc-{what}"


def scan_entities(subject: str) -> tuple[str, str]:
    """Write a scan's label as BIDS does, and what its ``desc-`` says, which stands elsewhere.

    Parameters
    ----------
    subject : str
        ``"01"``, ``"01_ses-2_run-1"`` or ``"01_desc-preproc"``.

    Returns
    -------
    who : str
        ``"sub-01"``, ``"sub-01_ses-2_run-1"``.
    description : str
        ``"preproc"``, or nothing.
    """
    first, *rest = subject.split("_")
    if not all(_ENTITY.fullmatch(part) for part in rest):
        first, rest = subject, []
    before = [part.removeprefix("desc-") for part in rest if part.startswith("desc-")]
    others = [part.replace("+", "") for part in rest if not part.startswith("desc-")]
    return "_".join(["sub-" + (_ascii(first) or f"x{mark(first)}"), *others]), " ".join(before)


def described(before: str, label: str, target: str) -> str:
    """Write a method and a target as one word: ``"GradCAMCase"``."""
    # Else Grad-CAM++ would be written over Grad-CAM.
    text = f"{before} {label}".replace("+", " plus ")
    return _joined(text) + spelled(target)


def spelled(text: str) -> str:
    """Write any text in letters and digits; what has none is told by a few digits of its hash.

    Parameters
    ----------
    text : str
        ``"MCI converter"``, ``"<50"`` or ``"男"``.

    Returns
    -------
    str
        ``"MCIConverter"``, ``"Below50"`` or such as ``"X1f3b5c"``; texts that differ in letters of
        other scripts or in signs differ here too.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for sign, word in _SPELLED:
        plain = sign.sub(word, plain)
    word = _joined(plain)
    lost = bool(text) and (not word or not _DROPPED.fullmatch(plain))
    return word + (f"X{mark(text)}" if lost else "")


def _joined(text: str) -> str:
    words = re.findall(r"[0-9A-Za-z]+", text)
    return "".join(word[0].upper() + word[1:] for word in words)


def _ascii(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", text)


def mark(text: str) -> str:
    """Return a few digits that tell a text from others."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]
