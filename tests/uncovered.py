"""Hold what no test reaches against ``uncovered.tsv``, which says why: see ``make coverage``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "voxplain"
LIST = HERE / "uncovered.tsv"
ARROW = " => "
END = "the end"


class Place(NamedTuple):
    """A line that no test reaches, or, with an arrow, a way from one line to another."""

    file: str
    text: str


def read_list(path: Path = LIST) -> dict[Place, str]:
    """Read the reason for each place."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {Place(row["file"], row["text"]): row["reason"] for row in rows}


def lines_of(file: str) -> list[str]:
    """Read the lines of a file of the package, without what is around their text."""
    return [line.strip() for line in (PACKAGE / file).read_text(encoding="utf-8").splitlines()]


def unreached(report: dict[str, Any]) -> list[Place]:
    """List what a report of coverage.py (JSON, with branches) has no test for."""
    found: dict[Place, None] = {}
    for path, told in report["files"].items():
        file = path.rpartition("src/voxplain/")[2]
        lines, missing = lines_of(file), set(told["missing_lines"])
        found |= dict.fromkeys(Place(file, lines[number - 1]) for number in sorted(missing))
        for start, end in told["missing_branches"]:
            if start not in missing and end not in missing:
                target = lines[end - 1] if end > 0 else END
                found[Place(file, f"{lines[start - 1]}{ARROW}{target}")] = None
    return list(found)


def main() -> None:
    """Name what is new, and what the list no longer needs to excuse."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    known, found = read_list(), unreached(report)
    for place in known:
        if place not in found:
            print(f"Reached now; leave it out of {LIST.name}: {place.file}: {place.text}")
    new = [place for place in found if place not in known]
    for place in new:
        print(f"No test reaches this, and {LIST.name} does not say why: {place.file}: {place.text}")
    print(f"{len(found)} places are not reached, {len(new)} without a reason.")
    raise SystemExit(bool(new))


if __name__ == "__main__":
    main()
