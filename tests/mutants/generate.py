"""Propose mutants of single lines: ``python tests/mutants/generate.py new.tsv``.

What is proposed is looked through and frozen in ``mutants.tsv``; the runner never makes any.
"""

from __future__ import annotations

import ast
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from locate import PACKAGE, Mutant, owners, write_list

SEED = 0
COMPARED = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.In: (" in ", " not in "),
    ast.NotIn: (" not in ", " in "), ast.Is: (" is ", " is not "), ast.IsNot: (" is not ", " is "),
}  # fmt: skip
REACHED = {ast.Lt: ("<", ">"), ast.Gt: (">", "<"), ast.LtE: ("<=", ">="), ast.GtE: (">=", "<=")}
JOINED = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
    ast.Pow: ("**", "*"), ast.MatMult: ("@", "*"),
}  # fmt: skip
RENAMED = {
    "train": "test", "test": "train", "min": "max", "max": "min", "minimum": "maximum",
    "maximum": "minimum", "mean": "sum", "std": "var", "var": "std", "argmin": "argmax",
    "argmax": "argmin", "median": "mean", "floor": "ceil", "ceil": "floor", "any": "all",
    "all": "any", "low": "high", "high": "low", "rows": "cols", "first": "last",
    "percentile_95": "median", "amin": "amax", "amax": "amin", "clamp_min": "clamp_max",
    "cumsum": "cumprod", "hstack": "vstack", "unique": "sort",
}  # fmt: skip
DROPPED = {"abs", "sqrt", "exp", "sorted", "relu", "square", "log", "flip", "norm"}
QUIET = {"strict", "stacklevel", "dtype", "encoding", "overwrite_x", "keepdim", "keepdims", "copy"}
TINY = 1e-4
"""Guards against a division by zero, whose size is nobody's business."""


def proposals(path: Path) -> Iterator[tuple[str, int, str, str]]:
    """Yield owner, position among equal lines, old and new line of each change to a file."""
    source = path.read_text(encoding="utf-8")
    lines, named = source.split("\n"), owners(source)
    seen: set[tuple[str, int, str, str]] = set()
    for line, start, end, text in _changes(ast.parse(source), source):
        old = lines[line - 1].encode()
        new = (old[:start] + text.encode() + old[end:]).decode().strip()
        stripped, owner = old.decode().strip(), named[line - 1]
        if new == stripped or "\t" in stripped:
            continue
        nth = sum(lines[i].strip() == stripped and named[i] == owner for i in range(line - 1))
        found = (owner, nth, stripped, new)
        if found not in seen:
            seen.add(found)
            yield found


