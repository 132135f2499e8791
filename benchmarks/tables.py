"""``python -m benchmarks.tables``: random tables of participants, each with a known truth.

Counts what becomes of them: read rightly, refused in a sentence where nobody could tell, or wrong
(another label, age or person than the truth, a traceback, or the refusal of a plain table). Run
with ``PYTHONPATH`` on another checkout's ``src``, it says the same of that version.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).parents[1] / "tests/cohort"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables")
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0, help="of the first table")
    options = parser.parse_args()
    grammar = _grammar()
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.inputs):
        folder = Path(tempfile.mkdtemp())
        outcome, why = grammar.judge(grammar.make_table(seed), folder)
        shutil.rmtree(folder)
        outcomes[outcome] += 1
        if outcome == "wrong":
            reasons[why.split(":")[0][:60]] += 1
            print(f"seed {seed}: {why[:200]}")
    for why, count in reasons.most_common():
        print(f"{count:6d}  {why}")
    print(f"{options.inputs} tables: {dict(outcomes)}")
    sys.exit(1 if outcomes["wrong"] else 0)


def _grammar() -> ModuleType:
    sys.path.insert(0, str(TESTS))
    return importlib.import_module("table_grammar")


if __name__ == "__main__":
    main()
