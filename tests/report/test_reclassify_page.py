"""The page of masked scans: what it says for intervals that lie apart, meet, or are at chance."""

from __future__ import annotations

from typing import Any

import pytest
from report_results import reclassify_result

from voxplain.report.figures import model_scores
from voxplain.report.html.render import render
from voxplain.report.html.sections import Finding, Page
from voxplain.report.pages import reclassify as pages
from voxplain.report.pages import reclassify_findings as findings
from voxplain.report.words.scores import ScoreRow, apart
from voxplain.results.scores import HeldOut, Judged, Permutation

HIGH, MIDDLE, LOW = (0.8, 0.9, 1.0), (0.6, 0.75, 0.9), (0.3, 0.45, 0.58)
WHOLE, JOINT, RANDOM = (
    "whole images",
    "tested behind the joint mask",
    "tested behind the random mask",
)
INSIDE, OUTSIDE, ELSEWHERE = (
    "trained and tested inside the joint mask",
    "trained and tested outside the joint mask",
    "trained and tested inside a random mask",
)
PLACES = {
    WHOLE: ("whole", ""),
    JOINT: ("whole", "joint"),
    RANDOM: ("whole", "random"),
    INSIDE: ("inside", "joint"),
    OUTSIDE: ("outside", "joint"),
    ELSEWHERE: ("inside", "random"),
}


def condition_rows(part: dict[str, Any]) -> list[ScoreRow]:
    return pages.condition_rows(reclassify_result(part))


def reclassify_page(part: dict[str, Any], pictures: dict[str, bytes]) -> Page:
    return pages.reclassify_page(reclassify_result(part), pictures)


def reclassify_findings(part: dict[str, Any]) -> tuple[Finding, ...]:
    return findings.reclassify_findings(reclassify_result(part))


def condition(name: str, bounds: tuple[float, float, float], p: float | None) -> dict[str, Any]:
    low, value, high = bounds
    score = {
        "mean": value,
        "pooled": value,
        "ci": [low, high],
        "folds_ci": [low, high],
        "per_fold": [low, value, high],
    }
    trained, mask = PLACES[name]
    measures = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), score)
    tested = {"of": "accuracy", "p": p}
    return {"trained": trained, "mask": mask, **measures, "permutation": tested}


def part_of(
    given: dict[str, tuple[float, float, float]] | None = None,
    retrain: bool = True,
    unsure: tuple[str, ...] = (),
    **options: Any,
) -> dict[str, Any]:
    """What `voxplain reclassify` writes; low accuracies are at chance, `unsure` ones too."""
    bounds = {WHOLE: HIGH, JOINT: HIGH, RANDOM: LOW, INSIDE: HIGH, OUTSIDE: LOW, ELSEWHERE: LOW}
    bounds |= given or {}
    names = [n for n in PLACES if retrain or PLACES[n][0] == "whole"]
    return {
        "network": "mrinet",
        "method": "gradient",
        "class_names": ["control", "case"],
        "class_counts": [20, 20],
        "ceiling": None,
        "scans": 40,
        "folds": 5,
        "schedule": "12 epochs of Adam",
        "grouping": "Scans of one family_id stay together.",
        "options": {
            "share": 0.1, "soft": False, "fwhm": 8.0, "explained": 20, "retrain": retrain,
            "leaky": False, "seed": 7, **options,
        },
        "conditions": {
            n: condition(n, bounds[n], 0.4 if bounds[n] == LOW or n in unsure else 0.001)
            for n in names
        },
        "seconds": 99.0,
        "versions": {"voxplain": "0.1.0", "torch": "2.13.0"},
    }  # fmt: skip


