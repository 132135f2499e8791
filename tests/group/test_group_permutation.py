"""Permutation tests: each number against a loop in float64, and against nilearn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from nibabel.nifti1 import Nifti1Image
from nilearn.glm import cluster_level_inference
from nilearn.mass_univariate import permuted_ols
from scipy import ndimage, stats

from voxplain.errors import InputError
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import Design, make_design
from voxplain.group.permutation import (
    Discoveries,
    Inference,
    Residuals,
    TestOptions,
    find_clusters,
    permutation_test,
    permuted_discoveries,
    simes_discoveries,
)
from voxplain.group.permutation.discoveries import smallest_ratio
from voxplain.group.permutation.spatial import Space
from voxplain.group.permutation.voxels import null_maxima

SHAPE = (7, 8, 9)


def _mask() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:6, 1:7, 2:8] = True
    mask[1, 1, 2:4] = False
    return mask


def _cohort(n: int, seed: int, effect: float = 0.0) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    mask = _mask()
    noise = ndimage.gaussian_filter(rng.normal(size=(n, *SHAPE)), (0, 0.7, 0.7, 0.7))
    labels = np.array(["a", "b"] * (n // 2))
    noise[labels == "b", 2:4, 2:4, 3:6] += effect * noise.std()
    table = pd.DataFrame(
        {
            "participant_id": [f"{i:03d}" for i in range(n)],
            "label": labels,
            "age": rng.normal(40, 9, n),
            "size": rng.normal(0, 1, n),
            "site": [str(i // 2 % 3) for i in range(n)],
            "family": [f"f{i // 2}" if i < n // 2 else None for i in range(n)],
        }
    )
    return noise[:, mask].astype(np.float32), table


def _t(design: Design, maps: np.ndarray) -> np.ndarray:
    x, c = design.matrix, design.contrast
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ maps
    rss = ((maps - x @ b) ** 2).sum(axis=0)
    return (c @ b) / np.sqrt(rss / (len(x) - x.shape[1]) * (c @ inverse @ c))


def _freedman_lane(found: Arrangements, maps: np.ndarray, count: int) -> np.ndarray:
    """The t maps of the first arrangements, each a fit of the whole model to moved residuals.

    Moving the residuals by the inverse of what moves the design is the same test.
    """
    design, out = found.design, []
    left = design.residuals(maps)
    kept = maps - left
    for drawn in found._draw(count, np.random.default_rng(0)):
        if design.flips:
            moved = left * drawn[:, None]
        else:
            moved = np.empty_like(left)
            moved[drawn] = left
        out.append(_t(design, kept + moved))
    return np.array(out)


CASES = [
    ("class", "none", 20),
    ("class + age + size + site", "none", 24),
    ("class + age + site", "site", 24),
    ("age + class", "family", 24),
    ("1 + age", "family", 24),
    ("1", "none", 16),
]


def _setting(
    model: str, blocks: str, n: int, effect: float = 0.0
) -> tuple[np.ndarray, Arrangements]:
    maps, table = _cohort(n, 5, effect)
    return maps, Arrangements(make_design(table, model), read_blocks(table, blocks)[0])


@pytest.mark.parametrize(("model", "blocks", "n"), CASES)
def test_voxels_against_freedman_and_lane_written_out(model: str, blocks: str, n: int) -> None:
    maps, found = _setting(model, blocks, n, effect=1.0)
    rows, complete = found.rows(60, 0)
    assert not complete
    residuals = Residuals.of(maps, found.design)
    maxima, surpassed = null_maxima(residuals, rows, threads=2)
    t, slow = _t(found.design, maps.astype(float)), _freedman_lane(found, maps, 60)
    assert residuals.t == pytest.approx(t)
    assert maxima == pytest.approx(np.abs(slow).max(axis=1), rel=1e-4)
    assert np.array_equal(surpassed, (np.abs(slow) >= np.abs(t) * (1 - 2e-5)).sum(axis=0))


@pytest.mark.parametrize(("model", "blocks", "n"), CASES[:2] + CASES[4:])
def test_all_statistics_against_a_loop(model: str, blocks: str, n: int) -> None:
    from tfce import tfce

    maps, found = _setting(model, blocks, n, effect=1.5)
    mask = _mask()
    if found.design.flips:
        maps[:, :30] += 0.5 * maps.std()
    options = TestOptions(("voxel", "size", "mass", "tfce"), permutations=60, cluster_p=0.05)
    test = permutation_test(maps, found, mask, options)
    threshold = stats.t.isf(0.025, found.design.df)
    assert test.threshold == pytest.approx(threshold)

    def measures(t: np.ndarray) -> tuple[float, float, float, list[tuple[float, float]]]:
        volume = np.zeros(SHAPE)
        volume[mask] = t
        clusters = []
        for side in (volume, -volume):
            labels, count = ndimage.label(side > threshold, np.ones((3, 3, 3)))
            each = (labels == i for i in range(1, count + 1))
            clusters += [(one.sum(), (side[one] - threshold).sum()) for one in each]
        enhanced = np.abs(tfce(volume)).max()
        sizes, masses = zip(*clusters, strict=True) if clusters else ((0,), (0,))
        return max(sizes), max(masses), enhanced, clusters

    slow = _freedman_lane(found, maps, 60)
    null = [measures(t) for t in slow]
    for i, name in enumerate(("size", "mass", "tfce")):
        # A voxel that lies on the threshold may fall to either side.
        assert test.null[name] == pytest.approx([one[i] for one in null], rel=1e-3, abs=1e-2)
    own = measures(_t(found.design, maps.astype(float)))[3]
    assert sorted((c.size, round(c.mass, 2)) for c in test.clusters) == sorted(
        (size, round(mass, 2)) for size, mass in own
    )
    for name, p in test.cluster_p.items():
        values = [getattr(c, name) for c in test.clusters]
        wanted = [(1 + sum(test.null[name] >= v * (1 - 2e-5))) / 61 for v in values]
        assert p == pytest.approx(wanted)
    for voxel in (0, 17, int(np.abs(test.t).argmax())):
        reached = (test.null["voxel"] >= abs(test.t[voxel]) * (1 - 2e-5)).sum()
        assert test.p["voxel"][voxel] == pytest.approx((1 + reached) / 61)
        reached = (test.null["tfce"] >= abs(test.tfce[voxel]) * (1 - 2e-5)).sum()
        assert test.p["tfce"][voxel] == pytest.approx((1 + reached) / 61)
    assert test.p["mass"][np.abs(test.t) < threshold] == pytest.approx(1)
    ratios = [smallest_ratio(t, found.design.df) for t in slow]
    pari = permuted_discoveries(test.t, found.design.df, np.array(ratios))
    assert test.discoveries.unit == pytest.approx(pari.unit, rel=1e-3)


def test_clusters_at_corners_of_masks() -> None:
    mask, t = _mask(), np.zeros(SHAPE, dtype=np.float32)
    t[1, 2, 3], t[2, 3, 4] = 4, 5.5  # corner to corner
    t[5, 6, 7], t[5, 6, 6] = -6, 5
    found = find_clusters(t[mask], Space(mask), 3.0)
    assert [(c.sign, c.size, c.mass) for c in found] == [(1, 2, 3.5), (-1, 1, 3.0), (1, 1, 2.0)]
    assert t[mask][[c.peak for c in found]].tolist() == [5.5, -6, 5]
    assert Space(mask).largest(t[mask], 3.0) == (2, 3.5)
    assert Space(mask).largest(t[mask], 7.0) == (0, 0)
    space = Space(mask)
    assert np.array_equal(space.volume(t[mask]), t[1:6, 1:7, 2:8] * mask[1:6, 1:7, 2:8])


def test_tfce_is_the_integral_of_smith_and_nichols() -> None:
    mask, rng = _mask(), np.random.default_rng(2)
    t = ndimage.gaussian_filter(rng.normal(size=SHAPE), 0.8).astype(np.float32) * mask * 4
    slow, step = np.zeros(SHAPE), 0.002
    for sign in (1, -1):
        for h in np.arange(step / 2, np.abs(t).max(), step):
            labels, _ = ndimage.label(sign * t > h, np.ones((3, 3, 3)))
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            slow += sign * np.sqrt(sizes)[labels] * h**2 * step
    found = Space(mask).tfce(t[mask])
    assert found == pytest.approx(slow[mask], rel=0.01, abs=0.01 * np.abs(slow).max())
    assert (np.sign(found[found != 0]) == np.sign(t[mask][found != 0])).all()


def _nilearn_order(n: int, count: int, seed: int) -> np.ndarray:
    """The permutations that nilearn draws with one job: each shuffles the last."""
    rng = np.random.RandomState(np.random.RandomState(seed).randint(1, np.iinfo(np.int32).max - 1))
    order, out = np.arange(n), []
    for _ in range(count):
        order = order[rng.permutation(n)]
        out.append(order)
    return np.array(out)


@pytest.mark.parametrize(
    ("n", "columns"), [(40, ["age", "size"]), (240, ["age", "size"]), (30, [])]
)
def test_null_maxima_are_those_of_nilearn(n: int, columns: list[str]) -> None:
    maps, table = _cohort(n, 1)
    design = make_design(table, " + ".join(["class", *columns]))
    found = Arrangements(design, read_blocks(table, "none")[0])
    drawn = _nilearn_order(n, 50, 7)
    rows = found._apply(np.column_stack([design.regressor, found.moved]), drawn)
    maxima, _ = null_maxima(Residuals.of(maps, design), rows, threads=1)
    theirs = permuted_ols(
        (table[["label"]] == "b").to_numpy(float),
        maps,
        table[columns].to_numpy() if columns else None,
        n_perm=50,
        random_state=7,
        n_jobs=1,
        output_type="dict",
    )
    assert maxima == pytest.approx(theirs["h0_max_t"][0], rel=1e-5)
    assert Residuals.of(maps, design).t == pytest.approx(theirs["t"][0], rel=1e-5, abs=1e-6)


def test_an_effect_is_found_and_no_other() -> None:
    maps, found = _setting("class", "none", 40, effect=2.5)
    options = TestOptions(("voxel", "size", "mass", "tfce"), permutations=199)
    test = permutation_test(maps, found, _mask(), options)
    planted = np.zeros(SHAPE, dtype=bool)
    planted[2:4, 2:4, 3:6] = True
    inside = planted[_mask()]
    for name, p in test.p.items():
        assert p[inside].mean() < 0.05, name
        assert (p[~inside] < 0.05).mean() < 0.1, name
    assert (test.t[inside] > 0).all()
    bound = test.discoveries
    assert 0 < bound.count(np.flatnonzero(inside)) <= inside.sum()
    assert bound.count(np.flatnonzero(~inside)) == 0
    assert bound.count(np.array([], dtype=int)) == 0
    assert test.permutations == 199

    fast = permutation_test(maps, found, _mask(), TestOptions(permutations=500, fast=True))
    assert fast.permutations == 500
    assert fast.p["voxel"].min() < 1 / 501
    near = (test.p["voxel"] > 0.05) & (test.p["voxel"] < 0.5)
    assert fast.p["voxel"][near] == pytest.approx(test.p["voxel"][near], abs=0.12)


def test_a_gamma_tail_is_that_of_its_moments() -> None:
    from voxplain.group.permutation.inference import _fitted

    null = np.random.default_rng(0).gamma(4.0, 0.5, 4000) + 2
    values = np.array([2.5, 4.0, 6.0, 8.0])
    assert _fitted(values, null) == pytest.approx(
        stats.gamma.sf(values - 2, 4.0, scale=0.5), rel=0.2
    )
    # A null with no tail to the right is counted.
    assert _fitted(np.array([0.95]), 1 - null / 100) == pytest.approx(
        (1 + (1 - null / 100 >= 0.95).sum()) / 4001, rel=1e-3
    )


def test_all_arrangements_of_few_scans() -> None:
    maps, table = _cohort(10, 2)
    found = Arrangements(make_design(table, "class"), read_blocks(table, "none")[0])
    test = permutation_test(maps, found, _mask(), TestOptions(("voxel",), permutations=5000))
    assert test.complete
    assert test.permutations == 251
    maps = maps.astype(np.float64)
    t = np.abs(stats.ttest_ind(maps[1::2], maps[::2]).statistic)
    every = np.array(
        [
            np.abs(stats.ttest_ind(maps[list(c)], np.delete(maps, c, axis=0)).statistic)
            for c in combinations(range(10), 5)
        ]
    )
    reached = every >= t * (1 - 1.1e-5)
    assert test.uncorrected == pytest.approx(reached.mean(axis=0))
    largest = every.max(axis=1)[:, None]
    assert test.p["voxel"] == pytest.approx((largest >= t * (1 - 1.1e-5)).mean(axis=0))


def test_voxels_that_do_not_vary_are_never_found() -> None:
    maps, found = _setting("class", "none", 20)
    maps[:, 3] = 7.0
    test = permutation_test(maps, found, _mask(), TestOptions(permutations=19))
    assert test.t[3] == 0
    assert test.uncorrected[3] == test.p["voxel"][3] == test.p["tfce"][3] == 1


def test_true_discoveries_against_closed_testing() -> None:
    """A set is rejected if Simes' test rejects all sets that hold it; counted set by set."""
    rng = np.random.default_rng(4)
    for trial in range(30):
        p = rng.uniform(size=7) ** (1 + 4 * (trial % 3))
        sets = [set(c) for k in range(1, 8) for c in combinations(range(7), k)]
        local = {
            frozenset(s): any(
                sorted(p[list(s)])[k - 1] <= k * 0.05 / len(s) for k in range(1, len(s) + 1)
            )
            for s in sets
        }
        closed = {s: all(local[o] for o in local if s <= o) for s in local}
        found = simes_discoveries(p)
        for s in sets:
            kept = [len(o) for o in closed if o <= s and not closed[o]]
            assert found.count(np.array(sorted(s))) == len(s) - max(kept, default=0)


