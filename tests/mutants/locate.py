"""Where a mutant lies: by the function that holds it and its line, wherever the file has moved."""

from __future__ import annotations

import ast
import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "src" / "voxplain"
LIST = HERE / "mutants.tsv"
MODULE = "<module>"


@dataclass(frozen=True)
class Mutant:
    """A changed line.

    Parameters
    ----------
    file : str
        Below ``src/voxplain``, when the list was made.
    where : str
        Qualified name of the function or class that holds the line, or ``<module>``.
    nth : int
        Which of the equal lines there, from 0.
    old, new : str
        The line without its indentation.
    tests : str
        Arguments of pytest, with spaces between.
    """

    file: str
    where: str
    nth: int
    old: str
    new: str
    tests: str

    @property
    def name(self) -> str:
        """Tell mutants apart."""
        return f"{self.file}:{self.where}:{self.nth}: {self.old} -> {self.new}"


def read_list(path: Path = LIST) -> list[Mutant]:
    """Read the frozen list."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [*csv.DictReader(stream, delimiter="\t")]
    return [Mutant(**{**row, "nth": int(row["nth"])}) for row in rows]


def write_list(mutants: list[Mutant], path: Path = LIST) -> None:
    """Write a list, a mutant a line."""
    names = [field.name for field in fields(Mutant)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(one, name) for name in names] for one in mutants)


@cache
def owners(source: str) -> list[str]:
    """Name the innermost function or class of each line of a source, from line 1."""
    names = [MODULE] * (source.count("\n") + 2)

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                name = f"{prefix}{child.name}"
                end = child.end_lineno or child.lineno
                names[child.lineno - 1 : end] = [name] * (end - child.lineno + 1)
                visit(child, f"{name}.")
            else:
                visit(child, prefix)

    visit(ast.parse(source), "")
    return names


def applied(mutant: Mutant, package: Path = PACKAGE) -> tuple[Path, str] | None:
    """Give the file, below the package, and its mutated text; None where the line is gone."""
    first = package / mutant.file
    same = sorted(package.rglob(first.name))
    for path in [first, *same, *sorted(package.rglob("*.py"))]:
        if not path.exists():
            continue
        source = path.read_text(encoding="utf-8")
        if mutant.old not in source:
            continue
        lines = source.split("\n")
        held = [
            i
            for i, (line, owner) in enumerate(zip(lines, owners(source), strict=False))
            if owner == mutant.where and line.strip() == mutant.old
        ]
        if len(held) > mutant.nth:
            at = held[mutant.nth]
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            lines[at] = indent + mutant.new
            return path.relative_to(package), "\n".join(lines)
    return None
