"""From listed scans to a store on disk: whole, resumed, verified, and never mixed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from voxplain.cohort import prepare, read_volume, workers
from voxplain.cohort.build import Built, build_store
from voxplain.cohort.check.balance import balance, matched_by_size
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.find.sources import from_table
from voxplain.cohort.prepare.recipe import PRESETS, Recipe
from voxplain.cohort.store.origins import read_origins
from voxplain.cohort.store.reader import check_store, open_store
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError, StudyError
from voxplain.files.atomic import cannot_write
from voxplain.grid import Grid
from voxplain.volume import Cohort

COARSE = Grid.covering((-90, -126, -72), (90, 90, 108), (15, 18, 15), flip_x=True)
RECIPE = Recipe("coarse", COARSE)


class Quiet:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[object]:
        self.said.append(name)
        yield lambda done, note="": None


@pytest.fixture
def found(tmp_path: Path, write_nifti) -> Listing:
    rng = np.random.default_rng(0)
    grid = Grid.covering((-90, -126, -72), (90, 90, 108), (45, 54, 45))
    at = grid.to_world(np.stack(np.indices(grid.shape), axis=-1)) - [0, -18, 9]
    rows = ["participant_id\timage\tsex\tage\tsite"]
    for i in range(8):
        inside = np.linalg.norm(at / [58 + i, 75, 60], axis=-1) < 1
        noise = gaussian_filter(rng.normal(size=grid.shape), 2)
        write_nifti(np.where(inside, 100 + 50 * noise, 0), grid, f"{i}.nii.gz", np.float32)
        rows.append(f"0{i}\t{i}.nii.gz\t{'MF'[i % 2]}\t{20 + i}\tX")
    (tmp_path / "t.tsv").write_text("\n".join(rows))
    return from_table(tmp_path / "t.tsv", "sex")


def make(found: Listing, folder: Path, recipe: Recipe = RECIPE, **options) -> Built:
    given = {"workers": 1, "progress": Quiet(), **options}
    return build_store(found, recipe, folder, **given)


def test_volumes_are_those_of_prepare(found: Listing, tmp_path: Path) -> None:
    built = make(found, tmp_path / "store")
    cohort = open_store(tmp_path / "store")
    for opened in (built.cohort, cohort):
        assert opened.subjects == [f"0{i}" for i in range(8)]
        assert opened.grid.same_as(COARSE)
        assert opened.class_names == ("female", "male")
        for i, scan in enumerate(found.scans):
            wanted = prepare(read_volume(scan.image, scan.subject), RECIPE)
            np.testing.assert_array_equal(opened[i].values, wanted.volume.values)
            assert opened.participants["brain_ml"][i] == pytest.approx(wanted.brain_ml, abs=0.06)
    assert list(cohort.participants["age"]) == list(range(20, 28))
    assert check_store(tmp_path / "store") == []


def test_several_workers_give_the_same_bytes(found: Listing, tmp_path: Path) -> None:
    make(found, tmp_path / "a")
    make(found, tmp_path / "b", workers=2)
    for name in ("images.npy", "store.json", "participants.tsv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_rerun_goes_on_where_it_stopped(
    found: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def counted(volume, recipe, mask=None, centre=None):
        seen.append(volume.subject)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return prepare(volume, recipe, mask, centre)

    monkeypatch.setattr(workers, "prepare", counted)
    with pytest.raises(KeyboardInterrupt):
        make(found, tmp_path / "store")
    with pytest.raises(StudyError, match="not finished; run the same command again"):
        open_store(tmp_path / "store")
    with (tmp_path / "store/journal.jsonl").open("a") as journal:
        journal.write('\n{"index": 5, "stam')
    quiet = Quiet()
    make(found, tmp_path / "store", progress=quiet)
    assert seen == ["00", "01", "02", "03", "03", "04", "05", "06", "07"]
    assert quiet.said[0] == "3 scans are kept, they were done before."
    again = Quiet()
    make(found, tmp_path / "store", progress=again)
    assert again.said == ["8 scans are kept, they were done before."]
    make(found, tmp_path / "whole")
    for name in ("images.npy", "store.json"):
        once, twice = (tmp_path / folder / name for folder in ("whole", "store"))
        assert once.read_bytes() == twice.read_bytes()


def test_a_scan_that_changed_is_made_again(found: Listing, tmp_path: Path) -> None:
    make(found, tmp_path / "store")
    path = found.scans[2].image.path
    path.write_bytes(found.scans[3].image.path.read_bytes())
    quiet = Quiet()
    built = make(found, tmp_path / "store", progress=quiet)
    assert "Preparing 1 scan" in quiet.said
    np.testing.assert_array_equal(built.cohort[2].values, built.cohort[3].values)
    assert check_store(tmp_path / "store") == []


def test_while_scans_are_made_again_there_is_no_store(
    found: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(found, tmp_path / "store")
    found.scans[2].image.path.touch()

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(workers, "prepare", stop)
        with pytest.raises(KeyboardInterrupt):
            make(found, tmp_path / "store")
    with pytest.raises(StudyError, match="not finished"):
        open_store(tmp_path / "store")
    assert len(make(found, tmp_path / "store").cohort) == 8


def test_words_for_nothing_may_name_a_class(found: Listing, tmp_path: Path) -> None:
    names = ["None" if name == "male" else "NA" for name in found.participants["label"]]
    odd = replace(
        found, participants=found.participants.assign(label=names), class_names=("NA", "None")
    )
    make(odd, tmp_path / "store")
    assert list(open_store(tmp_path / "store").participants["label"]) == names


def test_unusable_scans_are_left_out_and_tried_again(found: Listing, tmp_path: Path) -> None:
    path = found.scans[2].image.path
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    built = make(found, tmp_path / "store")
    assert built.cohort.subjects == ["00", "01", "03", "04", "05", "06", "07"]
    assert [(e.subject, e.what) for e in built.exclusions] == [("02", str(path))]
    assert "truncated" in built.exclusions[0].reason
    wanted = prepare(read_volume(found.scans[3].image), RECIPE).volume.values
    np.testing.assert_array_equal(built.cohort[2].values, wanted)
    path.write_bytes(good)
    assert len(make(found, tmp_path / "store").cohort) == 8


def test_recipes_and_lists_are_not_mixed(found: Listing, tmp_path: Path) -> None:
    make(found, tmp_path / "store")
    with pytest.raises(StudyError, match="made by another recipe; give another folder"):
        make(found, tmp_path / "store", replace(RECIPE, level=1.0))
    fewer = replace(found, scans=found.scans[:4], participants=found.participants[:4])
    with pytest.raises(StudyError, match="made by other scans"):
        make(fewer, tmp_path / "store")


def test_damage_is_found(found: Listing, tmp_path: Path) -> None:
    make(found, tmp_path / "store")
    path = tmp_path / "store/images.npy"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    assert check_store(tmp_path / "store") == ["07"]
    path.write_bytes(content[:-100])
    with pytest.raises(StudyError, match="is damaged"):
        open_store(tmp_path / "store")


def test_what_is_no_store_is_told_from_what_is_one_further_down(
    found: Listing, tmp_path: Path
) -> None:
    make(found, tmp_path / "study" / "cohort")
    assert len(open_store(str(tmp_path / "study" / "cohort"))) == 8
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("nothing", r"There is no cohort in .*nothing, which does not exist"),
        ("file", r"There is no cohort in .*file, which is a file"),
        ("empty", r"There is no cohort in .*empty; make one with 'voxplain cohort'"),
        ("study", r"no cohort in .*study itself, but in .*study/cohort; give that"),
    ):
        with pytest.raises(StudyError, match=words):
            open_store(tmp_path / name)
    for wrong in (3, None, found):
        with pytest.raises(InputError, match=r"by the path of its folder, such as 'study/cohort'"):
            open_store(wrong)  # type: ignore[arg-type]


def test_a_full_disk_is_a_sentence(
    found: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, index: int, values: object) -> int:
        raise cannot_write(OSError(28, "No space left"), path)

    monkeypatch.setattr(workers, "write_row", full)
    with pytest.raises(StudyError, match="the disk is full; free some space and run the same"):
        make(found, tmp_path / "store")


def test_a_class_without_usable_scans_is_no_class(found: Listing, tmp_path: Path) -> None:
    labels = ["a", "b", "c", "a", "b", "a", "b", "a"]
    three = replace(
        found, participants=found.participants.assign(label=labels), class_names=("a", "b", "c")
    )
    found.scans[2].image.path.write_bytes(b"")
    assert make(three, tmp_path / "store").cohort.class_names == ("a", "b")


def test_one_class_left_is_refused(found: Listing, tmp_path: Path) -> None:
    for scan in found.scans[1::2]:
        scan.image.path.write_bytes(b"")
    with pytest.raises(InputError, match=r"scans of 'male' alone.*first failure: .*empty file"):
        make(found, tmp_path / "store")


def _cohort(**columns: object) -> Cohort:
    table = pd.DataFrame(columns)
    table.insert(0, "participant_id", [f"sub-{i}" for i in range(len(table))])
    return Cohort(table, ("f", "m"), COARSE, lambda i: np.zeros(COARSE.shape, np.float32))


def test_size_that_tells_is_said_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat(["f", "m"], 60)
    size = rng.normal(1200, 100, 120) + 150 * (label == "m")
    cohort = _cohort(
        label=label, brain_ml=size, age=rng.normal(size=120), site=["A"] * 60 + ["B"] * 60
    )
    told = {one.name: one for one in balance(cohort)}
    assert told["brain_ml"].auc > 0.75
    assert told["brain_ml"].telling
    assert told["site"].auc == 1
    assert not told["age"].telling
    low, high = told["age"].interval
    assert low < 0.5 < high
    assert told["site"].by_class == {"f": "A 60", "m": "B 60"}
    assert balance(_cohort(label=label, site=["A"] * 120)) == []
    with pytest.raises(InputError, match="no column 'income'"):
        balance(cohort, ["income"])


def test_a_number_that_says_nothing_is_at_chance() -> None:
    """Equal in both classes, pair by pair; held-out predictions would put it far below .5."""
    size = np.repeat(np.linspace(1200, 1500, 10), 2) + np.tile([0, 1], 10)
    (one,) = balance(_cohort(label=["f", "m"] * 10, brain_ml=size))
    by_hand = np.mean([(a > b) + 0.5 * (a == b) for a in size[1::2] for b in size[::2]])
    assert one.auc == pytest.approx(by_hand)
    assert 0.5 <= one.auc < 0.6
    assert not one.telling


def test_pairs_of_a_size_are_as_many_as_can_be() -> None:
    """Second derivation: the largest matching of the bipartite graph, by scipy."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    rng = np.random.default_rng(1)
    for _ in range(30):
        label = rng.choice(["f", "m"], 25)
        size = rng.normal(1200, 100, 25) + 120 * (label == "m")
        f, m = np.flatnonzero(label == "f"), np.flatnonzero(label == "m")
        near = np.abs(size[f][:, None] - size[m]) <= 25
        most = int((maximum_bipartite_matching(csr_matrix(near)) >= 0).sum())
        chosen = matched_by_size(label.tolist(), size.tolist(), ("f", "m"))
        assert len(chosen) == 2 * most
        assert (label[chosen] == "f").sum() == most
        gaps = np.sort(size[chosen][label[chosen] == "f"]) - np.sort(
            size[chosen][label[chosen] == "m"]
        )
        assert np.abs(gaps).max() <= 25
    with pytest.raises(InputError, match="No two brains"):
        matched_by_size(["f", "m"], [1000, 1300], ("f", "m"))