def test_true_discoveries_against_nilearn() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=SHAPE)
    z[2:5, 2:5, 2:6] += 3.5
    mask = _mask()
    image = Nifti1Image(z, np.eye(4))
    theirs = cluster_level_inference(
        image, Nifti1Image(mask.astype(np.uint8), np.eye(4)), threshold=1.7, alpha=0.05
    ).get_fdata()
    labels, count = ndimage.label((z > 1.7) & mask)
    found = simes_discoveries(stats.norm.sf(z[mask]))
    assert count > 1
    for i in range(1, count + 1):
        voxels = np.flatnonzero((labels == i)[mask])
        share = found.count(voxels) / len(voxels)
        assert theirs[labels == i] == pytest.approx(share, abs=1.01 / len(voxels))
    assert max(found.count(np.flatnonzero((labels == i)[mask])) for i in range(1, count + 1)) > 5


def test_bounds_by_rearrangement_by_hand() -> None:
    t = np.array([6.0, 5.5, 0.3, 0.2, -5.0])
    p = 2 * stats.t.sf(np.abs(t), 30)
    ratios = np.linspace(0.001, 0.1, 99)
    found = permuted_discoveries(t, 30, ratios)
    own = min(p[np.argsort(p)[k]] / (k + 1) for k in range(5))
    assert smallest_ratio(t, 30) == pytest.approx(own, rel=1e-4)
    # Of 100 ratios, five lie below the sixth.
    assert found.unit == pytest.approx(sorted([*ratios, own])[5])
    assert found.count(np.arange(5)) == 3
    assert found.count(np.array([0, 2])) == 1
    assert found.count(np.array([2, 3])) == 0
    assert Discoveries(p, 0.0).count(np.arange(5)) == 0
    with pytest.raises(InputError, match="between 0 and 1"):
        simes_discoveries(np.array([0.1, 1.1]))
    assert simes_discoveries(np.full(4, 0.01)).count(np.arange(4)) == 4


