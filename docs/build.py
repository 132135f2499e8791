"""Write the table of methods from the registry: ``python -m docs.build``."""

from __future__ import annotations

from pathlib import Path

from voxplain.attribution import METHODS

PAGE = Path(__file__).with_name("methods.md")
COLUMNS = ("name", "method", "unit", "sums up", "cost in passes")


def page() -> str:
    """Return the page as Markdown."""
    rows = [
        (
            f"[`{name}`](#{name})",
            kind.info.label,
            kind.info.unit,
            "yes" if kind.info.complete else "no",
            kind.info.passes,
        )
        for name, kind in METHODS.items()
    ]
    lines = [
        "# Methods",
        "",
        "Written by `make docs` from the registry. *Sums up* says whether the values of a map add",
        "up to a difference of the network's outputs; the cost is per volume.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        *(line for name in METHODS for line in _section(name)),
    ]
    return "\n".join(lines) + "\n"


def _section(name: str) -> list[str]:
    kind = METHODS[name]
    options = [f"`{key}={default}`" for key, default in kind.option_defaults().items()]
    return [
        "",
        f"## {name}",
        "",
        f"- Source: {kind.info.citation}",
        f"- Sign: {kind.info.sign}",
        f"- Options: {', '.join(options) or 'none'}",
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
