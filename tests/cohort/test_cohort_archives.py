"""Scans in zip archives, and in archives within them, as data providers pack them."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort import read_volume
from voxplain.errors import InputError
from voxplain.images.archives import open_archive
from voxplain.images.files import ImageFile

VALUES = np.random.default_rng(0).integers(0, 200, size=(7, 8, 9)).astype(np.int16)
AFFINE = np.array([[-2.0, 0, 0, 6], [0, 2, 0, -7], [0, 0, 2.5, -8], [0, 0, 0, 1]])


@pytest.fixture(params=["x.nii.gz", "x.nii", "x.mgz"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    kind = nib.MGHImage if request.param.endswith("mgz") else nib.Nifti1Image
    nib.save(kind(VALUES, AFFINE), path)
    return path


@pytest.mark.parametrize("outer", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("inner", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_scan_two_archives_deep_is_the_scan(
    tmp_path: Path, image: Path, outer: int, inner: int
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", inner) as archive:
        archive.writestr("before.bin", os.urandom(5000))
        archive.write(image, f"100307/T1w/{image.name}")
        archive.writestr("after.txt", "x" * 5000)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", outer) as archive:
        archive.writestr("readme", "y" * 3000)
        archive.writestr("packages/100307.zip", packed.getvalue())
        archive.writestr("tail", "z" * 3000)
    members = ("packages/100307.zip", f"100307/T1w/{image.name}")
    volume = read_volume(ImageFile(tmp_path / "all.zip", members), "100307")
    np.testing.assert_array_equal(volume.values, VALUES)
    np.testing.assert_array_equal(volume.grid.affine, read_volume(image).grid.affine)
    with open_archive(tmp_path / "all.zip", members[:1]) as archive:
        assert archive.members == ["before.bin", members[1], "after.txt"]


def _refused(image: ImageFile, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_volume(image, "01")
    assert "\n" not in str(caught.value)
    assert image.path.name in str(caught.value)


def test_a_stub_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stub.zip").write_bytes(b"PK\x03\x04 see the web site")
    _refused(ImageFile(tmp_path / "stub.zip", ("x.nii",)), "not a whole zip archive")
    (tmp_path / "empty.zip").write_bytes(b"")
    _refused(ImageFile(tmp_path / "empty.zip", ("x.nii",)), "not a whole zip archive")


def test_a_cut_archive_is_refused(tmp_path: Path, image: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(image, image.name)
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) * 2 // 3])
    _refused(ImageFile(tmp_path / "a.zip", (image.name,)), "not a whole zip archive")


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "x.nii")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "x.nii", "x.nii")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[700] ^= 255
    (tmp_path / "a.zip").write_bytes(content)
    _refused(ImageFile(tmp_path / "a.zip", ("x.nii",)), r"x\.nii is damaged")


def test_an_encrypted_member_is_refused(tmp_path: Path, image: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(image, image.name)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    _refused(ImageFile(tmp_path / "a.zip", (image.name,)), "is encrypted; unpack it")


@pytest.mark.parametrize("name", ["../../x.nii", "/x.nii", "a\\..\\..\\x.nii"])
def test_paths_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
        archive.writestr("x.nii", b"x")
    _refused(ImageFile(tmp_path / "a.zip", ("x.nii",)), "a path that leads out of the archive")


def test_a_bomb_is_refused_unopened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.nii", bytes(1 << 20))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (3 << 30).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    _refused(ImageFile(tmp_path / "a.zip", ("x.nii",)), "would unpack to 3 GB from 0.0 MB")


def test_a_gzip_bomb_is_cut_at_what_its_header_announces(tmp_path: Path) -> None:
    import gzip

    header = nib.Nifti1Image(VALUES, AFFINE).to_bytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(header + bytes(100 << 20), 1))
    _refused(ImageFile(tmp_path / "x.nii.gz"), "far more data than its header announces")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    _refused(ImageFile(tmp_path / "no.zip", ("x.nii",)), "There is no file")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("y.nii", b"")
    _refused(ImageFile(tmp_path / "a.zip", ("x.nii",)), r"holds no x\.nii")
    _refused(ImageFile(tmp_path / "a.zip", ("y.nii",)), "empty|damaged|format")
    _refused(ImageFile(tmp_path / "a.zip", ("y.txt",)), "not an image that can be read")
