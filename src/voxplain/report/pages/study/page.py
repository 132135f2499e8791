"""The report of a study: the declared list of its sections, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxplain.report.html.sections import Fact, Item, Page, Section
from voxplain.report.pages.study.belief import agreement, faithfulness, trust_tests
from voxplain.report.pages.study.maps import group, maps, truth
from voxplain.report.pages.study.methods import methods
from voxplain.report.pages.study.models import accuracy, features, masked
from voxplain.report.pages.study.opening import asked, verdict
from voxplain.report.pages.study.regions import regions
from voxplain.report.pages.study.repeat import repeat
from voxplain.report.pages.study.shown import Shown
from voxplain.report.pages.study.subjects import subjects
from voxplain.report.words.scores import score_text, score_value
from voxplain.results.study import StudyFound

__all__ = ["PARTS", "Part", "Shown", "study_page"]


@dataclass(frozen=True)
class Part:
    """A section of the report.

    Parameters
    ----------
    title, anchor : str
    items : callable
        From what the study holds and what is shown of it to items; none leave the section out.
    """

    title: str
    anchor: str
    items: Callable[[StudyFound, Shown], list[Item]]


PARTS: Final = (
    Part("The verdict", "verdict", verdict),
    Part("What was asked", "asked", asked),
    Part("Accuracy beside its controls", "accuracy", accuracy),
    Part("The maps", "maps", maps),
    Part("The maps against the truth", "truth", truth),
    Part("Group statistics", "group", group),
    Part("Regions", "regions", regions),
    Part("Agreement between methods", "agreement", agreement),
    Part("Faithfulness", "faithfulness", faithfulness),
    Part("Masked scans", "masked", masked),
    Part("Feature maps", "features", features),
    Part("Trust tests", "trust", trust_tests),
    Part("Single scans", "scans", subjects),
    Part("Methods, as a paper tells them", "methods", methods),
    Part("How to repeat it", "repeat", repeat),
)
"""Add a part here, and it is on the page."""


def study_page(found: StudyFound, shown: Shown) -> Page:
    """Assemble the report of a study.

    Parameters
    ----------
    found : StudyFound
    shown : Shown

    Returns
    -------
    Page
    """
    made = [(part, part.items(found, shown)) for part in PARTS]
    sections = tuple(Section(part.title, part.anchor, items) for part, items in made if items)
    return Page(f"Report of {found.name}", _subtitle(found), sections, _facts(found))


def _subtitle(found: StudyFound) -> str:
    network = found.fit.first.name if found.fit else ""
    said = [f"{found.cohort.scans} scans"] if found.cohort else []
    said += [f"network {network}"] if network else []
    labels = list(dict.fromkeys(one.label for one in found.means))
    said += [f"maps by {', '.join(labels)}"] if labels else []
    return ", ".join(said) + "." if said else "Nothing was run yet."


def _facts(found: StudyFound) -> tuple[Fact, ...]:
    facts = []
    if found.cohort:
        classes = ", ".join(f"{count} {name}" for name, count in found.cohort.classes.items())
        facts.append(Fact(str(found.cohort.scans), "scans", classes))
    if found.fit:
        score = found.fit.first.judged.scores[found.fit.main]
        bounds = " to ".join(score_text(bound, found.fit.main) for bound in score.ci)
        label = f"held-out {found.fit.main.replace('_', ' ')} of {found.fit.first.name}"
        value = score_text(score_value(score), found.fit.main)
        facts.append(Fact(value, label, f"95 % interval {bounds}"))
    if found.means:
        facts.append(Fact(str(len({one.label for one in found.means})), "methods of explanation"))
    if found.trust:
        calls = [one.call for one in found.trust.methods]
        good = sum(call.startswith("believe") for call in calls)
        facts.append(
            Fact(
                f"{good} of {len(calls)}",
                "methods may be believed",
                "some with care" if "believe with care" in calls else "",
            )
        )
    odd = sum(one.urgency > 0 for one in found.scans)
    if found.scans:
        facts.append(Fact(str(odd), "scans to look at", "see Single scans"))
    return tuple(facts)
