"""The chance of maps with one side alone, against many random maps of that kind."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.maps import GroupMap
from voxplain.trust import FWHM_MM, chance_interval, chance_of, fwhm_of, strength
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.trust.truth.chance import ChanceInterval, _narrowing
from voxplain.trust.truth.localisation import average_precision
from voxplain.volume import smooth

GRID = Grid((12, 14, 12), np.diag([8.0, -8.0, 8.0, 1.0]))
PLACE = np.indices(GRID.shape) - np.array([5.5, 6.5, 5.5])[:, None, None, None]
BRAIN = np.linalg.norm(PLACE / np.array([5.5, 6.5, 5.5])[:, None, None, None], axis=0) < 1
TRUTH = np.linalg.norm(PLACE - np.array([-1.5, 1, 0])[:, None, None, None], axis=0) < 2.6
KINDS = {
    "signed": lambda own: own[0],
    "cut at zero": lambda own: np.maximum(own[0], 0),
    "cut at one SD": lambda own: np.maximum(own[0] - own[0].std(), 0),
    "absolute": lambda own: np.abs(own[0]),
    "mean of five that were cut": lambda own: np.maximum(own, 0).mean(0),
}


def maps(kind: str, count: int, width: float = 20.0) -> list[GroupMap]:
    each = 5 if "five" in kind else 1
    fields = list(random_fields(gaussian_amplitude(GRID, width), each * count, 4))
    made = [KINDS[kind](np.stack(fields[i::count])) for i in range(count)]
    return [GroupMap(values, GRID, "any", "case", "mean", each) for values in made]


@cache
def precisions(kind: str, count: int = 250) -> np.ndarray:
    scores = [strength(map_.values, GRID, FWHM_MM)[BRAIN] for map_ in maps(kind, count)]
    return np.array([average_precision(TRUTH[BRAIN], score) for score in scores])


def passing(kind: str, limit: float) -> float:
    return float(np.mean(precisions(kind) > limit))


@pytest.mark.parametrize("kind", KINDS)
def test_one_random_map_in_twenty_passes_whatever_its_sign(kind: str) -> None:
    null = [
        chance_of(map_.values, TRUTH, BRAIN, GRID, FWHM_MM, seed)
        for seed, map_ in enumerate(maps(kind, 5))
    ]
    assert {one.one_sided for one in null} == {kind != "signed"}
    assert 0.005 < passing(kind, float(np.median([one.percentile_95 for one in null]))) < 0.075


@pytest.mark.parametrize("kind", ["cut at zero", "absolute"])
def test_the_chance_of_signed_maps_is_too_low_for_them(kind: str) -> None:
    widths = [fwhm_of(smooth(m.values, GRID, FWHM_MM), GRID, BRAIN) for m in maps(kind, 5)]
    limits = [chance_interval(TRUTH, BRAIN, GRID, w, i) for i, w in enumerate(widths)]
    assert passing(kind, float(np.median([one.percentile_95 for one in limits]))) > 0.08


def test_signed_maps_have_the_chance_of_their_smoothness() -> None:
    (map_,) = maps("signed", 1)
    width = fwhm_of(smooth(map_.values, GRID, 8.0), GRID, BRAIN)
    expected = chance_interval(TRUTH, BRAIN, GRID, width, 3, 40)
    assert chance_of(map_.values, TRUTH, BRAIN, GRID, 8.0, 3, 40) == expected
    flat = chance_of(np.zeros(GRID.shape), TRUTH, BRAIN, GRID, 8.0, 3, 40)
    assert (flat.one_sided, flat.fwhm) == (False, 0.0)


def test_one_sided_maps_are_held_to_fields_that_were_cut_as_they_were() -> None:
    """Field by field: as wide before its cut as the map was, as much of it cut away."""
    (map_,) = maps("cut at one SD", 1)
    share = float(np.mean(map_.values[BRAIN] == 0))
    assert 0.75 < share < 0.9
    width = fwhm_of(smooth(map_.values, GRID, 8.0), GRID, BRAIN)
    raw_width = np.sqrt(width**2 - 8.0**2) / _narrowing(share)
    found = []
    for field in random_fields(gaussian_amplitude(GRID, float(raw_width)), 40, 3):
        kept = np.where(field > np.percentile(field[BRAIN], 100 * share), field, np.nan)
        cut = np.nan_to_num(kept - np.nanmin(kept[BRAIN]), nan=0.0).clip(min=0)
        score = smooth(cut.astype(np.float32), GRID, 8.0)[BRAIN]
        found.append(average_precision_score(TRUTH[BRAIN], score))
    told = chance_of(map_.values, TRUTH, BRAIN, GRID, 8.0, 3, 40)
    assert told.one_sided
    assert told.fwhm == pytest.approx(width)
    assert told.median == pytest.approx(np.median(found), rel=0.01)
    assert told.percentile_95 == pytest.approx(sorted(found)[38], rel=0.02)


def test_chance_rests_on_200_fields_with_both_signs() -> None:
    told = chance_interval(TRUTH, BRAIN, GRID, 20.0, 0)
    assert (told.draws, told.one_sided) == (200, False)
    assert ChanceInterval(0.1, 0.2, 8.0, 200) == ChanceInterval(0.1, 0.2, 8.0, 200, one_sided=False)
    (map_,) = maps("cut at zero", 1)
    assert chance_of(map_.values, TRUTH, BRAIN, GRID, 8.0, 0).draws == 200


@pytest.mark.parametrize("factor", [-1.0, 1e-9, 1e9])
def test_scale_and_side_do_not_matter(factor: float) -> None:
    (map_,) = maps("cut at zero", 1)
    one = chance_of(map_.values, TRUTH, BRAIN, GRID, 8.0, 0, 40)
    other = chance_of(factor * map_.values.astype(np.float64), TRUTH, BRAIN, GRID, 8.0, 0, 40)
    assert other.one_sided
    assert other.percentile_95 == pytest.approx(one.percentile_95, rel=0.02)
    # Outside the brain a map may be anything.
    outside = np.where(BRAIN, map_.values, -1.0)
    assert chance_of(outside, TRUTH, BRAIN, GRID, 0.0, 0, 40).one_sided


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_cut_field_looks_narrower_by_what_a_long_line_shows(share: float) -> None:
    rng = np.random.default_rng(0)
    spectrum = np.exp(-2 * (np.pi * 20 * np.fft.fftfreq(2**18)) ** 2)
    line = np.fft.ifft(np.fft.fft(rng.normal(size=2**18)) * spectrum).real
    cut = np.maximum(line - np.quantile(line, share), 0)
    ratio = [one.var() / np.mean(np.diff(one) ** 2) for one in (cut, line)]
    assert _narrowing(share) == pytest.approx(np.sqrt(ratio[0] / ratio[1]), rel=0.03)
    assert _narrowing(0.5) == pytest.approx(np.sqrt(1 - 1 / np.pi))


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="at least 20 draws; 3"):
        chance_of(np.ones(GRID.shape), TRUTH, BRAIN, GRID, 8.0, 0, 3)
    with pytest.raises(GridError, match="has shape"):
        chance_of(np.ones((3, 3, 3)), TRUTH, BRAIN, GRID, 8.0, 0)
    with pytest.raises(InputError, match="no voxel inside the brain"):
        chance_of(np.ones(GRID.shape), ~BRAIN, BRAIN, GRID, 8.0, 0)
