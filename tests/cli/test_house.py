"""The house: what loads when, and that the import contracts bite."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "matplotlib", "nilearn", "pandas", "sklearn")


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, voxplain\nvoxplain.Volume, voxplain.AttributionMap\nprint(*sys.modules)"
    assert not {*HEAVY, "nibabel"} & set(python(code).split())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom voxplain.cli import main\nsys.argv = ['voxplain', '--help']\n"
        "try: main()\nexcept SystemExit: print('\\nloaded', *sys.modules)"
    )
    shown, _, loaded = python(code).rpartition("\nloaded ")
    assert "demo" in shown
    assert "explain" in shown
    assert not set(HEAVY) & set(loaded.split())


def test_a_warning_is_one_sentence_without_a_line_of_code() -> None:
    code = (
        "import sys, warnings\nfrom voxplain import cli, errors\nsys.stderr = sys.stdout\n"
        "def app():\n    for kind in (errors.VoxplainWarning, UserWarning):\n"
        "        warnings.warn('A mask is odd.', kind)\n"
        "cli.app = app\ncli.main()\nwarnings.warn('Later.', errors.VoxplainWarning)"
    )
    ours, *others = python(code).splitlines()
    assert ours == "voxplain: A mask is odd."
    assert others == [
        "<string>:6: UserWarning: A mask is odd.",
        "<string>:9: VoxplainWarning: Later.",
    ]


def test_every_public_name_loads() -> None:
    rooms = "attribution", "cohort", "fit", "grid", "group", "nets", "phantom", "trust"
    code = "import voxplain\n[getattr(voxplain, n) for n in voxplain.__all__]\n"
    code += "for room in {}:\n    module = getattr(voxplain, room)\n"
    code += "    assert module.__doc__\n    [getattr(module, n) for n in module.__all__]"
    assert python(code.format(rooms)) == ""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        __import__("voxplain").nothing  # noqa: B018
    assert {*rooms, "explain", "Volume", "__version__"} <= {*dir(__import__("voxplain"))}


def test_a_fault_of_voxplain_ends_in_one_line_unless_asked(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise ZeroDivisionError("by zero.\nAnd more of it.")

    monkeypatch.setattr("voxplain.cli.app", fails)
    code, shown, error = run("methods")
    assert (code, shown) == (1, "")
    assert error.startswith("voxplain: unexpected ZeroDivisionError: by zero. This is a fault of")
    assert error.count("\n") == 1
    monkeypatch.setenv("VOXPLAIN_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError, match="by zero"):
        run("methods")


PLANTED = (
    ("report/html/render.py", "import torch", "need no torch"),
    ("gridmap.py", "import torch", "need no torch"),
    ("images/writing.py", "from voxplain.volume import Volume", "order in which a reader"),
    ("attribution/network/target.py", "import nibabel", "no input or output"),
    (
        "attribution/network/probe.py",
        "from voxplain.cohort import read_volume",
        "know only the core",
    ),
    (
        "attribution/methods/cams/grad_cam.py",
        "from voxplain.attribution.methods.gradients.gradient import Gradient",
        "know nothing of each other",
    ),
    (
        "attribution/network/target.py",
        "from voxplain.attribution.engine import Engine",
        "a method the network that the engine prepared",
    ),
    ("fit/outcome.py", "from voxplain.fit.splits import Split", "no circle"),
    ("grid.py", "from voxplain.maps import GroupMap", "order in which a reader"),
    ("pipeline/doctor.py", "from voxplain.files.atomic import read_json", "files are written by"),
    ("nets/mrinet.py", "from voxplain.grid import Grid", "nothing of voxplain but errors"),
    (
        "pipeline/trust/data/scans.py",
        "from voxplain.pipeline.trust.training.trainings import Trainings",
        "tests that know nothing of each other",
    ),
)


def test_rooms_can_be_overseen() -> None:
    source = ROOT / "src/voxplain"
    beside = Counter(path.parent for path in source.rglob("*.py"))
    assert beside
    assert {home: n for home, n in beside.items() if n > 15} == {}
    long = [path for path in source.rglob("*.py") if path.read_text().count("\n") > 300]
    assert long == []


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of the source with an import planted against each contract."""
    home = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", home)
    for file, line, _ in PLANTED:
        with (home / "src/voxplain" / file).open("a") as source:
            source.write(f"\n{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache", "--no-logo"],
        cwd=home, env={"PYTHONPATH": str(home / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "500"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_planted_import_is_caught(planted: str, file: str, line: str, contract: str) -> None:
    """Its contract is broken, and by this very line."""
    assert any(contract in row for row in planted.splitlines() if "BROKEN" in row)
    told = planted.partition("Broken contracts")[2]
    module = "voxplain." + file.removesuffix(".py").replace("/", ".")
    taken = line.split()[1]
    chain = rf"{re.escape(module)} -> {re.escape(taken)}\b"
    circle = r"No cycles are allowed in voxplain\.fit\."
    assert re.search(circle if contract == "no circle" else chain, told), told


@pytest.fixture(scope="module")
def uncovered() -> ModuleType:
    spec = importlib.util.spec_from_file_location("uncovered", ROOT / "tests/uncovered.py")
    uncovered = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(uncovered)
    return uncovered


def test_what_no_test_reaches_is_named_with_a_reason(uncovered: ModuleType) -> None:
    """The list follows the source; `make coverage` says whether it is whole."""
    known = uncovered.read_list()
    assert known
    assert all(len(reason.split()) > 4 for reason in known.values())
    there = {place.file: {*uncovered.lines_of(place.file), uncovered.END} for place in known}
    gone = [p for p in known if not set(p.text.split(uncovered.ARROW)) <= there[p.file]]
    assert not gone, "run make coverage, and mend the list"


def test_a_report_of_coverage_is_held_against_the_list(uncovered: ModuleType) -> None:
    lines = uncovered.lines_of("files/atomic.py")
    first, second = lines.index("if temporary:") + 1, lines.index("raise") + 1
    told = {"missing_lines": [second], "missing_branches": [[first, first + 2], [first, second]]}
    found = uncovered.unreached({"files": {"src/voxplain/files/atomic.py": told}})
    assert found == [
        uncovered.Place("files/atomic.py", "raise"),
        uncovered.Place("files/atomic.py", f"if temporary: => {lines[first + 1]}"),
    ]
