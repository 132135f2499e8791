"""Write what the docs take from the code and from measurements: ``python -m docs.build``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from docs.measured import PAGES as MEASURED
from docs.measured import filled
from docs.of_verdicts import power_png
from docs.reference import MODULES, pages
from voxplain.attribution import METHODS

HERE = Path(__file__).parent
__all__ = ["MEASURED", "MODULES", "PAGE", "filled", "main", "page", "pages"]

PAGE = HERE / "methods.md"
REFERENCE = HERE / "api"
COLUMNS = ("name", "method", "unit", "sums up", "cost in passes")


def page() -> str:
    """Return the page of methods as Markdown."""
    anchors = dict(zip(METHODS, anchors_of(METHODS), strict=True))
    rows = [
        (
            f"[`{name}`](#{anchors[name]})",
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
        "[Which method, and why](which-method.md) gives advice.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        *(line for name in METHODS for line in _section(name)),
    ]
    return "\n".join(lines) + "\n"


def anchors_of(names: Iterable[str]) -> list[str]:
    """Name the anchors that GitHub and MyST give to headings, a repeated one with a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        plain = "".join(c for c in name if c.isalnum() or c == "-")
        count = seen.get(plain, 0)
        found.append(f"{plain}-{count}" if count else plain)
        seen[plain] = count + 1
    return found


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


def main() -> None:
    """Write all pages that are made, and leave those that are as they should be."""
    made = {PAGE: page()}
    made |= {HERE / name: filled(HERE / name) for name in MEASURED}
    made |= {REFERENCE / name: text for name, text in pages().items()}
    REFERENCE.mkdir(exist_ok=True)
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    (HERE / "images" / "power.png").write_bytes(power_png())


if __name__ == "__main__":
    main()