def test_matching_leaves_the_rest_out_with_a_reason(found: Listing, tmp_path: Path) -> None:
    built = make(found, tmp_path / "store", match_size=True)
    left = {one.subject for one in built.exclusions}
    assert len(built.cohort) + len(left) == 8
    assert left.isdisjoint(built.notes)
    counts = built.cohort.participants["label"].value_counts()
    assert counts["male"] == counts["female"]
    assert json.loads((tmp_path / "store/store.json").read_text())["rows"] == [
        int(s) for s in built.cohort.subjects
    ]


def test_presets_tell_their_steps() -> None:
    digests = {recipe.digest() for recipe in PRESETS.values()}
    assert len(digests) == len(PRESETS)
    assert PRESETS["mni-2mm"].grid.shape == (91, 109, 91)
    assert PRESETS["mni-1mm"].grid.shape == (182, 218, 182)
    renamed = replace(PRESETS["kan2020"], name="x", description="y")
    assert renamed.digest() == PRESETS["kan2020"].digest()
    with pytest.raises(InputError, match="Unknown intensity scaling 'z-score'"):
        replace(RECIPE, intensity="z-score")
    with pytest.raises(InputError, match="above 0 and up to 100"):
        replace(RECIPE, percentile=0)


def test_a_killed_worker_is_a_sentence(
    found: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Future):
        def result(self, timeout: float | None = None) -> object:
            raise BrokenProcessPool("A process in the pool was terminated abruptly")

    def submit(self: object, *task: object) -> Future:
        future = Killed()
        future.set_result(None)
        return future

    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", submit)
    with pytest.raises(StudyError, match="run the same command again with fewer --workers"):
        make(found, tmp_path / "store", workers=2)


