"""Write the table of methods from the registry: ``python -m docs.build``."""

from __future__ import annotations

from pathlib import Path

from voxplain.explain import METHODS

PAGE = Path(__file__).with_name("methods.md")
COLUMNS = ("name", "method", "unit", "sign", "sums up", "cost in passes", "source")


def page() -> str:
    """Return the page as Markdown."""
    rows = [
        (
            f"`{name}`",
            kind.info.label,
            kind.info.unit,
            kind.info.sign,
            "yes" if kind.info.complete else "no",
            kind.info.passes,
            kind.info.citation,
        )
        for name, kind in METHODS.items()
    ]
    lines = [
        "# Methods",
        "",
        "Written by `make docs` from the registry. *Sums up* says whether the values of a map add",
        "up to a difference of the network's outputs.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
