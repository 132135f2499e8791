"""References of the methods text, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from voxplain.report.words.bibliography import ENTRIES
from voxplain.results.study import MethodTold

__all__ = ["bibtex", "cited"]

_GROUP: Final = re.compile(r"\[@([^\]]+)\]")
_ENTRY: Final = re.compile(r"@\w+\{([^,]+),.*?\n\}", re.DOTALL)
_CITATION: Final = re.compile(r"^(?P<who>[^;]*?) (?P<year>(?:19|20)\d\d)\b[,;]?\s*(?P<rest>.*)$")


def cited(text: str) -> str:
    """Write ``[@key; @other]`` as a reader meets it: ``[key, other]``."""
    return _GROUP.sub(
        lambda found: (
            "[" + ", ".join(k.strip().removeprefix("@") for k in found[1].split(";")) + "]"
        ),
        text,
    )


def bibtex(keys: Sequence[str], methods: Mapping[str, MethodTold], version: str = "") -> str:
    """Write the entries of the references.

    Parameters
    ----------
    keys : sequence of str
        Of the file of references; or names of methods, which are cited as the registry says.
    methods : mapping of str to MethodTold
    version : str
        Of voxplain.

    Returns
    -------
    str
    """
    known = _known()
    out = []
    for key in keys:
        entry = known.get(key)
        if entry is None and key in methods:
            entry = _of_method(methods[key])
        if entry:
            out.append(entry.replace("VERSION", version or "unknown"))
    return "\n\n".join(out)


def _known() -> dict[str, str]:
    return {found[1]: found[0] for found in _ENTRY.finditer(ENTRIES)}


def _of_method(method: MethodTold) -> str:
    """Turn the registry's citation into an entry without a title."""
    found = _CITATION.match(method.citation)
    lines = [f"@misc{{{method.name},"]
    if found:
        lines += [f"  author = {{{_authors(found['who'])}}},", f"  year = {{{found['year']}}},"]
        lines.append(f"  howpublished = {{{_for_latex(found['rest'])}}},")
    lines.append(f"  note = {{{_for_latex(f'{method.label}: {method.citation}')}}}")
    return "\n".join([*lines, "}"])


def _authors(who: str) -> str:
    """Join names as BibTeX does: ``A and B``, ``A and others``."""
    names, more, _ = who.partition(" et al.")
    return " and ".join([*re.split(r", | & ", names), *["others"] * bool(more)])


def _for_latex(text: str) -> str:
    return re.sub(r"[&%#_$]", r"\\\g<0>", text)
