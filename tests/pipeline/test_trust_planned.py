"""What trains is planned within the time that is left, and told in words that rules can judge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxplain.errors import InputError
from voxplain.phantom import dprime_of
from voxplain.pipeline.trust.training.budget import (
    Costs,
    SpikeSize,
    choose_spike,
    share_of,
    smallest_spike,
    split_numbers,
)
from voxplain.pipeline.trust.training.layers import LayerFinding, LayerScore
from voxplain.pipeline.trust.training.measured import (
    layer_measurement,
    power_measurement,
    spike_measurements,
)
from voxplain.pipeline.trust.training.planted import Planted
from voxplain.pipeline.trust.training.power import PowerFinding
from voxplain.pipeline.trust.training.spike import finding_of
from voxplain.pipeline.trust.training.trial import Trial, TrialMap
from voxplain.report.figures import power_curves
from voxplain.report.pages.trust import power_figure, trust_sections
from voxplain.report.words.numbers import MISSING, share
from voxplain.results.trust import TrustResult
from voxplain.trust.rules import RULES, apply

# Ten minutes a training, ten of them; half a minute to judge.
COSTS = Costs(600.0, 0.5, 30.0, 400, 10, "the study's own fit")
GOOD = TrialMap(0.61, 0.5, 0.7, 0.01, 0.03, 0.66, 0.05, 0.9, 0.5, 0.2)
BAD = TrialMap(0.02, 0.01, 0.03, 0.01, 0.03, 0.66, 0.05, 0.9)


def trial(scans: int = 412, p: float = 0.001, good: TrialMap = GOOD, folds: int = 5) -> Trial:
    maps = {"smoothgrad": good, "grad-cam": BAD}
    return Trial(scans, folds, 5, 0.79, 0.7, 0.85, p, maps)


def planted(number: int = 1, **told: object) -> Planted:
    return Planted(number, ("Putamen_L",), "intensity", 1.6, 0.08, 300, trial(**told))


def test_a_training_on_fewer_folds_or_scans_takes_less() -> None:
    # All ten folds, half of the scans explained.
    assert COSTS.of(10, explained=0.5) == pytest.approx(10 * 600 + 0.5 * 400 * 0.5 + 30)
    # Two folds learn from half of the scans and not from nine tenths.
    assert COSTS.of(2) == pytest.approx(2 * 600 * 0.5 / 0.9 + 400 * 0.5 + 30)
    assert COSTS.of(10, 100) == pytest.approx(10 * 600 / 4 + 100 * 0.5 + 30)
    assert COSTS.of_own_folds(3) == pytest.approx(3 * (600 + 40 * 0.5) + 30)


# A training on four fifths of the scans and not nine tenths, 80 maps of each fold's 80 scans
# halved, and half a minute to judge, once a region; one training may be in vain.
TRAINING = 600 * 0.8 / 0.9
FOLD = TRAINING + 40 * 0.5


def region(folds: int) -> float:
    return folds * FOLD + 30


@pytest.mark.parametrize(
    ("seconds", "size"),
    [
        (36000.0, (3, 5)),
        (3 * region(5) + TRAINING + 0.1, (3, 5)),
        (3 * region(5) + TRAINING - 0.1, (2, 5)),
        (2 * region(5) + TRAINING - 0.1, (1, 5)),
        (region(5) + TRAINING - 0.1, (1, 4)),
        (region(1) + TRAINING + 0.1, (1, 1)),
        (region(1) + TRAINING - 0.1, None),
    ],
)
def test_as_large_a_spike_in_as_fits(seconds: float, size: tuple[int, int] | None) -> None:
    """Ten folds are split anew into five; regions are given up first, then folds."""
    found = choose_spike(COSTS, 3, seconds, seconds)
    assert (found and (found.regions, found.folds)) == size
    assert found is None or (found.split, found.first, found.tries) == (5, 1, found.regions + 2)
    # The smallest may take more than its share.
    assert choose_spike(COSTS, 3, 1.0, 2 * region(1)) == SpikeSize(1, 5, 1)


@pytest.mark.parametrize(("scans", "folds", "fewest"), [(400, 10, 1), (60, 5, 2), (24, 3, 3)])
def test_the_smallest_spike_in_holds_out_twenty_scans(scans: int, folds: int, fewest: int) -> None:
    assert smallest_spike(replace(COSTS, scans=scans, folds=folds)).folds == fewest


def test_numbers_of_scans_that_do_not_fit_are_named() -> None:
    done, left = split_numbers(COSTS, (400, 50, 100), 5, 2500.0)
    assert (done, left) == ([50, 100], [400])
    assert split_numbers(COSTS, (50,), 5, 10.0) == ([], [50])
    assert share_of(300.0, 1) == 200.0
    assert share_of(300.0, 0) == 300.0


def test_the_sentence_of_the_issue() -> None:
    own_accuracy = 0.79
    found = finding_of(own_accuracy, (planted(),))
    assert found.sentence == (
        "In your own 412 scans, a planted 8 % darkening of one region, which your network learns "
        "to 79 %, is found by SmoothGrad (average precision .61, chance .01, t-map .66) and not by "
        "Grad-CAM (.02)."
    )
    assert dprime_of(own_accuracy) == pytest.approx(1.61, abs=0.01)
    good, bad = spike_measurements(found, ("smoothgrad", "grad-cam"))
    assert [apply(one).outcome for one in (good, bad)] == ["pass", "fail"]
    assert (good.value, good.limit, good.chance) == (0.61, 0.03, 0.01)
    assert good.words.startswith("SmoothGrad finds a planted effect that the network learns to 79")
    assert bad.words.startswith("Grad-CAM does not find a planted effect")


def test_a_smaller_spike_in_says_so() -> None:
    found = finding_of(0.79, (planted(folds=1),))
    assert found.sentence.startswith("In your own 412 scans (1 of 5 folds), a planted 8 % darken")
    assert "learns to 79 %, 1 of 5 folds (average" in spike_measurements(found, ("a",))[0].words


def test_an_interval_over_several_effects() -> None:
    three = tuple(
        planted(n, good=replace(GOOD, average_precision=ap))
        for n, ap in ((1, 0.5), (2, 0.6), (3, 0.7))
    )
    found = finding_of(0.79, three).methods["smoothgrad"]
    assert found.average_precision == pytest.approx(0.6)
    # t of two degrees of freedom, .975: 4.303; standard error .1 / sqrt(3).
    assert found.low == pytest.approx(0.6 - 4.303 * 0.1 / 3**0.5, abs=1e-3)
    assert (found.found_in, found.of) == (3, 3)
    mixed = (*three[:2], planted(3, p=0.4))
    told = finding_of(0.79, mixed)
    assert told.methods["smoothgrad"].of == 2
    assert told.sentence.endswith("It did not learn 1 of the 3, which tell nothing of methods.")


def test_of_one_effect_without_an_interval_none_is_told() -> None:
    found = finding_of(0.79, (planted(good=replace(GOOD, low=None, high=None)),))
    words = spike_measurements(found, ("smoothgrad",))[0].words
    assert "(average precision .61, chance .01, 95 % of random maps below .03" in words


def test_of_an_effect_that_is_not_learned_nothing_is_tested() -> None:
    found = finding_of(0.55, (planted(p=0.3),))
    assert found.methods == {}
    for one in spike_measurements(found, ("smoothgrad", "grad-cam")):
        assert apply(one).outcome == "not tested"
        assert "does not learn" in one.words


def test_a_layer_is_judged_by_the_one_that_was_taken() -> None:
    rows = (
        LayerScore("conv1", (20, 20, 20), 0.3, 0.01, 0.05),
        LayerScore("conv2", (10, 10, 10), 0.02, 0.01, 0.05),
    )
    told = layer_measurement("grad-cam", LayerFinding("Grad-CAM", "conv2", rows))
    assert apply(told).outcome == "fail"
    assert "conv1 finds the effect, best conv1 (.30)" in told.words
    told = layer_measurement("grad-cam", LayerFinding("Grad-CAM", "conv1", rows))
    assert apply(told).outcome == "pass"
    failed = (replace(rows[0], failed="No."), rows[1])
    told = layer_measurement("grad-cam", LayerFinding("Grad-CAM", "conv1", failed))
    assert apply(told).outcome == "not tested"


def test_power_is_told_and_drawn() -> None:
    points = (trial(50, p=0.4), trial(100), trial(200))
    found = PowerFinding(
        planted(), points, 100, {"smoothgrad": 100, "grad-cam": None}, "From 100 on."
    )
    told = power_measurement(found, (400,))
    assert told.words == "From 100 on. Not tested within the budget: 400."
    assert told.test not in RULES
    drawn = power_figure(told)
    assert drawn.png.startswith(b"\x89PNG")
    assert drawn == power_figure(told)
    for said in (b"SmoothGrad: from 100", b"Grad-CAM: never", b"Effect learned", b"Folds agree"):
        assert said in drawn.svg
    result = TrustResult("n", "", (), (), (told,), "3", (), 400, 5, "1h", 0.0, {}, {})
    (section,) = [one for one in trust_sections(result) if one.anchor == "power"]
    words, picture, table = section.items
    assert words.paragraphs == (told.words,)
    assert picture.svg == drawn.svg
    assert table.rows == (("SmoothGrad", 100), ("Grad-CAM", MISSING))
    with pytest.raises(InputError, match="needs one number of scans at least"):
        power_curves([], {}, {})


def test_a_finding_is_the_same_read_back() -> None:
    one = trial()
    assert Trial.from_dict(one.to_dict()) == one


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.614, ".61"),
        (-0.04, "−.04"),
        (0.0018, ".002"),
        (1.0, "1.00"),
        (0, ".00"),
        (2e-6, "2×10⁻⁶"),
    ],
)
def test_shares_are_written_short_and_never_as_nothing(value: float, text: str) -> None:
    assert share(value) == text
    assert share(2e-6) == "2×10⁻⁶"
