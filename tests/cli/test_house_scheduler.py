"""Tests that share what is made once run in one process, whatever pytest and xdist do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

newhooks = pytest.importorskip("xdist.newhooks")
HOOK = "pytest_xdist_make_scheduler"
TESTS = Path(__file__).parents[1]
GROUPS = (
    # Marked by name, in two files.
    ("tests/pipeline/test_demo.py::test_a", "tests/pipeline/test_demo_scores.py::test_b[1]"),
    # With a fixture of the module.
    ("tests/trust/test_trust_judgement.py::test_a", "tests/trust/test_trust_judgement.py::test_b"),
    # Cases of one test.
    ("tests/core/test_core_grid.py::test_a[RAS]", "tests/core/test_core_grid.py::test_a[oblique]"),
)
ALONE = [f"tests/core/test_core_grid.py::test_{number}" for number in range(20)]


class Worker:
    """Takes tests as a worker of xdist does."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.waiting: list[int] = []
        self.ran: list[str] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_tests_that_share_go_to_one_worker(request: pytest.FixtureRequest) -> None:
    assert hasattr(newhooks, HOOK)
    ours = request.config.pluginmanager.get_plugin(str(TESTS / "conftest.py"))
    asked = {"dist": "loadgroup", "tx": ["popen", "popen"]}
    config = SimpleNamespace(
        getoption=asked.get, getvalue=asked.get, option=SimpleNamespace(loadscopereorder=True)
    )
    scheduler = getattr(ours, HOOK)(config, None)
    # As collected, the members of a group lie apart.
    tests = [group[0] for group in GROUPS] + ALONE + [group[1] for group in GROUPS]
    workers = [Worker("one"), Worker("other")]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, tests)
    scheduler.schedule()
    while any(worker.waiting for worker in workers):
        for worker in workers:
            if worker.waiting:
                number = worker.waiting.pop(0)
                worker.ran.append(tests[number])
                scheduler.mark_test_complete(worker, number)
    assert sorted(workers[0].ran + workers[1].ran) == sorted(tests)
    for group in GROUPS:
        assert [set(group) <= set(worker.ran) for worker in workers].count(True) == 1, group
    # What takes longest comes first, and the rest is shared out.
    assert all(worker.ran[-1] in ALONE for worker in workers)
    assert all(len(worker.ran) > len(tests) / 3 for worker in workers)
    assert getattr(ours, HOOK)(SimpleNamespace(getoption={"dist": "load"}.get), None) is None
