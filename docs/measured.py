"""Tables of the docs that are taken from the code and from what ``benchmarks/`` measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.figures import read, short
from docs.of_groups import OF_GROUPS
from docs.of_verdicts import OF_VERDICTS
from voxplain.report.words.cards import CARDS
from voxplain.trust.rules import EDITION, RULES

__all__ = ["PAGES", "filled"]

PAGES = ("performance.md", "evidence.md", "verdict.md", "measures.md", "group.md", "regions.md")
OURS = "voxplain"
WORDS = {
    "forward": "forward pass",
    "grad-cam": "Grad-CAM",
    "guided-backprop": "guided backpropagation",
    "gradient": "gradient",
    "smoothgrad": "SmoothGrad, 16 samples",
    "integrated-gradients": "integrated gradients, 32 steps",
}
# Batches in which the table's rows were run.
BATCH = 8


def filled(path: Path) -> str:
    """Return a page with each ``<!-- table: NAME -->`` block made anew."""
    text = path.read_text(encoding="utf-8")

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{TABLES[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", block, text, flags=re.DOTALL)


def speed() -> str:
    """Compare voxplain with its peers, at this version, checks of the network included."""
    rows = _rows(read("results.json"))
    lines = [
        "| | voxplain | of it checks | fastest peer | others | ratio | checks aside |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, words in WORDS.items():
        ours = rows[method][OURS]
        peers = _peers(rows[method])
        (fastest, best), *others = peers
        further = ours["ms_per_further_image"]
        checks = "–" if further is None else _ms(ours["ms_per_image"] - further)
        aside = "–" if further is None else f"{best / further:.2f}"
        told = ", ".join(f"{tool} {_ms(ms)}" for tool, ms in others)
        lines.append(
            f"| {words} | {_ms(ours['ms_per_image'])} | {checks} | {_ms(best)} ({fastest}) | "
            f"{told} | {best / ours['ms_per_image']:.2f} | {aside} |"
        )
    return "\n".join(lines)


def checks() -> str:
    """Say what comes once a run, what each scan costs, and from when on a ratio of 3 is reached."""
    rows = _rows(read("results.json"))
    lines = [
        "| | once a run, ms | each scan, ms | fastest peer, ms | 3 times as fast from |",
        "|---|---|---|---|---|",
    ]
    for method, words in WORDS.items():
        ours = rows[method][OURS]
        once, each = ours["ms_of_checks"], ours["ms_per_further_image"]
        if once is not None:
            best = _peers(rows[method])[0][1]
            lines.append(
                f"| {words} | {once:.0f} | {_ms(each)} | {_ms(best)} | {_from(once, each, best)} |"
            )
    return "\n".join(lines)


def _from(once: float, each: float, best: float, asked: float = 3) -> str:
    """Say from how many scans on a peer takes `asked` times as long."""
    if best <= asked * each:
        return "never"
    count = math.ceil(asked * once / (best - asked * each))
    return f"{count} scan{'s' * (count > 1)}"


def localisation() -> str:
    """Tell how well each method finds the effect of the demo's phantom."""
    found = read("localisation.json")
    lines = [
        "| method | subjects | group map | one subject |",
        "|---|---|---|---|",
    ]
    ranked = sorted(found["methods"].values(), key=lambda m: -m["group_ap"])
    lines += [
        f"| {m['label']} | {m['subjects']} | {short(m['group_ap'])} | {short(m['subject_ap'])} |"
        for m in ranked
    ]
    lines += [
        f"| *{control['label']}* | | {short(control['group_ap'])} | |"
        for control in found["controls"].values()
    ]
    lines.append(f"| *Chance* | | {short(found['chance_ap'], 3)} | |")
    return "\n".join(lines)


def cards() -> str:
    """Write the evaluation cards of the measures."""
    told = []
    for card in CARDS:
        rows = [f"| **{what}** | {_cell(words)} |" for what, words in card.rows]
        told.append(
            "\n".join([f"### {card.title}: {card.functions}", "", "| | |", "|---|---|", *rows])
        )
        told += [card.note] * bool(card.note)
    return "\n" + "\n\n".join(told) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


_COUNTED = dict.fromkeys(("relu", "masks"), "none, by construction")
"""Of rules that count what is there: where nothing is wrong, the count is what it must be."""


def rules() -> str:
    """Tell by which rules a study is judged."""
    head = "| test | figure | must be | weight | what a failure means | wrong alarms |"
    lines = [head, "|---|---|---|---|---|---|"]
    drawn, clean = read("false_alarms.json"), read("mutation.json")["failed_of_tested"]
    for rule in RULES.values():
        limit = "its null's limit" if rule.threshold is None else f"{rule.threshold:g}"
        limit += f", of {rule.scans} scans or more" * (rule.scans > 1)
        cells = (f"`{rule.test}`", rule.statistic, f"{rule.direction} {limit}", rule.weight)
        alarms = [_COUNTED[rule.test]] if rule.test in _COUNTED else []
        if rule.test in drawn:
            one = drawn[rule.test]
            alarms.append(f"{one['failed']} of {one['draws']} drawn")
        if rule.test in clean:
            failed, tested = clean[rule.test]
            alarms.append(f"{failed} of {tested} clean")
        told = ", ".join(alarms) or "not measured"
        lines.append(f"| {' | '.join(cells)} | {rule.failure} | {told} |")
    return f"Edition {EDITION}.\n\n" + "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "speed": speed,
    "checks": checks,
    "localisation": localisation,
    "rules": rules,
    **OF_GROUPS,
    **OF_VERDICTS,
    "cards": cards,
}


def _rows(results: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Sort rows of batches of 8 by method and tool."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in results["rows"]:
        if row["batch"] == BATCH:
            found.setdefault(row["method"], {})[row["tool"]] = row
    return found


def _peers(tools: dict[str, dict[str, Any]]) -> list[tuple[str, float]]:
    """Others' times of one method in ms, the fastest first."""
    peers = [(t, row["ms_per_image"]) for t, row in tools.items() if not t.startswith(OURS)]
    return sorted(peers, key=lambda peer: peer[1])


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
