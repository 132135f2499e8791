"""What the reader is shown runs, and is current."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from voxplain.errors import VoxplainWarning

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))]

# Tutorials are shown at a size that finds something, and run at one that is quick.
SMALLER = {
    "--subjects 80 --voxel-size 5": "--subjects 12 --voxel-size 8",
    "--cv 5 --no-final": "--cv 2 --no-final --epochs 1 --no-baselines",
    "--method smoothgrad": "--method smoothgrad --option smoothgrad:samples=2",
}
# Pages whose commands run as they stand, on files that the page has made.
TUTORIALS = ("docs/tutorial-scan.md", "docs/tutorial-cohort.md")


def blocks_of(page: str) -> list[tuple[str, str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def python_of(page: str) -> list[str]:
    return [text for language, text in blocks_of(page) if language == "python"]


def commands_of(text: str) -> list[list[str]]:
    joined = text.replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in joined.splitlines() if line.startswith("voxplain ")]


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxplain.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    scope: dict[str, object] = {"__name__": "page"}
    ran = 0
    with warnings.catch_warnings():
        # Pages tell of the warnings that their untrained networks give rise to.
        warnings.simplefilter("ignore", VoxplainWarning)
        for language, text in blocks_of(page):
            if language == "python":
                exec(compile(text, page, "exec"), scope)
                ran += 1
            elif language == "sh" and page in TUTORIALS:
                for shown, run in SMALLER.items():
                    text = text.replace(shown, run)
                for command in commands_of(text):
                    app(command, standalone_mode=False)
                    ran += 1
    assert ran


def literals() -> Iterator[str]:
    """Every text in the source, of an f-string the pieces between its fields."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_sentences_of_troubleshooting_are_those_of_the_source() -> None:
    source = "\n".join(literals())
    sentences = [t for language, t in blocks_of("docs/troubleshooting.md") if language == "text"]
    assert len(sentences) > 30
    for sentence in sentences:
        pieces = [piece.strip() for piece in sentence.split("…")]
        assert max(map(len, pieces)) > 15, f"too little is said of {sentence!r}"
        for piece in pieces:
            assert piece in source, f"{piece!r} is no longer said; mend docs/troubleshooting.md"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that writes parts of the docs."""
    monkeypatch.syspath_prepend(str(ROOT))
    for name in [name for name in sys.modules if name.split(".")[0] == "docs"]:
        monkeypatch.delitem(sys.modules, name)
    return import_module("docs.build")


def test_what_is_made_of_code_and_measurements_is_current(build: ModuleType) -> None:
    assert build.PAGE.read_text(encoding="utf-8") == build.page(), "run make docs"
    for name in build.MEASURED:
        path = DOCS / name
        assert "<!-- table: " in path.read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == build.filled(path), "run make docs"


def test_every_method_has_a_section_with_its_options(build: ModuleType) -> None:
    from voxplain.attribution import METHODS

    table, *sections = build.page().split("\n## ")
    assert [section.split("\n")[0] for section in sections] == list(METHODS)
    for name, section in zip(METHODS, sections, strict=True):
        assert f"| [`{name}`](#" in table
        assert f") | {METHODS[name].info.label} |" in table
        assert METHODS[name].info.sign in section
        for option in METHODS[name].option_names():
            assert f"`{option}=" in section


def test_anchors_are_those_of_github(build: ModuleType) -> None:
    assert build.anchors_of(["grad-cam", "grad-cam++", "lrp"]) == ["grad-cam", "grad-cam-1", "lrp"]


def test_a_ratio_is_reached_where_it_is_said(build: ModuleType) -> None:
    from docs.measured import _from

    # 218 + 44 * 41.8 is less than a third of 44 * 140.6, and for 43 scans it is not.
    assert _from(218.0, 41.8, 140.6) == "44 scans"
    assert _from(100.0, 30.0, 90.0) == "never"
    assert _from(10.0, 1.0, 100.0) == "1 scan"


def test_tables_show_what_was_measured(build: ModuleType) -> None:
    results = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    for bar in results["bars"]:
        assert f"{bar['measured']:.2f}".removeprefix("0") in text, bar["what"]


def test_commands_in_the_docs_exist() -> None:
    from typer.main import get_command

    from voxplain.cli import app

    commands = get_command(app).commands
    every = [c for top in commands.values() for c in getattr(top, "commands", {}).values()]
    known = {o for c in (*commands.values(), *every) for p in c.params for o in p.opts} | {"--help"}
    shown = [
        (page, text)
        for page in PAGES
        for language, text in blocks_of(page)
        if language in ("", "sh") and text.startswith("voxplain ")
    ]
    assert len({page for page, _ in shown}) > 4
    for page, text in shown:
        named = set(re.findall(r"^voxplain ([a-z]+)", text, flags=re.MULTILINE))
        assert named <= set(commands), page
        assert set(re.findall(r"--[a-z-]+", text)) <= known, page


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"):
        path = ROOT / page
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (path.parent / link).exists(), f"{page}: {link}"


def test_every_public_name_is_in_the_reference(build: ModuleType) -> None:
    text = "\n".join(build.pages().values())
    for module in build.MODULES:
        for name in import_module(module).__all__:
            documented = re.search(
                rf"\.\. (auto\w+|py:data):: {re.escape(name)}$", text, re.MULTILINE
            )
            assert documented, f"{module}.{name}"


def contributed(number: int) -> str:
    """An example of CONTRIBUTING.md, by its number."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    examples = re.findall(r"^ *```python\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return textwrap.dedent(examples[number - 1])


def test_the_method_in_contributing_works() -> None:
    """Adding a method really is one file and one line."""
    import torch

    import voxplain
    from voxplain.attribution import METHODS, Attribution, Method, MethodInfo

    scope: dict[str, Any] = {
        "dataclass": dataclass,
        "ClassVar": ClassVar,
        "Attribution": Attribution,
        "Method": Method,
        "MethodInfo": MethodInfo,
        "__name__": "contributed",
    }
    exec(compile(contributed(1), "CONTRIBUTING.md", "exec", dont_inherit=True), scope)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 2))
    grid = voxplain.Grid((3, 4, 5), np.eye(4))
    volume = voxplain.Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), grid)
    name = "squared-gradient"
    METHODS[name] = scope["SquaredGradient"]
    try:
        found = voxplain.explain(network, volume, name, target=1)
    finally:
        del METHODS[name]
    weight = (network[1].weight[1] - network[1].weight[0]).detach().numpy().reshape(3, 4, 5)
    np.testing.assert_allclose(found.values, weight**2, rtol=1e-5)


def test_the_reader_in_contributing_works(tmp_path: Path) -> None:
    from voxplain.errors import InputError

    scope: dict[str, Any] = {"__name__": "contributed"}
    exec(compile(contributed(2), "CONTRIBUTING.md", "exec", dont_inherit=True), scope)
    table = tmp_path / "people.tsv"
    table.write_text("participant_id\tsex\n01\tM\n02\tF\n03\tF\n")
    with pytest.raises(InputError, match="holds no <id>"):
        scope["from_folder"](tmp_path, table)
    for name in ("01", "02"):
        (tmp_path / f"{name}.nii.gz").touch()
    for name in ("01", "02", "03"):
        (tmp_path / f"{name}_mask.nii.gz").touch()
    found = scope["from_folder"](tmp_path, table)
    assert [scan.subject for scan in found.scans] == ["01", "02"]
    assert [scan.mask.path.name for scan in found.scans] == ["01_mask.nii.gz", "02_mask.nii.gz"]
    assert found.participants["label"].tolist() == ["male", "female"]
    assert [(one.subject, one.reason) for one in found.exclusions] == [
        ("03", "there is no scan beside the mask")
    ]


def test_the_section_in_contributing_works() -> None:
    from voxplain.report.html.render import render
    from voxplain.report.html.sections import Page

    scope: dict[str, Any] = {"__name__": "contributed"}
    exec(compile(contributed(3), "CONTRIBUTING.md", "exec", dont_inherit=True), scope)
    fit = {"models": {"mrinet": {"training_seconds": 90.0}, "linear SVM": {}}}
    html = render(Page("A page", "of a test", (scope["training_time"](fit),)))
    assert "Time of training" in html
    assert "1.500" in html
    assert "linear SVM" not in html


def test_what_the_plan_names_is_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    within = ("", "attribution/")
    places = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+)(?:/|\.py)?`", text))
    assert len(places) > 40
    for place in places:
        paths = [ROOT / "src/voxplain" / start / place for start in within]
        assert any(path.is_dir() or path.with_suffix(".py").is_file() for path in paths), place
    rooms = {path.name for path in (ROOT / "src/voxplain").iterdir() if path.is_dir()}
    assert rooms - {"__pycache__"} <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