def test_a_store_keeps_the_way_back_to_each_scan(found: Listing, tmp_path: Path) -> None:
    recipe = replace(RECIPE, align="centre")
    built = make(found, tmp_path / "store", recipe)
    origins = read_origins(tmp_path / "store")
    assert [one.image.path for one in origins] == [scan.image.path for scan in found.scans]
    values = np.random.default_rng(1).normal(size=COARSE.shape).astype(np.float32)
    for i in (0, 5):
        scan = read_volume(found.scans[i].image)
        wanted = prepare(scan, recipe)
        got = origins[i].prepared(built.cohort[i])
        assert got.source.same_as(scan.grid)
        assert not got.placed.same_as(got.source)
        for additive in (True, False):
            np.testing.assert_allclose(
                got.back(values, additive), wanted.back(values, additive), atol=1e-6
            )
    write_store(tmp_path / "made", built.cohort, "phantom: seed 0")
    with pytest.raises(StudyError, match=r"were made \(phantom: seed 0\), not read from files"):
        read_origins(tmp_path / "made")
    told = json.loads((tmp_path / "store/store.json").read_text())
    (tmp_path / "store/store.json").write_text(json.dumps({**told, "origins": [None] * 8}))
    with pytest.raises(StudyError, match="by an earlier voxplain"):
        read_origins(tmp_path / "store")