def said(part: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {f.label: (f.standing, f.sentence) for f in reclassify_findings(part)}


HOLDS, PLACE = "Does the joint mask hold evidence?", "More than a random mask?"
AGAIN, NEEDED = "More than a random mask, trained anew?", "Is the joint mask needed?"


@pytest.mark.parametrize(
    ("given", "label", "standing", "words"),
    [
        ({}, HOLDS, "good", "cannot be told apart from that on whole images, 0.900 (95 % interval"),
        ({WHOLE: (0.95, 0.97, 0.99), JOINT: MIDDLE}, HOLDS, "weak", "but less than on whole"),
        ({WHOLE: (0.55, 0.6, 0.65)}, HOLDS, "good", "and more than on whole images, 0.600"),
        ({JOINT: LOW}, HOLDS, "chance", "never seen masked scans, which may shift all of its"),
        ({JOINT: (0.45, 0.6, 0.7)}, HOLDS, "weak", "is not clearly better than chance"),
        ({}, PLACE, "good", "The place of the mask counts"),
        ({RANDOM: MIDDLE}, PLACE, "weak", "cannot be told apart"),
        ({JOINT: (0.55, 0.6, 0.65), RANDOM: HIGH}, PLACE, "chance", "0.900 (95 % interval 0.8"),
        ({}, AGAIN, "good", "The place of the mask counts"),
        ({ELSEWHERE: MIDDLE}, AGAIN, "weak", "not shown that the place of the mask counts"),
        ({INSIDE: (0.55, 0.6, 0.65), ELSEWHERE: HIGH}, AGAIN, "chance", "which is more."),
        ({INSIDE: LOW}, AGAIN, "chance", "no evidence is shown inside it"),
        (
            {INSIDE: (0.45, 0.6, 0.7)},
            AGAIN,
            "weak",
            "whether there is evidence inside it stays open",
        ),
        ({}, NEEDED, "good", "no evidence was found outside the mask"),
        ({WHOLE: (0.55, 0.7, 0.9)}, NEEDED, "weak", "whether the mask is needed stays open"),
        ({OUTSIDE: MIDDLE}, NEEDED, "weak", "evidence elsewhere as well, and the mask is not need"),
    ],
)
def test_a_sentence_claims_what_its_intervals_carry(
    given: dict[str, tuple[float, float, float]], label: str, standing: str, words: str
) -> None:
    found = said(part_of(given))
    assert found[label][0] == standing
    assert words in found[label][1]


def test_less_outside_is_said_only_where_the_intervals_lie_apart() -> None:
    assert "less than on whole" not in said(part_of({OUTSIDE: MIDDLE}))[NEEDED][1]
    apart_from_it = part_of({OUTSIDE: (0.6, 0.65, 0.7)})
    assert "It is less than on whole images, 0.900" in said(apart_from_it)[NEEDED][1]


def test_a_mask_at_chance_is_not_compared_with_a_random_one() -> None:
    assert list(said(part_of({JOINT: LOW}))) == [HOLDS, AGAIN, NEEDED]


def test_the_permutation_test_has_a_say_beside_the_interval() -> None:
    found = said(part_of(unsure=(JOINT,)))
    assert found[HOLDS][0] == "chance"
    assert "p = 0.400" in found[HOLDS][1]


@pytest.mark.parametrize(("p", "standing"), [(0.049, "good"), (0.05, "chance"), (0.07, "chance")])
def test_chance_ends_at_five_in_a_hundred(p: float, standing: str) -> None:
    part = part_of()
    part["conditions"][JOINT]["permutation"]["p"] = p
    assert said(part)[HOLDS][0] == standing


def test_chance_is_that_of_the_largest_class() -> None:
    part = part_of({JOINT: MIDDLE}) | {"class_counts": [30, 10]}
    assert "chance is 0.750" in said(part)[HOLDS][1]
    assert said(part)[HOLDS][0] == "weak"


def test_a_network_at_chance_gives_no_other_finding() -> None:
    found = said(part_of({WHOLE: LOW}))
    assert list(found) == ["Whole images"]
    assert "masks that are made of its maps say nothing" in found["Whole images"][1]


WIDE = (0.0, 0.7, 1.0)


@pytest.mark.parametrize("folds", [2, 3, 4, 5, 10])
def test_too_few_folds_are_said(folds: int) -> None:
    part = part_of({WHOLE: WIDE}) | {"folds": folds}
    found = reclassify_findings(part)
    said_so = [f for f in found if "too few folds" in f.badge]
    assert [f"There are too few folds, {folds}, to know" in f.sentence for f in said_so] == [
        True
    ] * (folds < 5)
    assert found[-1].label == "Whole images"


@pytest.mark.parametrize("folds", [2, 3, 10])
def test_an_interval_that_says_nothing_does_not_make_the_masks_say_nothing(folds: int) -> None:
    """p is small, the interval reaches chance: open, and the table of the truth is not denied."""
    held = {"joint": {"precision": 0.1, "sensitivity": 0.92}}
    for overlap, words in (
        ({}, "stays open."),
        (held, "stays open, although the joint mask holds 92 % of the true region."),
    ):
        part = part_of({WHOLE: WIDE}) | {"folds": folds, "overlap": overlap}
        standing, sentence = said(part)["Whole images"]
        assert standing == "weak"
        assert words in sentence
        assert "say nothing" not in sentence
    at_chance = said(part_of({WHOLE: LOW}) | {"folds": folds, "overlap": held})["Whole images"]
    assert at_chance[0] == "chance"
    assert "say nothing by themselves; yet the joint mask holds 92 %" in at_chance[1]


def test_without_retraining_nothing_is_said_of_it() -> None:
    part = part_of(retrain=False)
    assert list(said(part)) == [HOLDS, PLACE]
    html = render(reclassify_page(part, {}))
    assert "Trained and tested" not in html
    assert "trained and tested" not in html
    assert "Trained and tested inside a mask: a new" in render(reclassify_page(part_of(), {}))


def test_masks_that_leak_are_warned_of_and_praised_by_nothing() -> None:
    part = part_of(retrain=False, leaky=True)
    first, *others = reclassify_findings(part)
    assert first.label == "Warning"
    assert "know the held-out scans: the accuracies behind the masks are too good" in first.sentence
    assert [f.standing for f in others] == ["weak", "weak"]
    assert all("but the masks leak" in f.badge for f in others)
    at_chance = reclassify_findings(part_of({WHOLE: LOW}, retrain=False, leaky=True))
    assert [f.label for f in at_chance] == ["Warning", "Whole images"]
    assert "too good" not in render(reclassify_page(part_of(retrain=False), {}))


@pytest.mark.parametrize(
    ("one", "other", "side"),
    [
        ((0.6, 0.7), (0.4, 0.5), 1),
        ((0.4, 0.5), (0.6, 0.7), -1),
        ((0.4, 0.6), (0.6, 0.7), 0),
        ((None, None), (0.1, 0.2), 0),
        ((0.4, 0.5), (float("nan"), 0.2), 0),
    ],
)
def test_intervals_apart(one: tuple[Any, Any], other: tuple[Any, Any], side: int) -> None:
    first, second = (
        Judged({"accuracy": HeldOut(None, None, (), None, ci)}, Permutation("accuracy", None))
        for ci in (one, other)
    )
    assert apart(first, second) == side


def test_rows_of_the_figure_start_with_whole_images() -> None:
    rows = condition_rows(part_of())
    assert [(row.group, row.label) for row in rows] == [
        ("Trained on whole images", "whole images"),
        ("Trained on whole images", "joint mask"),
        ("Trained on whole images", "random mask"),
        ("Trained on masked images", "inside the joint mask"),
        ("Trained on masked images", "outside the joint mask"),
        ("Trained on masked images", "inside the random mask"),
    ]
    assert rows[0].ci == (0.8, 1.0)
    assert list(rows[0].per_fold) == [0.8, 0.9, 1.0]


def test_the_page_holds_all_of_it() -> None:
    part = part_of(given={OUTSIDE: LOW})
    png = model_scores(condition_rows(part), "accuracy", 0.5, 0.95)
    html = render(reclassify_page(part, {"scores": png, "masks": png}))
    assert html.count("<img") == 2
    for name in part["conditions"]:
        assert f"<td>{name}</td>" in html
    assert html.count('<tr class="marked">') == 3
    for words in (
        "0.900 (0.800 to 1.000)",
        '<td class="num">0.400</td>',
        "lets the strongest 10 % of the brain&#39;s voxels through",
        "share of the folds whose mask lets a voxel through",
        "training scans only, up to 20 of each class",
        "hard, 0 or 1",
        "8 mm FWHM",
        "Scans of one family_id stay together.",
        "1 min 39 s",
        "2.13.0",
    ):
        assert words in html
    assert "None" not in html
    assert "<img" not in render(reclassify_page(part, {}))
    assert "best observer" not in html
    phantom = part | {"ceiling": 0.95}
    assert "best observer" in render(reclassify_page(phantom, {"scores": png}))


def test_the_page_tells_soft_and_leaky_masks() -> None:
    soft = render(reclassify_page(part_of(soft=True), {}))
    assert "soft, by rank" in soft
    assert "the mean weight is 10 %" in soft
    leaky = render(reclassify_page(part_of(retrain=False, leaky=True), {}))
    assert "all scans, the held-out ones among them, up to 20 of each class" in leaky
    assert "They were made once" in leaky


def test_names_are_text_and_not_markup() -> None:
    part = part_of() | {"network": "a.b:<i>net</i>", "class_names": ["<b>x</b>", "y & z"]}
    mask = part["conditions"].pop(RANDOM)
    part["conditions"]["tested behind the <b>x</b> mask"] = mask | {"mask": "<b>x</b>"}
    part["conditions"][RANDOM] = mask
    html = render(reclassify_page(part, {}))
    assert "<b>x</b>" not in html
    assert "<i>net</i>" not in html
    assert "tested behind the &lt;b&gt;x&lt;/b&gt; mask" in html
    assert "y &amp; z" in html
