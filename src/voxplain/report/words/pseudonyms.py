"""Other names for participants, in all that is told of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Final, TypeVar

__all__ = ["FILE", "Pseudonyms"]

FILE: Final = "(file)"
"""Stands for a path."""

_PATH = re.compile(r"(?<![\w:/<.])(?:~|[A-Za-z]:)?[/\\][^\s'\",;)<>]+")
_WORD = re.compile(r"[\w+\-]+(?:[.,:][\w+\-]+)*")
_ENDS, _JOINTS = re.compile(r"([.,:])"), re.compile(r"([_\-+])")
_COUNT = re.compile(r"0|[1-9]\d{0,4}|[^\W\d]{1,2}")
_EMBEDDED = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")
_PREFIX: Final = "sub-"

Told = TypeVar("Told")


class Pseudonyms:
    """Replaces the labels of participants and scans, and paths.

    Parameters
    ----------
    names : mapping of str to str
        From each label, without ``sub-``, to another, with it.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def name(self, label: str) -> str:
        """Return the other name of a scan or participant, with or without ``sub-``.

        Raises
        ------
        KeyError
            If it is not known.
        """
        return self.names[label.removeprefix(_PREFIX)]

    def told(self, what: Told) -> Told:
        """Return results with other names in all their texts, in whatever they are nested.

        Parameters
        ----------
        what : str, mapping, sequence, dataclass, or anything else
            What is none of these is returned as it is.
        """
        found: Any = what
        if isinstance(what, str):
            found = self.text(what)
        elif isinstance(what, Mapping):
            found = {self.told(key): self.told(value) for key, value in what.items()}
        elif isinstance(what, list | tuple) and type(what) in (list, tuple):
            found = type(what)(self.told(one) for one in what)
        elif is_dataclass(what) and not isinstance(what, type):
            changed = {one.name: self.told(getattr(what, one.name)) for one in fields(what)}
            found = replace(what, **changed)
        return found  # type: ignore[no-any-return]

    def text(self, text: str) -> str:
        """Replace labels and absolute paths in a text.

        A label that is a number below 100,000, or of two letters, is replaced after ``sub-`` alone:
        elsewhere it may mean anything.
        """
        if text.removeprefix(_PREFIX) in self.names and (
            text.startswith(_PREFIX) or not _COUNT.fullmatch(text)
        ):
            return self.name(text)
        if self._odd:
            text = self._odd.sub(lambda found: self.name(found[0]), text)
        return self._words(_PATH.sub(FILE, text))

    def named_in(self, text: str) -> bool:
        """Tell whether a text still holds a label; embedded data, in base64, are no text."""
        plain = _EMBEDDED.sub(" ", text)
        return self._words(plain) != plain

    def _words(self, text: str) -> str:
        return _WORD.sub(lambda found: self._word(found[0]), text)

    @cached_property
    def _odd(self) -> re.Pattern[str] | None:
        """Labels that are no words, such as those with blanks."""
        odd = sorted((n for n in self.names if not _WORD.fullmatch(n)), key=len, reverse=True)
        return re.compile(f"(?:{_PREFIX})?(?:{'|'.join(map(re.escape, odd))})") if odd else None

    def _word(self, word: str) -> str:
        pieces = _ENDS.split(word)
        single = len(pieces) == 1
        return "".join(self._piece(piece, single=single) for piece in pieces)

    def _piece(self, piece: str, *, single: bool) -> str:
        """Replace labels between hyphens and underscores, the longest first."""
        parts, out, at = _JOINTS.split(piece), "", 0
        while at < len(parts):
            marked = parts[at : at + 2] == ["sub", "-"]
            begin = at + 2 * marked
            for end in range(len(parts), begin, -1):
                label = "".join(parts[begin:end])
                whole = single and begin == 2 * marked and end == len(parts)
                number = label.isdigit() and not whole
                if label in self.names and (marked or not (number or _COUNT.fullmatch(label))):
                    out, at = out + self.names[label], end
                    break
            else:
                out, at = out + parts[at], at + 1
        return out
