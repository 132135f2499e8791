"""What the reader is shown runs, and is current."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import pytest

from voxplain.errors import VoxplainWarning

ROOT = Path(__file__).parents[2]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", ["docs/guide.md", "README.md"])
def test_code_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = python_blocks(page)
    assert blocks
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    with warnings.catch_warnings():
        # The guide tells of the warning that its untrained network gives rise to.
        warnings.simplefilter("ignore", VoxplainWarning)
        for block in blocks:
            exec(compile(block, page, "exec"), scope)


def test_the_table_of_methods_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    sys.modules.pop("docs", None)
    from docs.build import PAGE, page

    assert PAGE.read_text() == page(), "run make docs"


def test_every_method_has_a_section_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    sys.modules.pop("docs", None)
    from docs.build import METHODS, page

    table, *sections = page().split("\n## ")
    assert [section.split("\n")[0] for section in sections] == list(METHODS)
    for name, section in zip(METHODS, sections, strict=True):
        assert f"| [`{name}`](#{name}) | {METHODS[name].info.label} |" in table
        assert METHODS[name].info.sign in section
        for option in METHODS[name].option_names():
            assert f"`{option}=" in section


def test_commands_in_the_docs_exist() -> None:
    from typer.main import get_command

    from voxplain.cli import app

    commands = get_command(app).commands
    for page in ("docs/guide.md", "README.md"):
        text = (ROOT / page).read_text()
        blocks = re.findall(r"```(?:sh)?\n(voxplain .*?)```", text, flags=re.DOTALL)
        assert blocks
        for block in blocks:
            assert set(re.findall(r"^voxplain ([a-z]+)", block, flags=re.MULTILINE)) <= set(
                commands
            )
            every = [c for top in commands.values() for c in getattr(top, "commands", {}).values()]
            known = {o for c in (*commands.values(), *every) for p in c.params for o in p.opts}
            assert set(re.findall(r"--[a-z-]+", block)) <= known


def test_the_method_in_contributing_works() -> None:
    """Adding a method really is one file and one line."""
    block = next(
        iter(
            re.findall(
                r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL
            )
        )
    )
    import textwrap
    from dataclasses import dataclass
    from typing import ClassVar

    import numpy as np
    import torch

    import voxplain
    from voxplain.attribution import METHODS, Attribution, Method, MethodInfo

    scope = {
        "dataclass": dataclass,
        "ClassVar": ClassVar,
        "Attribution": Attribution,
        "Method": Method,
        "MethodInfo": MethodInfo,
        "__name__": "contributed",
    }
    exec(compile(textwrap.dedent(block), "CONTRIBUTING.md", "exec", dont_inherit=True), scope)
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