@pytest.mark.parametrize("kind", ["absolute", "negated"])
def test_maps_of_one_sign_have_no_mean_to_test(kind: str) -> None:
    maps, found = _setting("1", "none", 16)
    one_sided = np.abs(maps) * (1 if kind == "absolute" else -1)
    with pytest.raises(InputError, match=r"all of one sign.*take a signed method"):
        permutation_test(one_sided, found, _mask())


def test_what_cannot_be_tested() -> None:
    maps, found = _setting("class", "none", 20)
    with pytest.raises(InputError, match=r"have \(178,\) voxels, the mask 504"):
        permutation_test(maps, found, np.ones(SHAPE, dtype=bool))
    broken = maps.copy()
    broken[3, 5] = np.nan
    with pytest.raises(InputError, match="map of 003 has values that are not finite"):
        permutation_test(broken, found, _mask())
    with pytest.raises(InputError, match="the design 20 scans"):
        Residuals.of(maps[:5], found.design)
    with pytest.raises(InputError, match="Unknown statistic 'clusters'"):
        TestOptions(("clusters",))
    with pytest.raises(InputError, match="18 permutations cannot"):
        TestOptions(permutations=18)
    with pytest.raises(InputError, match=r"cluster-forming p must lie between 0 and \.5"):
        TestOptions(cluster_p=0.0)


