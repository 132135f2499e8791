"""Parts of a study's report, each of a study that has it or has it not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from report_results import fit_result, reclassify_result
from test_explain_page import PNG, judged  # noqa: F401 - a fixture
from test_features_page import features_of
from test_fit_page import fit_of
from test_reclassify_page import WHOLE, part_of

from voxplain.attribution.methods import METHODS
from voxplain.pipeline.report import pictures
from voxplain.pipeline.report.reading import method_told
from voxplain.progress import Silent
from voxplain.report import figures
from voxplain.report.html.render import render
from voxplain.report.html.sections import Findings, Item, NotRun, Page, Section, Table
from voxplain.report.pages.explain import _table
from voxplain.report.pages.study import belief, maps, methods, models, opening, repeat, subjects
from voxplain.report.pages.study.captions import caption_of
from voxplain.report.pages.study.page import PARTS, study_page
from voxplain.report.pages.study.regions import regions
from voxplain.report.pages.study.shown import Shown
from voxplain.report.pages.trust import trust_sections
from voxplain.report.words.cards import cards_of
from voxplain.report.words.judgement import JUDGED_COLUMNS, judged_rows
from voxplain.report.words.references import bibtex
from voxplain.report.words.trust import figure_text
from voxplain.results.judgement import JudgedMap
from voxplain.results.regions import RegionList, RegionValue
from voxplain.results.saved import fit_of as fit_read
from voxplain.results.saved import judged_maps_of, reclassify_of
from voxplain.results.study import CohortFound, GroupTest, MeanMap, ScanFound, StudyFound
from voxplain.results.summary import fit_json, judged_maps_json, reclassify_json
from voxplain.results.trust import Finding, Measurement, MethodVerdict, Rule, TrustResult
from voxplain.study import Study

BARE = StudyFound("s", "a study")
TOLD_FIT = fit_of() | {"ceiling": 0.9, "class_counts": [20, 20]}
FIT = fit_result(TOLD_FIT)
COHORT = CohortFound(24, {"a": 12, "b": 12}, "2 mm", "8 mm", {"subjects": 20})
MASKED = part_of() | {"overlap": {"joint": {"precision": 0.25, "sensitivity": 0.75}}}


def text(items: list[Item]) -> str:
    return render(Page("T", "S", (Section("One", "one", items or [NotRun("-")]),)))


def told_again(content: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(content))


def test_results_are_the_same_read_back(judged: list[JudgedMap]) -> None:  # noqa: F811
    masked = reclassify_result(MASKED)
    assert reclassify_of(told_again(reclassify_json(masked))) == as_json(masked)
    again = judged_maps_of(told_again(judged_maps_json("mrinet", judged)))
    assert again == tuple(judged)
    fit = fit_read(told_again(fit_json(FIT)))
    assert fit.confounds == FIT.confounds
    assert fit.models["mrinet"].network == FIT.models["mrinet"].network
    assert fit.models["voxels, linear SVC"].network is None
    unmatched = replace(FIT, confounds=replace(FIT.confounds, matched=None))
    assert fit_read(told_again(fit_json(unmatched))).confounds == unmatched.confounds


def as_json(result: Any) -> Any:
    """Tuples of options are lists in a file."""
    return replace(result, options=told_again(result.options))


def test_masked_scans_and_feature_maps_are_on_the_page() -> None:
    found = replace(BARE, reclassify=reclassify_result(MASKED), features=features_of())
    shown = Shown({"reclassify": PNG, "masks": PNG, "contrasts": PNG})
    page = text(models.masked(found, shown))
    assert page.count("<img") == 2
    assert "The place of the mask counts" in page
    assert "0.900" in page
    assert WHOLE in page
    assert text(models.masked(found, Shown())).count("<img") == 0
    page = text(models.features(found, shown))
    assert page.count("<img") == 1
    assert "5 of 32 feature maps differ in mean activation" in page
    assert caption_of("reclassify", found) == (
        "Accuracy on whole and on masked held-out scans, control and case, with 95 % intervals."
    )


def test_accuracies_of_masked_scans_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(figures, "model_scores", lambda *told: seen.append(told) or PNG)
    found = replace(BARE, reclassify=reclassify_result(MASKED | {"ceiling": 0.93}))
    drawn, printed = pictures.draw_pictures(found, None, None, Silent(), False)
    assert (drawn, printed) == ({"reclassify": PNG}, {})
    ((rows, measure, chance, ceiling),) = seen
    assert {row.label: row.value for row in rows}["joint mask"] == 0.9
    assert (measure, chance, ceiling) == ("accuracy", 0.5, 0.93)
    study = Study(tmp_path, "voxplain study", "0")
    study.write_bytes("model/mrinet/features.png", b"\x89PNG\r\n\x1a\n...")
    study.write_bytes("figures/reclassify-masks.png", b"no picture")
    held = pictures.kept_pictures(study, replace(found, features=features_of()))
    assert [*held] == ["contrasts"]


def test_curves_are_drawn_of_what_has_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "model_scores", lambda *told: PNG)
    numbers = replace(BARE, fit=fit_result(fit_of(())))
    drawn, _ = pictures.draw_pictures(numbers, None, None, Silent(), False)
    assert set(drawn) == {"scores"}


def test_maps_without_a_value_are_not_drawn() -> None:
    means = (MeanMap("gradient", "Gradient", "case", 3, "a", "logit"),)
    place = SimpleNamespace(anatomy=None, grid=None, cortex=object(), brain=None)
    empty: Any = SimpleNamespace(
        place=place, means=means, values={"a": np.zeros((2, 2, 2))}, label=lambda one: one.label
    )
    assert pictures._of_maps(replace(BARE, means=means), empty, None) == {}


def test_maps_that_were_judged_stand_on_the_page(judged: list[JudgedMap]) -> None:  # noqa: F811
    assert maps.truth(BARE, Shown()) == []
    table, _, _ = maps.truth(replace(BARE, judged=tuple(judged)), Shown())
    assert table.columns == JUDGED_COLUMNS
    assert table.rows == tuple(judged_rows(judged))
    assert table.rows[0][1] == 0.612


def a_test(null: str = "permutation", effect: str = "a - b", **told: object) -> GroupTest:
    found = {"voxel": {"smallest_p": 0.2, "voxels_05": 0, "positive_05": 0}}
    content = {
        "effect": effect, "found": found, "scans": 24, "voxels": 900, "permutations": 99,
        "null": null, "confidence": 0.95, "true_voxels": 7, "clusters": [], "blocks": "No blocks.",
    }  # fmt: skip
    return GroupTest("group/one", "Gradient", "case", content | told, {"model": "class"})


def test_how_a_group_was_tested_is_told() -> None:
    arranged, studies = a_test(), a_test("labels", permutations=19)
    for test, said in (
        (arranged, "by 99 arrangements of the scans, the nuisance taken out after Freedman and"),
        (studies, "against 19 studies whose networks learnt nothing"),
        (a_test(effect="mean"), "by 99 changes of the maps' signs [@winkler2014]"),
    ):
        assert said in " ".join(methods.methods_text(replace(BARE, tests=(test,))))
    page = text(maps.group(replace(BARE, tests=(arranged,)), Shown()))
    assert "At least 7 voxels truly differ (confidence 95 %)" in page
    assert "<table" not in page
    assert "truly differ" not in text(maps.group(replace(BARE, tests=(studies,)), Shown()))


def test_a_study_with_nothing_in_it_says_so() -> None:
    assert opening.verdict_sentence(BARE)[0] == "The study holds no cohort and no network yet."
    (none,) = opening.asked(BARE, Shown())
    assert (none.what, none.command) == ("The study has no cohort.", "voxplain cohort --help")
    assert opening._question(BARE) == ""
    assert opening._flow(BARE).rows == ()
    (none,) = subjects.subjects(BARE, Shown())
    assert none.what == "There are no scans to show."
    assert methods.methods_text(BARE) == [
        "All was done with voxplain [@voxplain] (version unknown)."
    ]
    page = study_page(BARE, Shown())
    assert page.facts == ()
    assert len(page.sections) == len(PARTS) - 1
    assert repeat.repeat(BARE, Shown())[1].text == "voxplain report 'a study'"


def test_a_cohort_alone_lacks_a_network() -> None:
    found = replace(BARE, cohort=COHORT)
    assert [one.value for one in study_page(found, Shown()).facts] == ["24"]
    *_, last = opening.asked(found, Shown())
    assert (last.what, last.command) == ("No network was trained.", "voxplain fit a study")
    folds = replace(COHORT, folds=(("1", (3, 4)),))
    heading, table = opening.asked(replace(found, cohort=folds), Shown())[-2:]
    assert (heading.text, table.rows) == ("Folds", (("fold 1", 3, 4),))


def test_confounds_and_models_without_a_network_are_told() -> None:
    said = methods.methods_text(replace(BARE, fit=FIT, cohort=COHORT))[1]
    assert "Linear models of brain ml and site id alone served as controls." in said
    assert "Beside them stand voxels, linear SVC" in said
    page = text(models.accuracy(replace(BARE, fit=FIT), Shown()))
    assert "There is no model on voxels to compare with." not in page
    alone = replace(FIT, models={"mrinet": FIT.models["mrinet"]}, importances=())
    page = text(models.accuracy(replace(BARE, fit=alone), Shown()))
    assert "There is no model on voxels to compare with." in page


RULES = {
    test: Rule(test, "method", test, "a figure", "at least", 0.1, "Bad.", "Look.", "care")
    for test in ("agreement", "deletion")
}


def verdict(*methods_: tuple[str, str, dict[str, Any]]) -> TrustResult:
    judged_ = tuple(
        MethodVerdict(
            name, name.title(), call, f"{name}: {call}.",
            tuple(
                Finding(
                    RULES[test], Measurement(test, name, 0.5, "They do.", figures=told), 0.1, "pass"
                )
                for test, told in tests.items()
            ),
        )
        for name, call, tests in methods_
    )  # fmt: skip
    return TrustResult(
        "net", "It knows.", (), judged_, (), "3", (), 24, 5, "10m", 1.0, {"seed": 2}, {}
    )


def test_what_holds_for_all_methods_is_said_once() -> None:
    trust = verdict(("a", "do not believe", {}), ("b", "do not believe", {}))
    why = "It reads head size (so it does; rule: at most 0.05)."
    methods_ = (
        replace(
            trust.methods[0], sentence=f"A: do not believe. {why} It is inverted.", of_study=why
        ),
        replace(trust.methods[1], sentence=f"B: do not believe. {why}", of_study=why),
    )
    rule = Rule("d", "study", "D", "p", "at most", 0.05, "Bad.", "Look.", "decisive")
    tested = (Finding(rule, Measurement("d", None, 0.5, "So it is."), 0.05, "fail"),)
    cards = trust_sections(replace(trust, methods=methods_, study=tested))[0].items[0]
    assert isinstance(cards, Findings)
    assert [(one.label, one.sentence, one.standing) for one in cards.findings[1:]] == [
        ("All methods", why, "chance"),
        ("A", "As for all methods. It is inverted.", "chance"),
        ("B", "As for all methods.", "chance"),
    ]
    careful = verdict(("a", "believe with care", {}))
    one = replace(careful.methods[0], sentence=f"A: believe with care. {why}", of_study=why)
    cards = trust_sections(replace(careful, methods=(one,)))[0].items[0]
    assert isinstance(cards, Findings)
    assert cards.findings[1].standing == "weak"


def test_a_verdict_with_care_is_weak() -> None:
    for calls, standing in (
        (("believe", "believe"), "good"),
        (("believe", "believe with care"), "weak"),
        (("believe", "not tested"), "weak"),
        (("believe with care", "do not believe"), "chance"),
    ):
        trust = verdict(*((f"m{i}", call, {}) for i, call in enumerate(calls)))
        assert opening.verdict_sentence(replace(BARE, trust=trust))[1] == standing


def test_methods_agree_or_were_not_compared() -> None:
    alone = replace(BARE, trust=verdict(("one", "believe", {})))
    (none,) = belief.agreement(alone, Shown())
    assert "it takes the maps of two methods" in none.what
    both = verdict(
        ("one", "believe", {"agreement": {"two": 0.61, "gone": 0.9, "enveloped": "no"}}),
        ("two", "believe", {"agreement": {"one": 0.61}}),
    )
    table, said, _ = belief.agreement(replace(BARE, trust=both), Shown())
    assert table.rows == (("One", None, "0.61"), ("Two", "0.61", None))
    assert said.paragraphs == ("One: They do.", "Two: They do.")


def test_a_method_of_which_nothing_was_deleted_is_named() -> None:
    lost = {"lost": 2.0, "random": 0.1}
    trust = verdict(("one", "believe", {"deletion": lost}), ("two", "believe", {}))
    page = text(belief.faithfulness(replace(BARE, trust=trust), Shown()))
    assert "Deletion was not measured of Two." in page
    nothing = replace(BARE, trust=verdict(("two", "believe", {})))
    (none,) = belief.faithfulness(nothing, Shown())
    assert none.what == "Deletion was not measured of Two."


def test_a_scan_is_shown_with_what_is_known_of_it() -> None:
    means = (MeanMap("gradient", "Gradient", "case", 3, "a", "logit"),)
    bare = ScanFound("sub-1")
    whole = ScanFound(
        "sub-2", "a", "b", 0.97, "3", "dark", likeness=0.25, likeness_z=-4.5, urgency=2.0
    )
    found = replace(BARE, means=means, scans=(whole, bare))
    rows = [dict(subjects._case(one, found, Shown()).items[0].rows) for one in (whole, bare)]
    assert rows[1] == {"quality": "nothing stands out"}
    assert rows[0] == {
        "truth": "a",
        "predicted, while held out": "b",
        "probability of the predicted class": 0.97,
        "fold": "3",
        "quality": "dark",
        "likeness to the other maps of its class, Gradient": "0.25 (−4.5 deviations)",
    }
    unlike = replace(whole, likeness_z=None)
    assert subjects._case(unlike, found, Shown()).items[0].rows[-1][1] == "0.25"
    facts = study_page(found, Shown()).facts
    assert facts[-1].value == "1"


def test_a_figure_has_its_interval() -> None:
    one = Measurement("agreement", "one", 0.5, "They do.", 0.25, 0.75)
    assert figure_text(one) == "0.5 (0.25 to 0.75)"
    assert figure_text(replace(one, low=None)) == "0.5"


def test_methods_that_have_no_article_of_their_own_are_cited_by_the_registry() -> None:
    names = ("captum:Lime", "region-ablation", "recommended", "lrp", "nobody", "gradient")
    told = {name: method_told(name, {}) for name in names}
    found = dict.fromkeys(names)
    for entry in bibtex(names, told, "1").split("\n\n"):
        found[entry.partition("{")[2].partition(",")[0]] = entry
    assert found["captum:Lime"] is not None
    assert found["lrp"] == (
        "@misc{lrp,\n  author = {Bach and others},\n  year = {2015},\n"
        "  howpublished = {doi:10.1371/journal.pone.0130140},\n"
        "  note = {Layer-wise relevance propagation: Bach et al. 2015, "
        "doi:10.1371/journal.pone.0130140}\n}"
    )
    # An ampersand or an underscore would stop LaTeX.
    assert "author = {Zeiler and Fergus}" in found["region-ablation"]
    assert r"10590-1\_53, by region}," in found["region-ablation"]
    assert r"Zeiler \& Fergus 2014" in found["region-ablation"]
    assert "author" not in found["recommended"]
    assert method_told("nobody", {}).label == "nobody"
    assert bibtex(("unknown", "lrp"), told).count("@") == 1
    for name in METHODS:
        entry = bibtex((name,), {name: method_told(name, {})})
        assert entry.count("{") == entry.count("}") > 1


def test_figures_of_other_methods_are_for_paper_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = lambda: figures.region_intervals([RegionValue("A", 0.4, 0.9, 3.0, 1)])  # noqa: E731
    made = {"scores": draw, "mosaic:Other:a": draw}
    monkeypatch.setattr(pictures, "_makers", lambda *_: made)
    on_page, printed = pictures.draw_pictures(BARE, None, None, Silent(), True)
    assert ([*on_page], [*printed]) == (["scores"], ["scores", "mosaic:Other:a"])
    assert all(one.svg.startswith(b"<?xml") for one in printed.values())


def test_measures_that_were_not_made_have_no_row(judged: list[JudgedMap]) -> None:  # noqa: F811
    whole = judged[0].judgements.group
    bare = replace(whole, found=replace(whole.found, box_overlap=None, distance_mm=None))
    rows = [len(_table("Maps", one).rows) for one in (whole, bare)]
    assert rows[1] == rows[0] - 2


def test_a_cohort_whose_folds_are_not_kept_may_be_fitted() -> None:
    items = opening.asked(replace(BARE, cohort=COHORT, fit=FIT), Shown())
    assert not any(isinstance(one, NotRun) for one in items)


def test_calls_without_group_maps_are_not_repeated() -> None:
    runs = {"runs": [{"network": "n", "scans": []}]}
    assert repeat.commands(replace(BARE, explain=runs)) == ["voxplain report 'a study'"]


def test_maps_without_a_cortex_are_drawn_as_slices_alone() -> None:
    means = (MeanMap("gradient", "Gradient", "case", 3, "a", "logit"),)
    place = SimpleNamespace(anatomy=None, grid=None, cortex=None, brain=None)
    held: Any = SimpleNamespace(
        place=place, means=means, values={"a": np.ones((2, 2, 2))}, label=lambda one: one.label
    )
    drawn = pictures._of_maps(replace(BARE, means=means), held, None)
    assert [*drawn] == ["gallery:case", "mosaic:Gradient:case"]


def test_a_verdict_without_figures_has_no_picture() -> None:
    """Of one method nothing is compared, and an earlier version kept no curves."""
    lost = Measurement("deletion", "gradient", 0.01, "It costs.", figures={"lost": 1.0})
    rule = Rule("deletion", "method", "D", "p", "at most", 0.05, "Bad.", "Look.", "care")
    verdict = MethodVerdict("gradient", "Gradient", "believe", "Yes.", (
        Finding(rule, lost, 0.05, "pass"),
    ))  # fmt: skip
    trust = TrustResult("n", "", (), (verdict,), (), "1", (), 9, 3, "1h", 0.0, {}, {})
    assert pictures.draw_pictures(replace(BARE, trust=trust), None, None, Silent(), True) == (
        {},
        {},
    )


def test_the_pattern_s_card_stands_beside_its_maps() -> None:
    means = (MeanMap("pattern", "Activation pattern", "case", 3, "a", "logit"),)
    for method, there in (("pattern", True), ("gradient", False)):
        found = replace(BARE, means=means, methods={method: method_told(method, {})})
        (card,) = cards_of(["pattern"])
        assert (card.title in text(maps.maps(found, Shown()))) == there


def test_a_region_without_an_interval_has_an_empty_cell() -> None:
    means = (MeanMap("gradient", "Gradient", "case", 3, "a", "logit"),)
    one, two = RegionValue("A", 0.4, 0.9, 3.0, 1, 0.25, 0.5), RegionValue("B", 0.4, 0.9, 2.0, 2)
    for values, cells in (((one, two), ["0.25 to 0.5", None]), ((two,), None)):
        listed = RegionList("Gradient", "case", "AAL", values)
        items = regions(replace(BARE, means=means, regions=(listed,)), Shown())
        (table,) = (item for item in items if isinstance(item, Table))
        shown = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
        found = shown.get("95 % interval")
        assert (found and [*found]) == cells
