"""The page of a verdict: what may be believed, why, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from voxplain.report.figures import Printed, for_print, power_curves
from voxplain.report.html.sections import (
    Fact,
    Finding,
    Findings,
    Heading,
    Item,
    Page,
    Picture,
    Section,
    Table,
    Text,
)
from voxplain.report.words.numbers import MISSING
from voxplain.report.words.trust import OUTCOME_WORDS, figure, figure_text, rule_text, sentence
from voxplain.results.trust import Call, Measurement, MethodVerdict, TrustResult
from voxplain.results.trust import Finding as Tested

__all__ = ["power_figure", "trust_page", "trust_sections"]

Standing = Literal["good", "weak", "chance", "plain"]

_STANDING: Final[dict[Call, Standing]] = {
    "believe": "good",
    "believe with care": "weak",
    "do not believe": "chance",
    "not tested": "plain",
}
_HOW: Final = (
    "A method is not to be believed where one decisive test of it, or of the study, failed. It is "
    "to be believed with care where another test failed or a decisive one was not done. What was "
    "not tested is never counted as passed.",
    "Each test is held against its own null (shuffled truths, random maps as smooth, random "
    "networks) at 5 %, or against a threshold of the table of rules.",
)
_POWER: Final = (
    "How well the network tells the planted effect, how well each method's mean map finds it, and "
    "how far mean maps of different folds agree, by the number of scans. A ring marks the number "
    "from which on the network learns the effect and a method's map exceeds 95 % of random maps."
)
_CITED: Final = (
    "Maps were judged with voxplain {version}, rules edition {edition}: {tests}. Seed {seed}."
)


def trust_page(result: TrustResult) -> Page:
    """Assemble the page of a verdict.

    Parameters
    ----------
    result : TrustResult

    Returns
    -------
    Page
    """
    calls = [one.call for one in result.methods]
    facts = [
        Fact(str(calls.count(call)), call) for call in _STANDING if call in calls or call[0] == "b"
    ]
    return Page(
        "May the maps be believed?",
        f"Network {result.network}: {result.networks} trainings, {result.scans} scans, budget "
        f"{result.budget}.",
        tuple(trust_sections(result)),
        tuple(facts),
    )


def trust_sections(result: TrustResult) -> list[Section]:
    """Assemble the sections of a verdict, for its own page or a study's report.

    Parameters
    ----------
    result : TrustResult

    Returns
    -------
    list of Section
    """
    first = Finding("What the network knows", result.first, _first_standing(result))
    verdicts = [*_of_all(result), *(_verdict(one) for one in result.methods)]
    study: list[Item] = [_tests(result.study)] if result.study else [Text(("Nothing was tested.",))]
    methods: list[Item] = []
    for one in result.methods:
        methods += [Heading(f"{one.label}: {one.call}"), _tests(one.findings)]
    tested = [one.test for one in result.rules]
    cited = _CITED.format(
        version=result.versions.get("voxplain", MISSING),
        edition=result.edition,
        tests=", ".join(tested),
        seed=result.options.get("seed", MISSING),
    )
    return [
        Section("Verdict", "verdict", [Findings((first, *verdicts)), Text(_HOW)]),
        Section("The study", "study", study),
        Section("Method by method", "methods", methods),
        *_asides(result),
        Section("The rules", "rules", [_rules(result), Text((cited,))]),
    ]


def _asides(result: TrustResult) -> list[Section]:
    """Show what no rule judges: how many scans are needed, and layers without a planted effect."""
    power: list[Item] = []
    for one in result.asides:
        if one.test == "power":
            power.append(Text((one.words,)))
        if drawn := power_figure(one):
            power += [Picture(drawn.png, _POWER, one.words, drawn.svg), _passes(one)]
    layers = tuple(one.words for one in result.asides if one.test == "layers")
    found = [Section("How many scans are needed", "power", power)] if power else []
    return found + ([Section("Layer by layer", "layers", [Text(layers)])] if layers else [])


def power_figure(measured: Measurement) -> Printed | None:
    """Draw the power curve; None where there is none."""
    figures = measured.figures
    if measured.test != "power" or not figures.get("points"):
        return None
    with for_print() as made:
        png = power_curves(figures["points"], figures["labels"], figures["passes_from"])
    return Printed(made[0].svg, png)


def _passes(measured: Measurement) -> Table:
    """Say of each method with how many scans it finds the effect."""
    figures = measured.figures
    rows = tuple(
        (label, MISSING if (number := figures["passes_from"].get(name)) is None else number)
        for name, label in figures["labels"].items()
    )
    asked = ", ".join(str(one["scans"]) for one in figures["points"])
    caption = f"Number of scans from which on the mean map finds the effect, of {asked}"
    return Table(("method", "scans"), rows, caption=caption)


def _first_standing(result: TrustResult) -> Standing:
    outcomes = [one.outcome for one in result.study if one.rule.test.startswith("knowledge")]
    if "fail" in outcomes:
        return "chance"
    return "good" if outcomes and set(outcomes) == {"pass"} else "plain"


def _of_all(result: TrustResult) -> list[Finding]:
    """Say once what holds for all methods; where it is decisive, none is believed."""
    lost = any(one.outcome == "fail" and one.rule.weight == "decisive" for one in result.study)
    return [Finding("All methods", why, "chance" if lost else "weak") for why in result.of_study]


def _verdict(one: MethodVerdict) -> Finding:
    why = one.apart.removeprefix(f"{one.label}: {one.call}. ")
    return Finding(one.label, why, _STANDING[one.call], one.call)


def _tests(findings: Sequence[Tested]) -> Table:
    rows = tuple(
        (
            one.rule.title,
            OUTCOME_WORDS[one.outcome],
            figure_text(one.measurement),
            figure(one.measurement.chance),
            rule_text(one),
            sentence(one.measurement.words),
        )
        for one in findings
    )
    failed = frozenset(i for i, one in enumerate(findings) if one.outcome == "fail")
    return Table(
        ("test", "outcome", "figure", "chance", "rule", "in words"),
        rows,
        highlight=failed,
    )


def _rules(result: TrustResult) -> Table:
    rows = tuple((one.test, str(one), one.weight, one.failure, one.advice) for one in result.rules)
    return Table(
        ("test", "passed where", "weight", "a failure means", "what to do"),
        rows,
        caption=f"Rules, edition {result.edition}",
    )