def _changes(tree: ast.Module, source: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield line, first and last byte, and what is put there."""
    skipped = _skipped(tree)
    encoded = [line.encode() for line in source.split("\n")]

    def piece(node: ast.expr) -> str:
        return encoded[node.lineno - 1][node.col_offset : node.end_col_offset].decode()

    def between(left: ast.expr, right: ast.expr, swap: tuple[str, str]) -> tuple[int, int, str]:
        start, end = left.end_col_offset or 0, right.col_offset
        text = encoded[left.lineno - 1][start:end].decode()
        return start, end, text.replace(swap[0], swap[1], 1)

    for node in ast.walk(tree):
        if id(node) in skipped or getattr(node, "lineno", 0) != getattr(node, "end_lineno", -1):
            continue
        line = node.lineno  # type: ignore[attr-defined]
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            for table in (COMPARED, REACHED):
                swap = table.get(type(node.ops[0]))
                if swap:
                    yield line, *between(node.left, node.comparators[0], swap)
        elif isinstance(node, ast.BinOp) and type(node.op) in JOINED:
            yield line, *between(node.left, node.right, JOINED[type(node.op)])
        elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
            swap = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield line, *between(node.values[0], node.values[1], swap)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            if isinstance(node.operand, ast.Constant):
                skipped.add(id(node.operand))
            else:
                yield line, node.col_offset, node.end_col_offset or 0, piece(node.operand)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            if 0 < abs(node.value) < TINY:
                continue
            yield line, node.col_offset, node.end_col_offset or 0, _other(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in RENAMED:
            end = node.end_col_offset or 0
            yield line, end - len(node.attr), end, RENAMED[node.attr]
        elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if name in DROPPED:
                yield line, node.col_offset, node.end_col_offset or 0, f"({piece(node.args[0])})"


def _other(value: float | bool) -> str:
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        return str(value + 1)
    return repr(round(value * (0.9 if abs(value) < 1 else 1.2), 12) if value else 0.3)


def _skipped(tree: ast.Module) -> set[int]:
    """Collect nodes whose change says nothing: words, types, refusals, tables of names."""
    found: set[int] = set()

    def drop(node: ast.AST | None) -> None:
        if node is not None:
            found.update(id(child) for child in ast.walk(node))

    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
            drop(node)
        elif isinstance(node, ast.FunctionDef):
            drop(node.returns)
            for part in node.decorator_list:
                drop(part)
            every = [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]
            for argument in every:
                drop(argument.annotation)
        elif isinstance(node, ast.ClassDef):
            for part in node.decorator_list:
                drop(part)
        elif isinstance(node, ast.AnnAssign):
            drop(node.annotation)
        elif isinstance(node, ast.keyword) and node.arg in QUIET:
            drop(node.value)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("warn", "simplefilter", "cast"):
                drop(node)
        elif isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            drop(node)
    return found


T, F, C, A, P = (
    "tests/trust/test_trust_",
    "tests/fit/test_fit",
    "tests/cohort/test_cohort_",
    "tests/attribution/test_explain_",
    "tests/phantom/test_phantom",
)
PLAN: list[tuple[str, int, str]] = [
    ("trust/agreement.py", 14, f"{T}agreement.py"),
    ("trust/truth/chance.py", 14, f"{T}chance.py {T}localisation.py"),
    ("trust/truth/controls.py", 12, f"{T}controls.py"),
    ("trust/fields.py", 12, f"{T}localisation.py {T}chance.py {T}agreement.py"),
    ("trust/truth/localisation.py", 10, f"{T}localisation.py"),
    ("trust/masks.py", 9, f"{T}masks.py"),
    ("trust/ranks.py", 5, f"{T}localisation.py {T}agreement.py"),
    ("trust/truth/verdict.py", 6, f"{T}verdict.py"),
    ("group/aggregate.py", 6, "tests/group/test_group_aggregate.py"),
    ("group/contrast.py", 12, "tests/group/test_group_contrast.py"),
    ("group/regions.py", 12, "tests/group/test_group_regions.py"),
    ("fit/confounds.py", 14, f"{F}_held_out.py {F}_rivals.py"),
    ("fit/groups.py", 8, f"{F}_splits.py"),
    ("fit/inference.py", 14, f"{F}_scores.py tests/pipeline/test_score_intervals.py"),
    ("fit/metrics.py", 16, f"{F}_scores.py {F}.py"),
    ("fit/morphometry.py", 10, f"{F}_held_out.py {F}_rivals.py"),
    ("fit/outcome.py", 5, f"{F}_splits.py {F}_rivals.py"),
    ("fit/splits.py", 12, f"{F}_splits.py {F}.py"),
    ("fit/voxels.py", 16, f"{F}_rivals.py"),
    ("fit/training/objective.py", 6, f"{F}_training.py {F}.py"),
    ("fit/training/schedule.py", 6, f"{F}_training.py {F}.py"),
    ("cohort/prepare/intensity.py", 8, f"{C}intensity.py {C}preprocess.py"),
    ("cohort/prepare/resampling.py", 8, f"{C}resampling.py {C}preprocess.py"),
    ("cohort/prepare/preprocess.py", 8, f"{C}preprocess.py"),
    ("cohort/prepare/carrying.py", 10, f"{C}carrying.py"),
    ("cohort/prepare/background.py", 8, f"{C}background.py"),
    ("cohort/check/balance.py", 8, f"{C}store.py {C}separation.py"),
    ("cohort/check/separation.py", 12, f"{C}separation.py"),
    ("cohort/check/quality.py", 10, f"{C}quality.py"),
    ("cohort/find/labels.py", 8, f"{C}participants.py {C}sources.py"),
    (
        "attribution/network/target.py",
        10,
        f"{A}arguments.py {A}probe.py {A}gradients.py {A}objectives.py",
    ),
    ("attribution/methods/cams/grad_cam.py", 3, f"{A}cams.py"),
    ("attribution/methods/cams/grad_cam_plus_plus.py", 5, f"{A}cams.py"),
    ("attribution/methods/gradients/smoothgrad.py", 6, f"{A}smoothgrad.py"),
    ("attribution/methods/gradients/integrated_gradients.py", 6, f"{A}gradients.py"),
    ("attribution/methods/replacement/occlusion.py", 6, f"{A}replacement.py"),
    (
        "attribution/methods/replacement/rise.py",
        6,
        f"{A}replacement.py tests/cli/test_explain_sums.py",
    ),
    ("attribution/methods/replacement/shapley.py", 6, f"{A}regions.py"),
    ("attribution/methods/masks/objective.py", 8, f"{A}objectives.py {A}perturbation.py"),
    ("attribution/methods/masks/adam.py", 5, f"{A}perturbation.py"),
    ("attribution/methods/masks/area.py", 6, f"{A}extremal.py"),
    ("attribution/methods/relevance/rules.py", 10, f"{A}lrp.py"),
    ("attribution/methods/reference.py", 8, f"{A}perturbation.py {A}replacement.py"),
    ("attribution/ensemble.py", 5, f"{A}ensemble.py"),
    ("attribution/examine/layers.py", 8, f"{A}layers.py"),
    ("attribution/examine/checks.py", 6, f"{A}layers.py {A}probe.py"),
    ("grid.py", 12, "tests/core/test_core_grid.py"),
    ("volume.py", 10, "tests/core/test_core_volume.py"),
    ("tables/columns.py", 10, "tests/core/test_core_columns.py"),
    ("tables/numerals.py", 8, "tests/core/test_core_columns.py"),
    ("trust/truth/places.py", 10, f"{T}places.py"),
    ("trust/truth/judgement.py", 8, f"{T}judgement.py"),
    ("trust/truth/figures.py", 8, f"{T}judgement.py {T}places.py"),
    ("trust/truth/singly.py", 6, f"{T}judgement.py"),
    ("trust/truth/resampling.py", 6, f"{T}judgement.py"),
    ("trust/faithfulness/removal.py", 10, f"{T}faithfulness.py"),
    ("trust/faithfulness/imputation.py", 8, f"{T}faithfulness.py"),
    ("trust/faithfulness/fidelity.py", 8, f"{T}faithfulness.py"),
    ("trust/faithfulness/regions.py", 5, f"{T}faithfulness.py"),
    ("trust/sanity/randomisation.py", 8, f"{T}sanity.py"),
    ("trust/sanity/complexity.py", 5, f"{T}sanity.py"),
    ("trust/stability/stability.py", 6, f"{T}stability.py"),
    ("trust/stability/subjects.py", 6, f"{T}stability.py"),
    ("trust/surrogates.py", 8, f"{T}agreement.py {T}envelope.py"),
    ("trust/meta.py", 8, f"{T}meta.py"),
    ("trust/pattern.py", 6, f"{T}pattern.py"),
    ("phantom/effects.py", 8, f"{P}.py {P}_scenarios.py"),
    ("phantom/growth.py", 8, f"{P}_growth.py"),
    ("phantom/maker.py", 8, f"{P}_scenarios.py {P}_growth.py"),
    ("phantom/scenario.py", 6, f"{P}_scenarios.py"),
    ("phantom/scenarios.py", 8, f"{P}_scenarios.py"),
    ("phantom/patterns.py", 6, f"{P}_scenarios.py"),
    ("phantom/spike.py", 8, f"{P}_spike.py"),
    ("phantom/division.py", 8, f"{P}_spike.py"),
    ("attribution/methods/gradients/pattern.py", 6, f"{A}pattern.py"),
    ("attribution/methods/gradients/recommended.py", 5, f"{A}pattern.py"),
    ("attribution/methods/gradients/smoothing.py", 5, f"{A}pattern.py {A}smoothgrad.py"),
    ("attribution/variation.py", 8, f"{A}pattern.py"),
    ("pipeline/demo/judge.py", 8, "tests/pipeline/test_demo_scores.py"),
]


def main() -> None:
    """Write as many proposals of each file of the plan as it asks for."""
    out: list[Mutant] = []
    for file, count, tests in PLAN:
        every = [*proposals(PACKAGE / file)]
        chosen = sorted(random.Random(f"{SEED} {file}").sample(every, min(count, len(every))))
        out += [Mutant(file, *one, tests) for one in chosen]  # type: ignore[arg-type]
    write_list(out, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