def test_same_seed_same_test_and_threads_do_not_matter() -> None:
    maps, found = _setting("class + age", "none", 20)
    names = ("voxel", "mass", "tfce")

    def run(seed: int, threads: int) -> Inference:
        return permutation_test(
            maps, found, _mask(), TestOptions(names, 64, seed=seed, threads=threads)
        )

    one, again, other = run(0, 1), run(0, 3), run(1, 1)
    for name in names:
        assert np.array_equal(one.null[name], again.null[name])
        assert not np.array_equal(one.null["voxel"], other.null["voxel"])


def test_pieces_of_many_scans_hold_fewer_voxels_and_may_lie_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps, table = _cohort(30, 8)
    maps, design = maps[:, :70], make_design(table, "label")
    whole = Residuals.of(maps, design)
    monkeypatch.setattr("voxplain.group.permutation.residuals._PIECE", 64)
    monkeypatch.setattr("voxplain.group.permutation.residuals._SCANS", 10)
    given: list[np.ndarray] = []

    def allocate(shape: tuple[int, int]) -> np.ndarray:
        given.append(np.zeros(shape, np.float32))
        return given[-1]

    cut = Residuals.of(maps, design, allocate)
    assert [piece.shape for piece in cut.pieces] == [(21, 30)] * 3 + [(7, 30)]
    assert all(a is b for a, b in zip(cut.pieces, given, strict=True))
    assert cut.starts == [0, 21, 42, 63]
    np.testing.assert_allclose(np.concatenate(cut.pieces), np.concatenate(whole.pieces), atol=1e-6)
    np.testing.assert_allclose(cut.t, whole.t, atol=1e-5)
