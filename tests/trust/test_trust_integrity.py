"""Faults of scans, likeness of maps, and what follows the confounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.trust import integrity
from voxplain.trust.following import share_of_confounds
from voxplain.trust.integrity import coarse, copies, jumps, sides, wrapped
from voxplain.trust.likeness import correlation, say_likeness

SHAPE = (14, 16, 12)


def brain() -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    return inside


def some(count: int, seed: int = 0) -> np.ndarray:
    """Smooth scans around a common mean that is not its mirror image."""
    rng = np.random.default_rng(seed)
    common = gaussian_filter(rng.normal(size=SHAPE), 2) * 5
    own = [gaussian_filter(rng.normal(size=SHAPE), 1.5) for _ in range(count)]
    return (10 + common + np.stack(own)).astype(np.float32)


def test_coarse_averages_blocks() -> None:
    values = np.random.default_rng(0).normal(size=(7, 6, 5)).astype(np.float32)
    found = coarse(values, (3.0, 2.0, 8.0))
    assert found.shape == (3, 2, 5)
    assert found[1, 1, 4] == pytest.approx(values[2:4, 3:6, 4].mean(), rel=1e-5)


def test_copies_are_found_and_different_brains_are_not() -> None:
    flat = some(12).reshape(12, -1)
    assert copies(flat) == []
    flat[7] = 1.0 * flat[2] + 0.01
    (pair,) = copies(flat)
    assert pair[:2] == (2, 7)
    assert pair[2] > 0.99


def test_many_scans_are_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = some(13).reshape(13, -1)
    flat[11], flat[4] = flat[3] + 0.01, flat[9] + 0.01
    inside = np.random.default_rng(0).random(flat.shape[1]) < 0.7
    whole = copies(flat[:, inside])
    assert [pair[:2] for pair in whole] == [(3, 11), (4, 9)]
    for together in (1024, 5):
        monkeypatch.setattr(integrity, "_TOGETHER", together)
        found = copies(flat, inside)
        assert [pair[:2] for pair in found] == [(3, 11), (4, 9)]
        assert np.allclose([pair[2] for pair in found], [pair[2] for pair in whole], atol=1e-6)


def test_wrapped_intensities_jump() -> None:
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(100, 380, SHAPE[0])[:, None, None], SHAPE)
    scans = [(ramp + rng.normal(size=SHAPE)).astype(np.float32) for _ in range(10)]
    shares = np.array([jumps(one, brain()) for one in scans])
    assert not wrapped(shares).any()
    # In eight bits, what is brighter than 255 begins at 0 again: one layer of pairs jumps.
    shares[4] = jumps(scans[4] % 256, brain())
    pairs = 3 * 8 * 10 * 6 - 10 * 6 - 8 * 6 - 8 * 10
    assert shares[4] == pytest.approx(10 * 6 / pairs)
    assert np.flatnonzero(wrapped(shares)).tolist() == [4]


def test_swapped_sides_are_found() -> None:
    scans = [*some(10)]
    assert not sides(scans, 0).any()
    scans[3] = np.flip(scans[3], 0)
    assert np.flatnonzero(sides(scans, 0)).tolist() == [3]
    rng = np.random.default_rng(1)
    even = [one + np.flip(one, 0) for one in scans]
    noisy = [(one + 1e-3 * rng.normal(size=SHAPE)).astype(np.float32) for one in even]
    assert sides(noisy, 0) is None


def test_unsteady_asymmetry_tells_no_sides() -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shared = gaussian_filter(rng.normal(size=SHAPE), 4)
        unlike = [
            (0.5 * shared + gaussian_filter(rng.normal(size=SHAPE), 4)).astype(np.float32)
            for _ in range(30)
        ]
        found = sides(unlike, 0)
        alarms += found is not None and bool(found.any())
    # Without a look at the spread there are 17.
    assert alarms <= 2


def test_correlation_of_constant_maps() -> None:
    flat, other = np.zeros(SHAPE), np.random.default_rng(0).normal(size=SHAPE)
    assert correlation(flat, flat + 1) == 1
    assert correlation(flat, other) == 0
    assert correlation(other, 3 * other - 1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: np.full(m.shape, 2.0), "constant"),
        (lambda m: m.max() - m, "of the opposite sign"),
        (np.abs, "without its sign"),
        (lambda m: m[::-1], "with left and right swapped"),
        (lambda m: m[:, :, ::-1], "with top and bottom swapped"),
        (lambda m: m.transpose(2, 0, 1), "with axes swapped"),
        (lambda m: np.roll(m, (2, -1, 0), (0, 1, 2)), r"shifted by (2, -1, 0) voxels"),
        (lambda m: m[1:], "of another shape"),
        (lambda m: np.random.default_rng(9).normal(size=m.shape), ""),
    ],
)
def test_what_a_wrong_map_is(change: object, said: str) -> None:
    right = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1).astype(np.float32)
    assert say_likeness(change(right), right, {}) == said  # type: ignore[operator]


def test_a_wrong_map_may_be_something_else() -> None:
    rng = np.random.default_rng(0)
    right, scan = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    assert say_likeness(-2 * scan, right, {"the scan itself": scan}) == "the scan itself"


def test_what_follows_confounds_is_found_within_networks_alone() -> None:
    rng = np.random.default_rng(0)
    blocks = ["a"] * 15 + ["b"] * 15
    size = rng.normal(size=(30, 1))
    pattern, noise = rng.normal(size=(1, 200)), rng.normal(size=(30, 200))
    found = share_of_confounds(noise + size * pattern, size, blocks)
    assert found.share > 0.25
    assert found.share > found.limit > found.chance > 0
    # A difference between networks is none between scans.
    apart = np.repeat([[0.0], [5.0]], 15, axis=0)
    quiet = share_of_confounds(noise + apart * pattern, apart + size, blocks)
    assert quiet.share < 1.5 * quiet.limit
    assert share_of_confounds(noise[:4], size[:4], ["a", "a", "b", "b"]) is None


def test_confounds_alarm_wrongly_in_5_percent() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for seed in range(100):
        maps, size = rng.normal(size=(24, 40)), rng.normal(size=(24, 1))
        found = share_of_confounds(maps, size, ["a"] * 12 + ["b"] * 12, seed, draws=100)
        alarms += found.share > found.limit
    assert alarms <= 11


def test_axes_of_one_length_may_be_swapped_too() -> None:
    right = np.random.default_rng(0).normal(size=(6, 6, 6)).astype(np.float32)
    for order in ((1, 0, 2), (0, 2, 1), (2, 0, 1)):
        assert say_likeness(right.transpose(order), right, {}) == "with axes swapped"
