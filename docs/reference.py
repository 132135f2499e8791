"""The reference: one page for each public module, from its ``__all__`` and its docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from voxplain.attribution import METHODS

__all__ = ["MODULES", "pages", "public_names"]

# Where a name is public in several modules, the first of them shows it.
MODULES = (
    "voxplain",
    "voxplain.attribution",
    "voxplain.grid",
    "voxplain.cohort",
    "voxplain.phantom",
    "voxplain.nets",
    "voxplain.fit",
    "voxplain.trust",
    "voxplain.group",
    "voxplain.report.html.render",
    "voxplain.report.html.sections",
    "voxplain.study",
    "voxplain.errors",
)
_METHODS = "voxplain.attribution.methods"


def public_names(module: str) -> list[str]:
    """Return what a module offers, in the order of the alphabet, capitals first."""
    return sorted(import_module(module).__all__)


def pages() -> dict[str, str]:
    """Return the pages as reStructuredText, by file name."""
    shown: dict[int, str] = {}
    made = {}
    for name in MODULES:
        made[f"{name}.rst"] = _page(name, shown)
        if name == "voxplain.attribution":
            made["methods.rst"] = _page_of_methods()
    order = "\n".join(f"   {name.removesuffix('.rst')}" for name in made)
    made["index.rst"] = (
        "Reference\n=========\n\n"
        "Every public name, from its docstring. The common ones stand in `voxplain` itself.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{order}\n"
    )
    return made


def _page(name: str, shown: dict[int, str]) -> str:
    module = import_module(name)
    lines = [*_title(name), f".. automodule:: {name}", "   :no-members:", ""]
    lines += [f".. currentmodule:: {name}", ""]
    names = public_names(name)
    own = [key for key in names if id(getattr(module, key)) not in shown]
    again = [f"`{shown[id(getattr(module, k))]}.{k}`" for k in names if k not in own]
    if again:
        lines += [f"Public here too: {', '.join(again)}.", ""]
    shown |= {id(getattr(module, key)): name for key in own}
    tables = {"Functions": [], "Classes": [], "Constants": []}  # type: ignore[var-annotated]
    for key in own:
        tables[_kind(getattr(module, key))].append(key)
    for title, keys in tables.items():
        if keys:
            lines += [*_title(title, "-"), *(line for key in keys for line in _entry(module, key))]
    return "\n".join(lines) + "\n"


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "Classes"
    return "Functions" if callable(value) and inspect.isroutine(value) else "Constants"


def _entry(module: ModuleType, key: str) -> Iterator[str]:
    value = getattr(module, key)
    kind = _kind(value)
    if kind == "Functions":
        yield from (f".. autofunction:: {key}", "")
    elif kind == "Classes":
        yield from (f".. autoclass:: {key}", "   :members:", "   :show-inheritance:", "")
    else:
        yield from (f".. py:data:: {key}", "")
        yield from (f"   {line}" for line in _told_of_constant(module, key))
        if isinstance(value, int | float | str | tuple):
            yield from ("", f"   Value: ``{value!r}``")
        yield ""


def _told_of_constant(module: ModuleType, key: str) -> list[str]:
    """Return the docstring below a constant, from the module that defines it."""
    from sphinx.pycode import ModuleAnalyzer

    home = _home_of(module, key)
    told = ModuleAnalyzer.for_module(home).find_attr_docs().get(("", key))
    if told is None:
        raise ValueError(f"{home}.{key} is public and has no docstring below it.")
    return told


def _home_of(module: ModuleType, key: str) -> str:
    """Name the module that defines a constant, through those that hand it on."""
    handed_on = _homes(module).get(key)
    return module.__name__ if handed_on is None else _home_of(import_module(handed_on), key)


def _homes(module: ModuleType) -> dict[str, str]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _page_of_methods() -> str:
    lines = [
        *_title(_METHODS),
        f".. automodule:: {_METHODS}",
        "   :no-members:",
        "",
        "Each method is a class of options. `voxplain.explain` takes its name with the options, or",
        "the class with its options set.",
        "",
        f".. currentmodule:: {_METHODS}",
        "",
    ]
    for name, kind in METHODS.items():
        lines += [*_title(name, "-"), f".. autoclass:: {kind.__name__}", ""]
    return "\n".join(lines) + "\n"


def _title(text: str, mark: str = "=") -> list[str]:
    return [text, mark * len(text), ""]
