"""No public address at hand. ``--network package.module:function`` of a module with a fault in it.

Whatever a module does while it is imported ended in a traceback, or in the blame of voxplain.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from voxplain.errors import InputError
from voxplain.nets import build_network


@pytest.mark.parametrize(
    ("number", "text", "words"),
    [
        (0, "def net(:\n    pass\n", r"fails while it is imported \(SyntaxError: "),
        (1, "import no_such_package\n", r"cannot be imported \(No module named 'no_such_package'"),
        (2, "open('no-such-file')\n", r"fails while it is imported \(FileNotFoundError: "),
        (3, "x = undefined\n", r"fails while it is imported \(NameError: name 'undefined'"),
        (4, "import sys\nsys.exit('usage: train.py')\n", r"\(SystemExit: usage: train\.py\)"),
        (5, "import argparse\nargparse.ArgumentParser().parse_args(['-x'])\n", "SystemExit"),
        (6, "1 / 0\n", r"ZeroDivisionError: division by zero\).*__main__"),
        (7, "def other():\n    pass\n", r"Unknown function of case28_7 'net'; there are: other"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    number: int, text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"case28_{number}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        build_network(f"case28_{number}:net", (8, 8, 8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_module:net", ":net", ".relative:net", "a b:net"])
def test_names_that_are_no_modules(name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be imported|fails while it is imported"):
        build_network(name, (8, 8, 8))
