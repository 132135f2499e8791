"""Plant each mutant of ``mutants.tsv`` and see whether its tests fail: ``make mutants``.

Heavy libraries are imported once; each mutant is tried in a process of its own, on a copy of the
package. Tests that fail without a mutant kill none: they are run on an unchanged copy first. What
was tried with the same source and tests is not tried again. Tests that were quick then come first.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from locate import HERE, PACKAGE, ROOT, Mutant, applied, read_list

if TYPE_CHECKING:
    import pytest

RESULTS = ROOT / ".mutants" / "results.tsv"
SECONDS = ROOT / ".mutants" / "seconds.json"
SURVIVORS = HERE / "survivors.tsv"
CONTROL = "nothing is changed"
HEAVY = (
    "pytest", "numpy", "scipy.stats", "scipy.ndimage", "sklearn.metrics", "sklearn.linear_model",
    "sklearn.svm", "sklearn.model_selection", "sklearn.decomposition", "pandas", "torch",
    "torch._dynamo", "nibabel", "nilearn.image", "nilearn.plotting", "matplotlib.figure",
    "monai.networks.nets", "captum.attr", "xgboost", "skimage.transform",
)  # fmt: skip
"""Imported before the first mutant; not what pytest has to rewrite."""


def main() -> None:
    """Try what the list asks for, and say what survives without a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose file or tests hold this")
    parser.add_argument("--sample", type=int, help="as many, drawn by chance, always the same")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for a mutant")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    asked = parser.parse_args()
    chosen = [one for one in read_list() if asked.only in f"{one.file} {one.tests}"]
    if asked.sample is not None and asked.sample < len(chosen):
        drawn = random.Random(0).sample(range(len(chosen)), asked.sample)
        chosen = [chosen[i] for i in sorted(drawn)]
    known = _known()
    todo = [
        one
        for one in chosen
        if _key(one) not in known or (asked.again and known[_key(one)][0] == "survived")
    ]
    print(f"{len(chosen)} mutants, {len(chosen) - len(todo)} of them tried before.", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    # Copied with the source, whose times are kept: only what is mutated is compiled anew.
    compileall.compile_dir(PACKAGE, quiet=1)
    for name in HEAVY:
        importlib.import_module(name)
    if "voxplain" in sys.modules:
        raise SystemExit("voxplain must not be imported before a mutant is planted.")
    controls = [Mutant(CONTROL, "", 0, "", "", tests) for tests in {one.tests: 1 for one in todo}]
    untried = [one for one in controls if known.get(_key(one), ("", ""))[0] != "survived"]
    _try_all(untried, asked.jobs, asked.timeout)
    failed = [one.tests for one in controls if _known()[_key(one)][0] != "survived"]
    for tests in failed:
        print(f"These fail without a mutant, and are left out: {tests}")
    _try_all([one for one in todo if one.tests not in failed], asked.jobs, asked.timeout)
    _tell(chosen)


def _key(one: Mutant) -> str:
    """Name a mutant with the text of its file and of its tests."""
    found = None if one.file == CONTROL else applied(one)
    digest = hashlib.sha256(one.name.encode())
    digest.update(found[1].encode() if found else b"lost")
    for word in one.tests.split():
        path = ROOT / word.split("::")[0]
        digest.update(path.read_bytes() if path.is_file() else word.encode())
    return digest.hexdigest()[:16]


def _known() -> dict[str, tuple[str, str]]:
    """Read earlier results, the last of each: killed, survived or lost, and seconds."""
    if not RESULTS.exists():
        return {}
    rows = [line.split("\t") for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows}


def _try_all(todo: list[Mutant], jobs: int, timeout: float) -> None:
    running: dict[int, tuple[Mutant, str, float, Path]] = {}
    waiting = [*todo]
    while waiting or running:
        while waiting and len(running) < jobs:
            one = waiting.pop(0)
            place = (Path("__init__.py"), None) if one.file == CONTROL else applied(one)
            if place is None:
                _note(one, _key(one), "lost", 0.0)
                continue
            folder = Path(tempfile.mkdtemp(prefix="mutant-"))
            key = _key(one)
            running[_started(one, place, folder)] = one, key, time.monotonic(), folder
        for pid, (one, key, began, folder) in [*running.items()]:
            spent = time.monotonic() - began
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and spent < timeout:
                continue
            if not done:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status) if done else 1
            result = {0: "survived", 5: "no tests", 70: "not planted"}.get(code, "killed")
            _note(one, key, result, spent)
            shutil.rmtree(folder, ignore_errors=True)
            del running[pid]
        time.sleep(0.02)


def _started(one: Mutant, place: tuple[Path, str | None], folder: Path) -> int:
    """Fork a process that plants the mutant and runs its tests; return its id."""
    source = folder / "src"
    shutil.copytree(PACKAGE, source / "voxplain")
    if place[1] is not None:
        (source / "voxplain" / place[0]).write_text(place[1], encoding="utf-8")
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.chdir(ROOT)
    nothing = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.path.insert(0, str(source))
    os.environ |= {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    sys.dont_write_bytecode = True
    import pytest

    found = importlib.util.find_spec("voxplain")
    if found is None or not str(found.origin).startswith(str(source)):
        os._exit(70)
    arguments = [*one.tests.split(), "-x", "-q", "-p", "no:cacheprovider"]
    arguments.append(f"--basetemp={folder / 'tests'}")
    os._exit(int(pytest.main(arguments, plugins=[_QuickFirst(one)])))


class _QuickFirst:
    """Has pytest run first what took little time when nothing was changed."""

    def __init__(self, one: Mutant) -> None:
        self._control = one.file == CONTROL
        self._known: dict[str, float] = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
        self._seconds: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        if self._control:
            SECONDS.write_text(json.dumps({**self._known, **self._seconds}), encoding="utf-8")


def _note(one: Mutant, key: str, result: str, seconds: float) -> None:
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(f"{key}\t{result}\t{seconds:.1f}\t{one.name}\n")
    print(f"{result:9}{seconds:6.1f} s  {one.name}", flush=True)


def _tell(chosen: list[Mutant]) -> None:
    known = _known()
    results = {one.name: known.get(_key(one), ("not tried", "0"))[0] for one in chosen}
    count = Counter(results.values())
    tried = count["killed"] + count["survived"]
    if tried:
        print(f"{count['killed']} of {tried} killed, {100 * count['killed'] / tried:.1f} %.")
    print(", ".join(f"{n} {word}" for word, n in sorted(count.items())))
    told = SURVIVORS.read_text(encoding="utf-8").splitlines() if SURVIVORS.exists() else []
    reasons = dict(line.split("\t") for line in told if "\t" in line)
    for name, result in results.items():
        if result == "survived":
            print(f"survived: {name}\n    {reasons.get(name, 'NO REASON')}")
    if any(result == "survived" and name not in reasons for name, result in results.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
