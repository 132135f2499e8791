"""Maps in stores: the bytes of files, whole or not there, whoever writes and whatever is lost."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_study import REQUEST, make_map

from voxplain.errors import StudyError
from voxplain.grid import Grid
from voxplain.maps import AttributionMap
from voxplain.study import Batch, MapToWrite, Study, batch_at, map_folder
from voxplain.study.stores import Stores


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path / "stores")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path / "out", "a test", "0.1")


def content_of(number: int, text: str = "") -> dict[str, bytes]:
    return {
        f"sub-{number}/sub-{number}_statmap.json": f'{{"text": "{text}{number}"}}'.encode() * 9,
        f"sub-{number}/sub-{number}_statmap.nii.gz": f"{text}{number}".encode(),
    }


def files_in(stores: Stores) -> dict[str, bytes]:
    """All files of all stores, read by the library that knows the format."""
    found: dict[str, bytes] = {}
    for path in sorted(stores.folder.iterdir()):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for name in archive.namelist():
                assert name not in found
                found[name] = archive.read(name)
    return found


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_batches_become_one_file_when_all_are_there(
    stores: Stores, tmp_path: Path, order: tuple[int, ...]
) -> None:
    reader = Stores(stores.folder)
    for count, number in enumerate(order, start=1):
        stores.write(Batch("block", number, 3), content_of(number), {})
        assert len(list(stores.folder.iterdir())) == (1 if count == 3 else count)
        assert reader.read(f"sub-{number}/sub-{number}_statmap.json") is not None
    (path,) = stores.folder.iterdir()
    assert path.name == "block_statmap.zip"
    expected = content_of(0) | content_of(1) | content_of(2)
    assert files_in(stores) == expected
    for known in (stores, reader, Stores(stores.folder)):
        assert known.list_names() == sorted(expected)
        assert known.list_names("sub-1") == sorted(content_of(1))
        assert {name: known.read(name) for name in expected} == expected
    other = Stores(tmp_path / "others")
    for number in range(3):
        other.write(Batch("block", number, 3), content_of(number), {})
    assert (other.folder / path.name).read_bytes() == path.read_bytes()


def test_a_block_that_lacks_a_batch_is_closed_by_who_works_alone(stores: Stores) -> None:
    for number in (0, 2):
        stores.write(Batch("block", number, 3), content_of(number), {})
    stores.write(Batch("other", 0, 1), content_of(7), {})
    stores.tidy()
    assert [path.name for path in sorted(stores.folder.iterdir())] == [
        "block_statmap.zip",
        "other_statmap.zip",
    ]
    stores.write(Batch("block", 1, 3), content_of(1), {})
    assert stores.read("sub-1/sub-1_statmap.nii.gz") == b"1"
    stores.tidy()
    assert files_in(stores) == {k: v for i in (0, 1, 2, 7) for k, v in content_of(i).items()}


def test_a_kill_between_the_block_and_its_batches_loses_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write(Batch("block", 0, 2), content_of(0), {})
    with monkeypatch.context() as patched:
        patched.setattr(Stores, "_remove", lambda self, names: None)
        stores.write(Batch("block", 1, 2), content_of(1), {})
    assert len(list(stores.folder.iterdir())) == 3
    again = Stores(stores.folder)
    assert again.list_names() == sorted(content_of(0) | content_of(1))
    # The same part, run a second time, makes no second block of what it has.
    again.write(Batch("block", 1, 2), content_of(1), {})
    again.tidy()
    assert files_in(again) == content_of(0) | content_of(1)


def test_who_put_the_batches_together_first_is_not_undone(stores: Stores) -> None:
    first, second = Stores(stores.folder), Stores(stores.folder)
    first.write(Batch("block", 0, 3), content_of(0), {})
    first.write(Batch("block", 1, 3), content_of(1), {})
    assert second.list_names() == sorted(content_of(0) | content_of(1))
    first.write(Batch("block", 2, 3), content_of(2), {})
    before = files_in(first)
    # It saw the batches, and they are gone.
    second._join("block", ["block_batch-000_statmap.zip", "block_batch-001_statmap.zip"])
    assert files_in(first) == before
    assert second.list_names() == sorted(before)


def test_what_replaces_counts_until_it_is_replaced(stores: Stores) -> None:
    name = "sub-0/sub-0_statmap.nii.gz"
    stores.write(Batch("old", 0, 1), content_of(0) | content_of(1), {})
    stores.write(Batch("new", 0, 1), content_of(0, "b"), dict.fromkeys(content_of(0), 1))
    for known in (stores, Stores(stores.folder)):
        assert known.read(name) == b"b0"
        assert known.edition(name) == 1
        assert known.read("sub-1/sub-1_statmap.nii.gz") == b"1"
    assert known.edition("sub-3/sub-3_statmap.nii.gz") is None
    stores.tidy()
    assert len(list(stores.folder.iterdir())) == 2
    both = dict.fromkeys(content_of(0) | content_of(1), 2)
    stores.write(Batch("third", 0, 1), content_of(0, "c") | content_of(1, "c"), both)
    stores.tidy()
    assert [path.name for path in stores.folder.iterdir()] == ["third_statmap.zip"]
    (stores.folder / "third_statmap.zip").unlink()
    assert stores.read(name) is None
    assert stores.list_names() == []


def test_a_store_hides_what_it_replaced_and_shows_it_when_it_goes(stores: Stores) -> None:
    stores.write(Batch("old", 0, 1), content_of(0), {})
    stores.write(Batch("new", 0, 1), content_of(0, "b"), dict.fromkeys(content_of(0), 1))
    (stores.folder / "new_statmap.zip").unlink()
    assert stores.read("sub-0/sub-0_statmap.nii.gz") == b"0"
    assert stores.list_names("sub-0") == sorted(content_of(0))


def test_damage_is_seen_and_mended(stores: Stores) -> None:
    stores.write(Batch("block", 0, 1), content_of(0) | content_of(1), {})
    (path,) = stores.folder.iterdir()
    good = path.read_bytes()
    at = good.index(b"1", good.index(b"sub-1/sub-1_statmap.nii.gz") + 26)
    path.write_bytes(good[:at] + b"X" + good[at + 1 :])
    assert stores.read("sub-1/sub-1_statmap.nii.gz") is None
    assert stores.read("sub-0/sub-0_statmap.nii.gz") == b"0"
    assert stores.unreadable() == []
    stores.write(Batch("block", 0, 1), content_of(1), {})
    assert stores.read("sub-1/sub-1_statmap.nii.gz") == b"1"
    stores.tidy()
    assert path.read_bytes() == good
    for content in (b"", good[:-9], b"no zip"):
        path.write_bytes(content)
        assert stores.unreadable() == [path]
        assert stores.list_names() == []
    stores.write(Batch("block", 0, 1), content_of(0) | content_of(1), {})
    assert path.read_bytes() == good
    assert stores.unreadable() == []


@pytest.mark.parametrize("name", ["../../x/sub-0_statmap.json", "/tmp/x", "sub-0/../sub-1.json"])
def test_a_store_that_leads_elsewhere_is_not_read(stores: Stores, name: str) -> None:
    stores.write(Batch("good", 0, 1), content_of(1), {})
    with zipfile.ZipFile(stores.folder / "bad_statmap.zip", "w") as archive:
        archive.writestr("sub-0/sub-0_statmap.json", "{}")
        archive.writestr(name, "{}")
    assert stores.list_names() == sorted(content_of(1))
    assert [path.name for path in stores.unreadable()] == ["bad_statmap.zip"]


def test_batches_and_blocks_of_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxplain.study.batches.SCANS_OF_A_STORE", 16)
    asked = [(f"{i}", {"seed": 0, "logits_on_noise": [[i]]}) for i in range(37)]
    found = [batch_at(i, 5, asked, "Grad-CAM++", "my net") for i in range(37)]
    assert [one.number for one in found] == [i // 5 % 3 for i in range(37)]
    assert [one.of for one in found] == [3] * 30 + [2] * 7
    assert len({one.block for one in found}) == 3
    assert all(one.block.startswith("model-MyNet_desc-GradCAMPlusPlus_store-") for one in found)
    rounded = [(name, {**told, "logits_on_noise": [[0.1]]}) for name, told in asked]
    assert batch_at(3, 5, rounded, "Grad-CAM++", "my net") == found[3]
    other = [(name, {**told, "seed": 1}) for name, told in asked]
    assert batch_at(3, 5, other, "Grad-CAM++", "my net").block != found[3].block


def to_write(
    grid: Grid, subject: str, network: str = "", target: str = "case", seed: int = 0
) -> MapToWrite:
    made = make_map(grid, 1.0 + len(subject) + seed)
    made = replace(made, subject=subject, target=target, spread=np.abs(made.values))
    return MapToWrite(made, "Grad-CAM", REQUEST | {"seed": seed}, 1.5, network, {"image": "x"})


def test_a_batch_holds_the_bytes_of_files(study: Study, tmp_path: Path, awkward_grid: Grid) -> None:
    plain = Study(tmp_path / "plain", "a test", "0.1")
    # Two of them are spelled alike, one has another network, and one another target.
    maps = [
        to_write(awkward_grid, "01"),
        to_write(awkward_grid, "0-1"),
        to_write(awkward_grid, "02", "net"),
        to_write(awkward_grid, "02", "other"),
        to_write(awkward_grid, "02", "net", "control"),
    ]
    paths = [plain.write_map(*one) for one in maps]
    stored = study.write_batch(maps, Batch("block", 0, 1))
    assert [p.relative_to(study.folder) for p in stored] == [
        p.relative_to(plain.folder) for p in paths
    ]
    names = sorted(str(p.relative_to(plain.folder)) for p in plain.folder.glob("maps/*/*"))
    assert len(names) == 15
    for name in names:
        assert not (study.folder / name).exists()
        assert study.read_bytes(name) == (plain.folder / name).read_bytes()
    for one, path in zip(maps, stored, strict=True):
        found = study.find_map(one.map_.subject, "grad-cam", one.request, one.network)
        assert found is not None
        assert found[2] in stored
        loaded = study.load_map(path)
        np.testing.assert_array_equal(loaded.values, one.map_.values)
        np.testing.assert_array_equal(loaded.spread, one.map_.spread)
        assert loaded.provenance == one.map_.provenance
    assert study.find_map("01", "grad-cam", REQUEST | {"seed": 3}) is None
    for both in (study, plain):
        assert [told for _, told in both.all_maps()] == [told for _, told in plain.all_maps()]
        assert len(both.maps_of("02", "grad-cam", "net")) == 2
    assert sum(study.export_map(name, tmp_path / "out2") for name in study.list_sidecars()) == 5
    assert not any(study.export_map(name, tmp_path / "out2") for name in study.list_sidecars())
    for path in (tmp_path / "out2").rglob("*.*"):
        name = path.relative_to(tmp_path / "out2")
        assert path.read_bytes() == (plain.folder / "maps" / name).read_bytes()


def test_a_map_made_otherwise_replaces_the_one_that_was_there(
    study: Study, awkward_grid: Grid
) -> None:
    first, second = to_write(awkward_grid, "01"), to_write(awkward_grid, "01", seed=1)
    (path,) = study.write_batch([first], Batch("first", 0, 1))
    other = to_write(awkward_grid, "02")
    study.write_map(*other)
    study.write_batch([second, other], Batch("second", 0, 1))
    np.testing.assert_array_equal(study.load_map(path).values, second.map_.values)
    assert study.find_map("01", "grad-cam", first.request) is None
    # Of two places one remains.
    assert not list(study.folder.glob("maps/sub-02/*"))
    study.tidy_maps()
    (store,) = (study.folder / "maps/stores").iterdir()
    assert store.name == "second_statmap.zip"
    study.write_map(*first)
    np.testing.assert_array_equal(study.load_map(path).values, first.map_.values)
    assert [p for p, _ in study.sidecars("01")] == [path.with_name(path.name[:-7] + ".json")]


@pytest.mark.parametrize("stored", [True, False])
def test_a_late_file_is_waited_for(
    study: Study, awkward_grid: Grid, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    one = to_write(awkward_grid, "01")
    path = study.write_batch([one], Batch("b", 0, 1))[0] if stored else study.write_map(*one)
    late = next((study.folder / "maps/stores").iterdir()) if stored else path
    content, waits = late.read_bytes(), list[float]()

    def appear(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            late.write_bytes(content)
            os.utime(late.parent)

    monkeypatch.setattr(map_folder.time, "sleep", appear)
    for absent in (True, False):
        waits.clear()
        if stored:
            late.write_bytes(b"")
            study.require_whole_maps()
            assert len(waits) == 2
            waits.clear()
        late.unlink() if absent else late.write_bytes(b"")
        found: AttributionMap = study.load_map(path)
        np.testing.assert_array_equal(found.values, one.map_.values)
        assert len(waits) == 2


@pytest.mark.parametrize("stored", [True, False])
def test_what_stays_empty_is_told_in_a_sentence(
    study: Study, awkward_grid: Grid, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    monkeypatch.setattr(map_folder, "_PATIENCE", 0)
    one = to_write(awkward_grid, "01")
    path = study.write_batch([one], Batch("b", 0, 1))[0] if stored else study.write_map(*one)
    study.require_whole_maps()
    assert study.list_sidecars("sub-01") == study.list_sidecars()
    sidecar = path.with_name(path.name[:-7] + ".json")
    empty = study.folder / "maps/stores/b_statmap.zip" if stored else sidecar
    empty.write_bytes(b"")
    with pytest.raises(StudyError, match=f"{empty.name} is empty or damaged, and was waited for"):
        study.require_whole_maps()
    with pytest.raises(StudyError, match="run the same 'voxplain explain' again"):
        study.load_map(path)


def test_a_damaged_map_in_a_store_is_told_in_a_sentence(study: Study, awkward_grid: Grid) -> None:
    one = to_write(awkward_grid, "01")
    (path,) = study.write_batch([one], Batch("b", 0, 1))
    store = study.folder / "maps/stores/b_statmap.zip"
    with zipfile.ZipFile(store) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for wrong in (b"nothing", files["sub-01/sub-01_desc-GradCAMCase_statmap.nii.gz"][:-5]):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, wrong if name.endswith("Case_statmap.nii.gz") else content)
        store.write_bytes(buffer.getvalue())
        os.utime(store.parent)
        study.stores.unreadable()
        with pytest.raises(ValueError, match=r"statmap.nii.gz is damaged; make the map again"):
            study.load_map(path)
        assert study.find_map("01", "grad-cam", one.request) is None
    assert json.loads(files["sub-01/sub-01_desc-GradCAMCase_statmap.json"])["Subject"] == "01"


def test_a_late_batch_does_not_undo_what_replaced_it(stores: Stores) -> None:
    stores.write(Batch("block", 0, 1), content_of(0, "b"), dict.fromkeys(content_of(0), 1))
    stores.write(Batch("block", 0, 1), content_of(0) | content_of(1), {})
    assert len(list(stores.folder.iterdir())) == 2
    stores.tidy()
    assert files_in(stores) == content_of(0, "b") | content_of(1)


def test_what_is_damaged_in_a_block_is_left_out_when_a_batch_joins_it(stores: Stores) -> None:
    stores.write(Batch("block", 0, 2), content_of(0), {})
    stores.write(Batch("block", 1, 2), content_of(1), {})
    (path,) = stores.folder.iterdir()
    lost = "sub-1/sub-1_statmap.nii.gz"
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo(lost).header_offset + 30 + len(lost)
    content = bytearray(path.read_bytes())
    assert content[begin : begin + 1] == b"1"
    content[begin] ^= 1
    path.write_bytes(content)
    stores.write(Batch("block", 2, 3), content_of(2), {})
    stores.tidy()
    every = content_of(0) | content_of(1) | content_of(2)
    assert files_in(stores) == {name: told for name, told in every.items() if name != lost}
