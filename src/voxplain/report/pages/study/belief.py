"""Whether methods agree, whether maps show what the network uses, and the verdict's tests."""

from __future__ import annotations

from voxplain.report.html.sections import Cards, Item, NotRun, Picture, Table, Text
from voxplain.report.pages.study.captions import caption_of
from voxplain.report.pages.study.models import nested
from voxplain.report.pages.study.numbers import agreed, finding_of, removed, uncurved
from voxplain.report.pages.study.shown import Shown
from voxplain.report.pages.trust import trust_sections
from voxplain.report.words.cards import cards_of
from voxplain.report.words.numbers import correlation
from voxplain.report.words.trust import OUTCOME_WORDS, figure, figure_text, rule_text, sentence
from voxplain.results.study import StudyFound
from voxplain.results.trust import TrustResult

__all__ = ["agreement", "faithfulness", "trust_tests"]

_FAITHFUL = ("deletion", "faithfulness", "sanity")


def agreement(found: StudyFound, shown: Shown) -> list[Item]:
    """Show how far methods agree."""
    if not found.trust:
        return [NotRun("Agreement was not measured.", f"voxplain trust {found.path}")]
    labels, values = agreed(found.trust)
    if len(labels) < 2 or not values:
        return [
            NotRun(
                "Agreement was not measured: it takes the maps of two methods.",
                f"voxplain explain {found.path} --method NAME",
            )
        ]
    items: list[Item] = []
    if "agreement" in shown.pictures:
        caption = caption_of("agreement", found)
        items.append(Picture(shown.pictures["agreement"], caption, "Rank correlations of methods."))
    rows = tuple(
        (
            label,
            *(
                None if value is None else correlation(value)
                for value in (values.get((a, b), values.get((b, a))) for b in range(len(labels)))
            ),
        )
        for a, label in enumerate(labels)
    )
    items.append(Table(("", *labels), rows, caption="Rank correlation of mean maps"))
    said = [finding_of(one, "agreement") for one in found.trust.methods]
    items.append(
        Text(
            tuple(
                f"{one.label}: {sentence(f.measurement.words)}"
                for one, f in zip(found.trust.methods, said, strict=True)
                if f
            )
        )
    )
    items.append(Cards(cards_of(["agreement"])))
    return items


def faithfulness(found: StudyFound, shown: Shown) -> list[Item]:
    """Show what deletion costs, and whether maps depend on what was learnt."""
    if not found.trust:
        return [NotRun("Faithfulness was not measured.", f"voxplain trust {found.path}")]
    items: list[Item] = []
    if "removal" in shown.pictures and removed(found.trust):
        caption = caption_of("removal", found)
        alt = "Curves of deletion and insertion; the table below has their means."
        items.append(Picture(shown.pictures["removal"], caption, alt))
    if before := uncurved(found.trust):
        items.append(
            NotRun(
                f"Curves of {', '.join(before)} were not kept by the version that tested them.",
                f"voxplain trust {found.path} --replace",
            )
        )
    rows = _faithful(found.trust)
    if rows:
        items.append(
            Table(("method", "test", "outcome", "figure", "chance", "rule", "in words"), rows)
        )
    left = [
        one.label
        for one in found.trust.methods
        if not any(finding_of(one, test) for test in ("deletion", "faithfulness"))
    ]
    if left:
        items.append(
            NotRun(
                f"Deletion was not measured of {', '.join(left)}.",
                f"voxplain trust {found.path} --budget 1h",
            )
        )
    if rows:
        items.append(Cards(cards_of(_FAITHFUL)))
    return items


def _faithful(trust: TrustResult) -> tuple[tuple[object, ...], ...]:
    return tuple(
        (
            one.label,
            found.rule.title,
            OUTCOME_WORDS[found.outcome],
            figure_text(found.measurement),
            figure(found.measurement.chance),
            rule_text(found),
            sentence(found.measurement.words),
        )
        for one in trust.methods
        for found in (finding_of(one, test) for test in _FAITHFUL)
        if found
    )


def trust_tests(found: StudyFound, shown: Shown) -> list[Item]:
    """Show all tests of the verdict, and by which rules."""
    if not found.trust:
        return [NotRun("The maps were not tested.", f"voxplain trust {found.path}")]
    elsewhere = {"agreement", *_FAITHFUL}
    done = [
        one.rule.test
        for method in found.trust.methods
        for one in method.findings
        if one.measurement.value is not None and one.rule.test not in elsewhere
    ]
    items = nested(trust_sections(found.trust), without="")
    return [*items, Cards(cards)] if (cards := cards_of(done)) else items
