"""What data managers leave in place of a file: each is named, with the command that fetches it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from voxplain.cohort import PRESETS, read_atlas, read_mask, read_volume
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_bids, from_freesurfer, from_table
from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.images.archives import open_archive
from voxplain.nets import read_weights

KEY = "SHA256E-s10301--abc.nii.gz"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00ff\nsize 10301\n"
FETCH_ANNEX = r"its content was not fetched; run datalad get or git annex get on it\.$"
FETCH_LFS = r"a pointer of Git LFS, and its content was not fetched; run git lfs pull"
GRID = Grid.covering((-64, -90, -50), (64, 54, 70), (32, 36, 30))


def link_of_annex(path: Path) -> None:
    path.symlink_to(f"../../.git/annex/objects/q/w/{KEY}/{KEY}")


def unlocked(path: Path) -> None:
    path.write_text(f"/annex/objects/{KEY}\n")


def link_as_text(path: Path) -> None:
    path.write_text(f"..\\..\\.git\\annex\\objects\\q\\w\\{KEY}\\{KEY}")


def pointer_of_lfs(path: Path) -> None:
    path.write_text(LFS)


ABSENT = {
    "link of git-annex": (link_of_annex, FETCH_ANNEX),
    "unlocked file of git-annex": (unlocked, FETCH_ANNEX),
    "link of git-annex as text": (link_as_text, FETCH_ANNEX),
    "pointer of Git LFS": (pointer_of_lfs, FETCH_LFS),
    "another link": (lambda p: p.symlink_to("gone.nii"), r"a link to gone\.nii, and nothing is"),
    "a link to itself": (lambda p: p.symlink_to(p.name), "is a link to .*, and nothing is there"),
}
READERS: dict[str, Callable[[Path], object]] = {
    "scan.nii.gz": read_volume,
    "scan.nii": read_volume,
    "scan.img": read_volume,
    "scan.mgz": read_volume,
    "scan.npy": read_volume,
    "mask.nii.gz": lambda path: read_mask(path, GRID),
    "table.tsv": read_table,
    "table.xlsx": read_table,
    "package.zip": lambda path: open_archive(path).__enter__(),
    "weights.pt": read_weights,
    "weights.safetensors": read_weights,
    "names.txt": lambda path: read_atlas(path.with_name("labels.nii"), path, "own", "MNI152"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("leave", "message"), ABSENT.values(), ids=ABSENT.keys())
def test_every_reader_says_what_to_run(tmp_path, name, leave, message) -> None:
    path = tmp_path / name
    leave(path)
    if name == "scan.img":
        path.with_suffix(".hdr").write_bytes(bytes(348))
    with pytest.raises(InputError, match=message) as caught:
        READERS[name](path)
    assert name in str(caught.value)
    assert "rename it" not in str(caught.value)


def test_a_fetched_link_is_read(tmp_path, write_nifti) -> None:
    values = np.arange(504).reshape(7, 8, 9)
    there = write_nifti(values, np.diag([2.0, 2, 2, 1]), f".git/annex/objects/q/w/{KEY}")
    link = tmp_path / "scan.nii.gz"
    link.symlink_to(there)
    np.testing.assert_array_equal(read_volume(link).values, values)


class Silent:
    def say(self, text: str) -> None: ...

    @contextmanager
    def step(self, name, total):
        yield lambda done, note="": None


@pytest.fixture
def heads() -> np.ndarray:
    radius = np.linalg.norm(
        (GRID.to_world(np.stack(np.indices(GRID.shape), -1)) - [0, -18, 9]) / [60, 70, 58], axis=-1
    )
    return np.where(radius < 1, 100.0, 0) + np.random.default_rng(0).random(GRID.shape)


def test_no_head_goes_in_without_its_mask(tmp_path, write_nifti, heads) -> None:
    """Of three sources that name masks, none takes a scan whose mask cannot be read."""
    rows = "participant_id\tsex\timage\tmask\n"
    bad = {"03": link_of_annex, "04": unlocked, "05": lambda path: path.write_bytes(b"")}
    bad |= {"06": lambda path: path.write_bytes(b"\x1f\x8bnothing"), "07": pointer_of_lfs}
    for i in range(1, 8):
        start = f"bids/sub-0{i}/anat/sub-0{i}_desc"
        write_nifti(heads, GRID, f"{start}-preproc_T1w.nii.gz", np.float32)
        mask = f"{start}-brain_mask.nii.gz"
        if f"0{i}" in bad:
            bad[f"0{i}"](tmp_path / mask)
        else:
            write_nifti(heads > 50, GRID, mask)
        scan = f"sub-0{i}/anat/sub-0{i}_desc-preproc_T1w.nii.gz"
        rows += f"sub-0{i}\t{'MF'[i % 2]}\t{scan}\t{mask.removeprefix('bids/')}\n"
    (tmp_path / "bids/participants.tsv").write_text(rows)
    for number, found in enumerate(
        (
            from_bids(tmp_path / "bids", "sex"),
            from_table(tmp_path / "bids/participants.tsv", "sex"),
        )
    ):
        assert all(scan.mask is not None for scan in found.scans)
        store = tmp_path / f"store{number}"
        built = build_store(found, PRESETS["kan2020"], store, 1, Silent())
        assert built.cohort.subjects == ["01", "02"]
        why = {one.subject: one.reason for one in built.exclusions}
        assert set(why) == set(bad)
        assert "git annex get" in why["03"]
        assert "git annex get" in why["04"]
        assert "empty file" in why["05"]
        assert "git lfs pull" in why["07"]


def test_another_image_does_not_step_in_for_one_that_was_not_fetched(tmp_path, write_nifti) -> None:
    for name in ("sub-01", "sub-02"):
        mri = tmp_path / name / "mri"
        mri.mkdir(parents=True)
        link_of_annex(mri / "brain.mgz")
        for other in ("orig.mgz", "mask.mgz"):
            (mri / other).write_bytes(b"x")
    table = tmp_path / "people.tsv"
    table.write_text("participant_id\tsex\nsub-01\tM\nsub-02\tF\n")
    found = from_freesurfer(tmp_path, table, "sex")
    assert [scan.image.name for scan in found.scans] == ["brain.mgz"] * 2
