"""Judgements: every figure by a slow way, intervals by drawing whole samples anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.results.judgement import Judgement, Judgements
from voxplain.trust import (
    KnownTruth,
    SubjectMaps,
    chance_of,
    edge_filter,
    find_places,
    judge,
    localise,
    strength,
)
from voxplain.trust.truth.resampling import interval_about, resample_both

GRID = Grid((14, 16, 12), np.diag([-3.0, 3.0, 4.0, 1.0]))
PLACE = np.indices(GRID.shape)
BRAIN = np.linalg.norm((PLACE - np.array([7, 8, 6])[:, None, None, None]) / 6.0, axis=0) < 1
TRUTH = np.zeros(GRID.shape, dtype=bool)
TRUTH[4:7, 6:9, 5:8] = True
KNOWN = KnownTruth(TRUTH, BRAIN, TRUTH.astype(np.float32))
SIGNAL = gaussian_filter(TRUTH.astype(float), 0.7)
FWHM = 5.0


def people(count: int, seed: int, strong: float = 0.6, noise: float = 1.0) -> list[SubjectMaps]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        shift = int(rng.integers(-1, 2))
        own = KnownTruth(
            np.roll(TRUTH, shift, 1), BRAIN, np.roll(TRUTH, shift, 1).astype(np.float32)
        )
        values = strong * np.roll(SIGNAL, shift, 1) + noise * rng.standard_normal(GRID.shape)
        image = np.where(BRAIN, 1 + rng.random(GRID.shape), 0)
        untrained = rng.standard_normal(GRID.shape)
        made.append(
            SubjectMaps(
                {"": values.astype(np.float32)},
                image.astype(np.float32),
                own,
                {"untrained": untrained.astype(np.float32)},
            )
        )
    return made


@pytest.fixture(scope="module")
def sample() -> list[SubjectMaps]:
    return people(9, 1)


@pytest.fixture(scope="module")
def judged(sample: list[SubjectMaps]) -> Judgements:
    controls = {"t-map-all": SIGNAL.astype(np.float32)}
    return judge(iter(sample), KNOWN, GRID, controls=controls, fwhm=FWHM, seed=3, draws=200)


def test_the_group_is_the_mean_map(sample: list[SubjectMaps], judged: Judgements) -> None:
    mean = np.mean([one.maps[""] for one in sample], axis=0, dtype=np.float64).astype(np.float32)
    score, found = strength(mean, GRID, FWHM), judged.group.found
    slow, places = localise(score, TRUTH, BRAIN), find_places(score, TRUTH, BRAIN, GRID)
    assert found.average_precision.value == pytest.approx(slow.average_precision, rel=1e-6)
    assert found.lift.value == pytest.approx(slow.lift, rel=1e-6)
    assert found.auroc.value == pytest.approx(slow.auroc, rel=1e-6)
    assert found.rank_accuracy.value == pytest.approx(slow.dice_matched, rel=1e-6)
    assert found.mass.value == pytest.approx(slow.mass, rel=1e-5)
    for name in ("max_f1", "box_overlap", "box_found", "pointed", "centre_pointed", "distance_mm"):
        told = getattr(found, name)
        assert told.value == pytest.approx(float(getattr(places, name)), rel=1e-6), name
        assert told.low <= told.value <= told.high
    null = chance_of(mean, TRUTH, BRAIN, GRID, FWHM, seed=3)
    assert judged.group.chance_ap_95 == null.percentile_95
    assert judged.group.chance_ap == TRUTH[BRAIN].mean()
    assert (judged.group.subjects, judged.group.networks) == (9, 1)


def test_subjects_are_judged_by_their_own_truth(
    sample: list[SubjectMaps], judged: Judgements
) -> None:
    single = judged.subjects
    assert single is not None
    slow, edges, untrained = [], [], []
    for one in sample:
        assert one.own is not None
        of = (one.own.support, BRAIN)
        slow.append(localise(strength(one.maps[""], GRID, FWHM), *of).average_precision)
        edge = edge_filter(one.image, GRID, 2.0)
        edges.append(localise(strength(edge, GRID, FWHM), *of).average_precision)
        blind = strength(one.beside["untrained"], GRID, FWHM)
        untrained.append(localise(blind, *of).average_precision)
    assert single.found.average_precision.value == pytest.approx(np.mean(slow), rel=1e-6)
    for name, aps in (("edges", edges), ("untrained", untrained)):
        told = single.controls[name].average_precision.value
        assert told == pytest.approx(np.mean(aps), rel=1e-6)
    assert single.found.box_overlap is not None
    assert single.controls["edges"].box_overlap is None
    rng = np.random.default_rng(0)
    means = np.array(slow)[rng.integers(0, 9, (4000, 9))].mean(axis=1)
    told = single.found.average_precision
    assert told.low is not None
    assert told.high is not None
    assert told.high - told.low == pytest.approx(np.ptp(np.percentile(means, [2.5, 97.5])), rel=0.2)


def test_ceiling_and_controls_stand_beside(judged: Judgements) -> None:
    for one in (judged.group, judged.subjects):
        assert one is not None
        assert one.ceiling is not None
        assert one.ceiling.average_precision.value > 0.9
        kinds = {"edges", "image", "random", "untrained", "t-map-all"}
        assert set(one.controls) == kinds
        random = one.controls["random"].average_precision.value
        assert random < 0.2 < one.ceiling.average_precision.value
    smooth_signal = localise(strength(SIGNAL, GRID, FWHM), TRUTH, BRAIN).average_precision
    told = judged.group.controls["t-map-all"].average_precision
    assert told.value == pytest.approx(smooth_signal, rel=1e-6)
    assert told.low is None


@pytest.mark.parametrize("smooth_mm", [0.0, FWHM])
def test_maps_of_untrained_networks_are_smoothed_as_the_maps_are(smooth_mm: float) -> None:
    made = [
        SubjectMaps(one.maps, one.image, one.own, {"untrained": one.maps[""]})
        for one in people(3, 5)
    ]
    found = judge(made, KNOWN, GRID, fwhm=FWHM, smooth_mm=smooth_mm, draws=20)
    for one in (found.group, found.subjects):
        assert one is not None
        control = one.controls["untrained"].average_precision.value
        assert control == pytest.approx(one.found.average_precision.value, rel=1e-6)


def test_without_a_change_or_own_truths_there_is_no_ceiling(sample: list[SubjectMaps]) -> None:
    bare = [SubjectMaps(one.maps, one.image) for one in sample]
    found = judge(bare, KnownTruth(TRUTH, BRAIN), GRID, fwhm=FWHM, draws=20)
    assert found.subjects is None
    assert found.group.ceiling is None
    assert set(found.group.controls) == {"edges", "image", "random"}


def test_intervals_are_as_wide_as_samples_differ() -> None:
    """Whole samples of subjects are drawn anew: their spread is what the interval promises."""
    group, single = [], []
    for seed in range(100, 160):
        made = people(12, seed)
        mean = np.mean([one.maps[""] for one in made], axis=0)
        group.append(localise(strength(mean, GRID, FWHM), TRUTH, BRAIN).average_precision)
        scores = [strength(one.maps[""], GRID, FWHM) for one in made]
        single.append(
            np.mean(
                [
                    localise(score, one.own.support, BRAIN).average_precision
                    for score, one in zip(scores, made, strict=True)
                    if one.own
                ]
            )
        )
    told = [judge(people(12, s), KNOWN, GRID, fwhm=FWHM, draws=200) for s in (100, 101, 102)]

    def width(one: Judgement | None) -> float:
        assert one is not None
        found = one.found.average_precision
        assert found.low is not None
        assert found.high is not None
        return (found.high - found.low) / 3.92

    assert np.mean([width(one.group) for one in told]) == pytest.approx(np.std(group), rel=0.5)
    assert np.mean([width(one.subjects) for one in told]) == pytest.approx(np.std(single), rel=0.4)


def networked(count: int, apart: float, seed: int = 5) -> Iterator[SubjectMaps]:
    """Four networks, each with noise of its own that all its maps share; two see each subject."""
    rng = np.random.default_rng(seed)
    own = [apart * rng.standard_normal(GRID.shape) for _ in range(4)]
    for number, one in enumerate(people(count, seed + 1, 1.5)):
        pair = (number % 2, 2 + number % 2)
        maps = {f"n{k}": (one.maps[""] + own[k]).astype(np.float32) for k in pair}
        yield SubjectMaps(maps, one.image, one.own)


def test_networks_that_differ_make_intervals_wider() -> None:
    names = tuple(f"n{k}" for k in range(4))

    def widths(people: list[SubjectMaps], networks: tuple[str, ...]) -> list[float]:
        found = judge(people, KNOWN, GRID, networks=networks, fwhm=FWHM, draws=400)
        assert found.subjects is not None
        both = (found.group.found.average_precision, found.subjects.found.average_precision)
        assert all(one.low is not None and one.high is not None for one in both)
        return [(one.high or 0) - (one.low or 0) for one in both]

    made = list(networked(12, 1.0))
    means = [
        SubjectMaps({"": np.mean(list(one.maps.values()), axis=0)}, one.image, one.own)
        for one in made
    ]
    over_both, over_subjects = widths(made, names), widths(means, ("",))
    assert over_both[0] > 1.3 * over_subjects[0]
    assert over_both[1] > 1.1 * over_subjects[1]


def test_maps_count_by_their_subject_and_their_network() -> None:
    drawn = resample_both(3, 2, 20, seed=0)
    assert drawn.subjects.shape == (20, 3)
    assert drawn.networks.shape == (2, 2)
    assert (drawn.subjects.sum(axis=1) == 3).all()
    subject, network = [0, 1, 2, 2], [0, 1, 0, 1]
    rows = []
    for b in range(20):
        of = drawn.networks[b // 10]
        counts = [drawn.subjects[b][s] * of[n] for s, n in zip(subject, network, strict=True)]
        if sum(counts):
            rows.append(np.array(counts) / sum(counts))
    assert np.allclose(drawn.weights(subject, network), rows)
    alone = resample_both(3, 1, 20, seed=0)
    assert (alone.networks == 1).all()


def test_scans_of_one_participant_are_drawn_together(sample: list[SubjectMaps]) -> None:
    """Each scan twice under one name says no more than each once; under two names, it seems to."""

    def told(names: list[str]) -> tuple[int, float]:
        twice = [
            SubjectMaps(one.maps, one.image, one.own, subject=name)
            for one, name in zip([*sample, *sample], names, strict=True)
        ]
        found = judge(twice, KNOWN, GRID, fwhm=FWHM, draws=400).subjects
        assert found is not None
        ap = found.found.average_precision
        return found.subjects, (ap.high or 0) - (ap.low or 0)

    own = [f"s{i}" for i in range(9)]
    (count, width), (_, narrower) = told(own + own), told([""] * 18)
    assert count == 9
    assert narrower == pytest.approx(width / np.sqrt(2), rel=0.2)


def test_an_interval_lies_about_its_value() -> None:
    draws = np.linspace(0.0, 0.4, 1001)
    assert interval_about(0.5, draws) == pytest.approx((0.31, 0.69))


def test_bad_input_is_one_sentence(sample: list[SubjectMaps]) -> None:
    with pytest.raises(InputError, match="no map to be judged"):
        judge([], KNOWN, GRID)
    with pytest.raises(InputError, match="multiple of 20; 30 was given"):
        judge(sample, KNOWN, GRID, draws=30)
    with pytest.raises(InputError, match="of the networks 'a'; '' was given"):
        judge(sample, KNOWN, GRID, networks=("a",))
    with pytest.raises(InputError, match="no map was given"):
        judge([SubjectMaps({}, sample[0].image)], KNOWN, GRID)
    small = SubjectMaps({"": np.zeros((3, 3, 3), np.float32)}, np.zeros((3, 3, 3), np.float32))
    with pytest.raises(GridError, match="its grid"):
        judge([small], KNOWN, GRID)
