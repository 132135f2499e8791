"""Rules: how figures are judged, what verdicts follow, and what files of rules may say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxplain.errors import InputError
from voxplain.results.trust import Finding, Measurement, MethodVerdict, TrustResult
from voxplain.trust.rules import RULES, apply, judge_method, read_rules


def finding(test: str, outcome: str) -> Finding:
    """A finding of a rule with the outcome that is asked for."""
    rule = RULES[test]
    threshold = 0.5 if rule.threshold is None else rule.threshold
    step = 1.0 if rule.direction == "at most" else -1.0
    value = {"pass": threshold, "fail": threshold + step, "not tested": None}[outcome]
    method = None if rule.scope == "study" else "gradient"
    found = apply(Measurement(test, method, value, "So it is.", limit=0.5))
    assert found.outcome == outcome
    return found


def verdict(own: dict[str, str], study: dict[str, str]) -> MethodVerdict:
    return judge_method(
        "gradient",
        "Gradient",
        [finding(*one) for one in own.items()],
        [finding(*one) for one in study.items()],
    )


@pytest.mark.parametrize(
    ("test", "value", "limit", "outcome"),
    [
        ("knowledge-chance", 0.05, None, "pass"),
        ("knowledge-chance", 0.0501, None, "fail"),
        ("reproduced", 0.8, None, "pass"),
        ("reproduced", 0.79, None, "fail"),
        ("stability", 0.3, 0.3, "pass"),
        ("stability", 0.29, 0.3, "fail"),
        ("confounded", 0.31, 0.3, "fail"),
        ("stability", 0.3, None, "not tested"),
        ("stability", None, 0.3, "not tested"),
        ("sanity", float("nan"), None, "not tested"),
    ],
)
def test_a_figure_is_judged(
    test: str, value: float | None, limit: float | None, outcome: str
) -> None:
    assert apply(Measurement(test, "gradient", value, "", limit=limit)).outcome == outcome


@pytest.mark.parametrize("test", ["deletion", "faithfulness"])
def test_deletion_is_judged_of_three_scans_or_more(test: str) -> None:
    """One scan's map may lose against all random maps in a study in which nothing is wrong."""
    lost = Measurement(test, "gradient", 0.98, "It costs less.", figures={"scans": 1})
    found = apply(lost)
    assert (found.outcome, found.measurement.value) == ("not tested", 0.98)
    assert found.measurement.words == "It costs less. Of 1 scan; 3 are needed."
    assert "Of 2 scans; 3" in apply(replace(lost, figures={"scans": 2})).measurement.words
    assert apply(replace(lost, figures={"scans": 3})).outcome == "fail"
    assert apply(replace(lost, figures={})).outcome == "fail"
    assert str(RULES[test]).endswith(", of 3 scans or more")


def test_every_rule_says_what_a_failure_means_and_what_to_do() -> None:
    for name, rule in RULES.items():
        assert rule.test == name
        for text in (rule.failure, rule.advice):
            assert text[0].isupper()
            assert text.endswith(".")
        assert (rule.weight, rule.scope)[0] in ("decisive", "care")


def test_one_decisive_failure_of_the_method_or_the_study_is_enough() -> None:
    good = {"provenance": "pass", "sanity": "pass"}
    assert verdict(good, {"knowledge-chance": "pass"}).call == "believe"
    assert verdict(good, {"knowledge-chance": "fail"}).call == "do not believe"
    lost = verdict(good | {"sanity": "fail", "stability": "fail"}, {})
    assert lost.call == "do not believe"
    assert RULES["sanity"].failure.rstrip(".") in lost.sentence
    assert lost.of_study == ""
    both = verdict(good | {"sanity": "fail"}, {"knowledge-chance": "fail"})
    begin, _, own = both.sentence.partition(both.of_study)
    assert begin.endswith(": do not believe. ")
    assert RULES["knowledge-chance"].failure.rstrip(".") in both.of_study
    assert own.strip().startswith(RULES["sanity"].failure.rstrip("."))


def test_what_was_not_tested_is_never_passed() -> None:
    partly = verdict({"provenance": "pass", "spike-in": "not tested"}, {"knowledge-chance": "pass"})
    assert partly.call == "believe with care"
    assert partly.sentence.endswith("Not tested: spike-in.")
    # Tests that only ask for care, and tests of the study alone, make no method tested.
    nothing = verdict({"spike-in": "not tested", "stability": "pass"}, {"knowledge-chance": "pass"})
    assert nothing.call == "not tested"
    careful = verdict({"provenance": "pass", "stability": "fail"}, {})
    assert careful.call == "believe with care"
    assert "So it is; rule: at least 0.5" in careful.sentence
    left = verdict({"provenance": "pass", "stability": "not tested"}, {})
    assert left.call == "believe"
    assert left.sentence.endswith("All tests that were done were passed. Not tested: stability.")


def test_what_nothing_speaks_for_is_not_believed_with_care() -> None:
    """Two tests that ask for care failed, and no planted effect was looked for."""
    good = {"provenance": "pass", "null-maps": "pass", "stability": "fail"}
    bad = good | {"null-maps": "fail"}
    unknown = {"spike-in": "not tested"}
    assert verdict(good | unknown, {}).call == "believe with care"
    against = verdict(bad | unknown, {})
    assert against.call == "not tested"
    assert "failed null-maps and stability, and no planted effect has shown" in against.sentence
    assert against.sentence.endswith("Not tested: spike-in.")
    assert verdict(bad | {"spike-in": "pass"}, {}).call == "believe with care"
    assert verdict(bad | {"spike-in": "fail"}, {}).call == "do not believe"
    # Without the rule there is nothing that was left out; the study's own tests are no method's.
    assert verdict(bad, {}).call == "believe with care"
    assert verdict(good | unknown, {"left-right": "fail"}).call == "believe with care"


@pytest.mark.parametrize(
    ("calls", "code"),
    [
        (["believe", "believe with care"], 0),
        (["believe", "not tested"], 4),
        (["do not believe", "not tested"], 3),
        ([], 4),
    ],
)
def test_exit_codes(calls: list[str], code: int) -> None:
    methods = tuple(MethodVerdict(c, c, c, c, ()) for c in calls)  # type: ignore[arg-type]
    result = TrustResult("n", "", (), methods, (), "1", (), 1, 1, "10m", 0.0, {}, {})
    assert result.exit_code == code


def test_rules_of_ones_own() -> None:
    changed = read_rules(
        {"sanity": {"threshold": 0.4, "weight": "care"}, "left-right": {"off": True}}
    )
    assert [*changed] == [name for name in RULES if name != "left-right"]
    assert changed["sanity"] == replace(RULES["sanity"], threshold=0.4, weight="care")
    assert changed["grid"] is RULES["grid"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"santy": {}}, "'santy' that is not known; did you mean 'sanity'"),
        ({"sanity": 0.3}, "'sanity' must say a threshold, a weight or off; 0.3 was given"),
        ({"sanity": {"limit": 1}}, "may change threshold, weight, off; 'limit' was given"),
        ({"sanity": {"threshold": "low"}}, "threshold of 'sanity' must be a finite number"),
        ({"sanity": {"threshold": True}}, "must be a finite number; True was given"),
        ({"sanity": {"weight": "heavy"}}, "must be decisive or care; 'heavy' was given"),
        ({"sanity": {"off": 1}}, "must be true or false; got 1"),
    ],
)
def test_bad_rules_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_rules(given)


def test_a_measurement_without_a_rule_is_refused() -> None:
    with pytest.raises(InputError, match="no rule for the test 'power'"):
        apply(Measurement("power", None, 1.0, ""))
