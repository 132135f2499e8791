"""The house: which rooms touch files; every other asks `study`, `cohort` or `nets`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src/voxplain"

ALLOWED = (
    *("images/", "cohort/", "study/", "cli/", "nets/checkpoint.py", "nets/record.py"),
    *("report/html/render.py", "files/atomic.py", "files/pointers.py"),
)
METHODS = {
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file"),
    *("is_dir", "iterdir", "glob", "rglob", "mkdir", "rmdir", "unlink", "touch", "stat", "lstat"),
    *("rename", "symlink_to", "samefile", "walk"),
}
FUNCTIONS = {
    "np": {"load", "save", "savez", "savez_compressed", "fromfile", "memmap", "loadtxt", "savetxt"},
    "numpy": {"load", "save", "fromfile", "memmap"},
    "torch": {"load", "save"},
    "json": {"load", "dump"},
    "pickle": {"load", "dump"},
    "nib": {"load", "save"},
    "nibabel": {"load", "save"},
    "nifti1": {"load", "save"},
    "pd": {"read_csv", "read_table", "read_excel"},
    "pandas": {"read_csv", "read_table", "read_excel"},
    "safetensors": {"safe_open"},
    "os": {"listdir", "scandir", "remove", "unlink", "makedirs", "mkdir", "rename", "stat", "walk"},
}
MODULES = {"shutil", "tempfile", "zipfile", "tarfile", "gzip", "sqlite3", "h5py"}
ASKED = {"study", "own", "placed", "self", "beside"}
"""Receivers whose methods of these names are no file's: a study, its part, a placed network."""


def name_of(node: ast.expr) -> str:
    """The last name of ``a.b.c``; of ``StudyReader(...)`` what it makes."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call) and name_of(node.func) == "StudyReader":
        return "study"
    return ""


def touches(code: str) -> list[str]:
    """Name what in a module touches files, each with its line."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if (module or "").split(".")[0] in MODULES:
                found.append(f"{node.lineno}: import {module}")
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in {"open", "load_file", "save_file"}:
            found.append(f"{node.lineno}: {node.func.id}")
        if isinstance(node.func, ast.Attribute):
            owner, called = name_of(node.func.value), node.func.attr
            to_path = called in {"to_csv", "to_filename", "tofile"} and bool(node.args)
            method = called in METHODS and owner not in ASKED
            if to_path or method or called in FUNCTIONS.get(owner, ()):
                found.append(f"{node.lineno}: {owner}.{called}")
    return found


def test_files_are_touched_where_it_is_allowed_and_nowhere_else() -> None:
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        name = path.relative_to(SRC).as_posix()
        if not name.startswith(ALLOWED):
            found[name] = touches(path.read_text(encoding="utf-8"))
    assert len(found) > 150
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_place_that_is_allowed_is_there() -> None:
    for name in ALLOWED:
        assert (SRC / name).exists(), f"{name} is gone: take it off the list"


@pytest.mark.parametrize(
    "code",
    [
        "open('a')",
        "path.read_text()",
        "(study.folder / 'a').read_text()",
        "if path.exists(): pass",
        "Path('a').mkdir(parents=True)",
        "options.out.glob('*')",
        "np.load(path)",
        "torch.save(state, path)",
        "table.to_csv(path)",
        "import tempfile",
        "from shutil import copy",
        "nibabel.nifti1.load(path)",
    ],
)
def test_a_planted_line_is_caught(code: str) -> None:
    assert len(touches(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "study.write_text('a', 'b')",
        "self.study.read_bytes('a')",
        "StudyReader(path).find_file('a')",
        "table.to_csv(sep='t')",
        "placed.open(layer)",
        "json.loads(text)",
    ],
)
def test_what_asks_the_study_is_left_alone(code: str) -> None:
    assert touches(code) == []
