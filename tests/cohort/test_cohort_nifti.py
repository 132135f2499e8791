from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxplain.cohort import read_mask, read_volume, subject_label, subject_labels
from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.volume import Volume

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 200, size=(7, 8, 9)).astype(np.int16)
AFFINE = np.array([[-2.0, 0, 0, 6], [0, 2, 0, -7], [0, 0, 2.5, -8], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.img", "a.hdr"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_every_nifti_container_reads_alike(tmp_path, name, kind):
    pair = {nib.Nifti1Image: nib.Nifti1Pair, nib.Nifti2Image: nib.Nifti2Pair}
    kind = pair[kind] if name.endswith(("img", "hdr")) else kind
    nib.save(kind(VALUES, AFFINE), tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert volume.values.dtype == np.float32
    np.testing.assert_array_equal(volume.values, VALUES)
    np.testing.assert_allclose(volume.grid.affine, AFFINE, atol=1e-6)


def test_place_survives_on_awkward_grids(awkward_grid, write_nifti):
    volume = read_volume(write_nifti(VALUES, awkward_grid))
    assert volume.grid.same_as(awkward_grid)
    np.testing.assert_array_equal(volume.values, VALUES)


@pytest.mark.parametrize("name", ["T1.mgz", "T1.mgh"])
def test_freesurfer_files(tmp_path, name, awkward_grid):
    nib.save(nib.MGHImage(VALUES, awkward_grid.affine), tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.values, VALUES)
    assert np.abs(volume.grid.affine - awkward_grid.affine).max() < 1e-4


@pytest.mark.parametrize(
    "dtype", ["u1", "i2", "i4", "f4", "f8", ">i2", ">u2", ">f4", ">f8", "<u4", "i8"]
)
def test_number_types_and_byte_orders(tmp_path, dtype):
    values = VALUES.astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(values.dtype)
    image = nib.Nifti1Image(values, AFFINE, header, dtype=values.dtype)
    nib.save(image, tmp_path / "x.nii")
    stored = nib.load(tmp_path / "x.nii").header
    assert stored.endianness == (">" if dtype[0] == ">" else "<")
    volume = read_volume(tmp_path / "x.nii")
    assert volume.values.dtype.isnative
    assert volume.values.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(volume.values, VALUES)


def test_slope_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(VALUES, AFFINE)
    image.header.set_slope_inter(0.5, -7)
    nib.save(image, tmp_path / "x.nii")
    stored = nib.load(tmp_path / "x.nii")
    assert float(stored.dataobj.slope) == 0.5
    raw = np.asarray(stored.dataobj.get_unscaled(), dtype=np.float64)
    np.testing.assert_allclose(read_volume(tmp_path / "x.nii").values, raw * 0.5 - 7, rtol=1e-6)


def test_qform_alone_gives_the_affine(tmp_path):
    image = nib.Nifti1Image(VALUES, AFFINE)
    image.set_qform(AFFINE, code=1)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "x.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "x.nii.gz").grid.affine, AFFINE, atol=1e-5)


def test_one_volume_in_4d_is_squeezed(write_nifti):
    path = write_nifti(VALUES[..., None, None], AFFINE)
    assert len(nib.load(path).shape) > 3
    np.testing.assert_array_equal(read_volume(path).values, VALUES)


def test_a_flat_volume_keeps_its_axis(write_nifti):
    assert read_volume(write_nifti(VALUES[:, :, :1], AFFINE)).values.shape == (7, 8, 1)


@pytest.mark.parametrize("shape", [(7, 8, 9), (504, 1, 1)])
def test_values_do_not_depend_on_the_file_afterwards(write_nifti, shape):
    path = write_nifti(VALUES.reshape(shape), AFFINE, "x.nii", np.float32)
    values = read_volume(path).values
    with path.open("r+b") as stream:
        stream.write(bytes(path.stat().st_size))
    np.testing.assert_array_equal(values, VALUES.reshape(shape))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("sub-IXI012_desc-preproc_T1w.nii.gz", "IXI012"),
        ("wsub-07_T1w.nii", "07"),
        ("msub_sub-A+1_ses-2.nii.gz", "A+1"),
        ("IXI002-Guys-0828-T1.nii.gz", "IXI002Guys0828"),
        ("t1_IXI481-HH-2175_T1.nii.gz", "IXI481HH2175"),
        ("Müller_T1.nii", "Muller"),
        ("ch2bet.nii.gz", "ch2bet"),
        ("P 7/brain.nii.gz", "P7"),
        ("S01/mri/T1.mgz", "S01"),
        ("sub-02/ses-1/anat/T1w.nii", "02"),
        ("/tmp/T1.mgz", "T1"),
        ("/___.nii", "scan"),
        ("folder.with-sub-3/scan.v2.nii", "folderwithsub3"),
    ],
)
def test_label_from_the_name(name, label):
    assert subject_label(name) == label


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a/brain.nii.gz", "b/brain.nii.gz"], ["a", "b"]),
        (["x/s1/T1.nii", "y/s1/T1.nii", "y/s2/T1.nii"], ["xs1", "ys1", "s2"]),
        (["A/scan_7.nii", "B/scan_7.nii"], ["A7", "B7"]),
        (["sub-1_T1w.nii", "x/sub-1_T1w.nii"], ["1", "1"]),
    ],
)
def test_labels_of_several_files_are_told_apart_by_their_folders(names, labels):
    assert subject_labels(names) == labels


def test_given_label_wins(write_nifti):
    path = write_nifti(VALUES, AFFINE)
    assert read_volume(path).subject == "01"
    assert read_volume(str(path), subject="sub-X7").subject == "X7"
    with pytest.raises(InputError, match=r"label 'a_b' must consist of letters and digits"):
        read_volume(path, subject="a_b")


def _bytes_of(tmp_path: Path, name: str = "good.nii") -> bytes:
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / name)
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize("read", [read_volume, lambda p: read_mask(p, Grid((7, 8, 9), AFFINE))])
class TestBadFiles:
    """Each is refused in one sentence that names the file, by scans and masks alike."""

    def refused(self, read, path, message):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        text = str(caught.value)
        assert path.name in text
        assert "\n" not in text
        assert text.endswith(".")

    def test_missing(self, read, tmp_path):
        self.refused(read, tmp_path / "no.nii.gz", "There is no file .*no.nii.gz; check the path")

    def test_folder(self, read, tmp_path):
        folder = tmp_path / "dir.nii"
        folder.mkdir()
        self.refused(read, folder, "is a folder; give the path of one image file")

    def test_suffix(self, read, tmp_path):
        (tmp_path / "scan.png").write_bytes(b"\x89PNG")
        self.refused(read, tmp_path / "scan.png", r"by its name; give one that ends in .nii.gz,")

    @pytest.mark.parametrize("name", ["e.nii", "e.nii.gz", "e.mgz"])
    def test_empty(self, read, tmp_path, name):
        (tmp_path / name).touch()
        self.refused(read, tmp_path / name, r"is an empty file \(0 bytes\)")

    def test_text(self, read, tmp_path):
        (tmp_path / "t.nii").write_text("<html>404 not found</html>" * 30)
        self.refused(read, tmp_path / "t.nii", "not an image that can be read")

    def test_missing_partner(self, read, tmp_path):
        nib.save(nib.Nifti1Pair(VALUES, AFFINE), tmp_path / "p.hdr")
        (tmp_path / "p.img").unlink()
        self.refused(read, tmp_path / "p.hdr", "no file .*p.img that belongs to p.hdr")

    @pytest.mark.parametrize("keep", [1, 20, 200, -9, -4, -1])
    def test_truncated_gzip(self, read, tmp_path, keep):
        whole = gzip.compress(_bytes_of(tmp_path))
        assert len(whole) > 300
        (tmp_path / "cut.nii.gz").write_bytes(whole[:keep])
        message = "not compressed with gzip" if keep == 1 else "is truncated: the compressed data"
        self.refused(read, tmp_path / "cut.nii.gz", message)

    @pytest.mark.parametrize("name", ["cut.nii", "cut.nii.gz"])
    def test_truncated_data(self, read, tmp_path, name):
        raw = _bytes_of(tmp_path)[:-3]
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        needed = 352 + VALUES.nbytes
        self.refused(
            read, tmp_path / name, f"is truncated: .* {needed} bytes and there are {needed - 3}"
        )

    def test_truncated_header(self, read, tmp_path):
        (tmp_path / "cut.nii").write_bytes(_bytes_of(tmp_path)[:200])
        self.refused(read, tmp_path / "cut.nii", "damaged or of another format")

    def test_flipped_bit_in_gzip(self, read, tmp_path):
        packed = bytearray(gzip.compress(_bytes_of(tmp_path)))
        packed[len(packed) // 2] ^= 0x10
        (tmp_path / "bit.nii.gz").write_bytes(packed)
        self.refused(read, tmp_path / "bit.nii.gz", "is damaged|is truncated")

    def test_not_gzip(self, read, tmp_path):
        (tmp_path / "plain.nii.gz").write_bytes(_bytes_of(tmp_path))
        self.refused(read, tmp_path / "plain.nii.gz", "not compressed with gzip as its name says")

    def test_secretly_gzip(self, read, tmp_path):
        (tmp_path / "packed.nii").write_bytes(gzip.compress(_bytes_of(tmp_path)))
        self.refused(read, tmp_path / "packed.nii", "compressed with gzip though its name")

    def test_two_volumes(self, read, write_nifti):
        path = write_nifti(np.stack([VALUES] * 3, axis=-1), AFFINE)
        self.refused(read, path, "holds 3 volumes of 7×8×9 voxels; give a file with one 3D volume")

    def test_two_dimensions(self, read, write_nifti):
        path = write_nifti(VALUES[:, :, 0], AFFINE)
        self.refused(read, path, "is not a volume: its shape is 7×8")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
    def test_not_finite(self, read, write_nifti, bad):
        values = VALUES.astype(np.float64)
        values[1, 2, 3] = values[6, 7, 8] = bad
        self.refused(
            read, write_nifti(values, AFFINE), "has 2 voxels that are NaN or infinite; set them"
        )

    def test_no_affine(self, read, tmp_path):
        image = nib.Nifti1Image(VALUES, AFFINE)
        image.set_qform(None, code=0)
        image.set_sform(None, code=0)
        nib.save(image, tmp_path / "x.nii.gz")
        self.refused(read, tmp_path / "x.nii.gz", "has no affine, so left and right are unknown")

    @pytest.mark.parametrize("name", ["x.mgz", "x.mgh"])
    def test_no_affine_in_mgh(self, read, tmp_path, name):
        nib.save(nib.MGHImage(VALUES, AFFINE), tmp_path / "whole.mgh")
        raw = bytearray((tmp_path / "whole.mgh").read_bytes())
        raw[28:30] = b"\0\0"
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("z") else raw)
        self.refused(read, tmp_path / name, "has no affine")

    @pytest.mark.parametrize("entry", [0.0, np.nan, np.inf])
    def test_bad_affine(self, read, tmp_path, entry):
        raw = bytearray(_bytes_of(tmp_path))
        raw[296:312] = np.full(4, entry, "<f4").tobytes()  # srow_y
        (tmp_path / "x.nii").write_bytes(raw)
        self.refused(read, tmp_path / "x.nii", "affine that is singular or not finite")

    def test_analyze(self, read, tmp_path):
        nib.save(nib.AnalyzeImage(VALUES, AFFINE), tmp_path / "old.hdr")
        self.refused(read, tmp_path / "old.hdr", "Analyze 7.5 image, which has no affine")

    def test_colours(self, read, tmp_path):
        rgb = np.zeros((7, 8, 9), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
        nib.save(nib.Nifti1Image(rgb, AFFINE), tmp_path / "rgb.nii.gz")
        self.refused(read, tmp_path / "rgb.nii.gz", r"holds colours \(RGB\)")

    def test_complex(self, read, write_nifti):
        path = write_nifti(VALUES * 1j, AFFINE, dtype=np.complex64)
        self.refused(read, path, "holds complex64 numbers, not real intensities")

    def test_huge_announced_shape_needs_no_memory(self, read, tmp_path):
        raw = bytearray(_bytes_of(tmp_path))
        raw[42:48] = np.array([32767] * 3, dtype="<i2").tobytes()
        (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(raw))
        self.refused(read, tmp_path / "huge.nii.gz", "is truncated: its header announces 70362")

    def test_permissions(self, read, write_nifti, monkeypatch):
        path = write_nifti(VALUES, AFFINE)
        if os.geteuid() == 0:  # the superuser may read everything: refuse in its place

            def refuse(self, *args, **kwargs):
                raise PermissionError(13, "Permission denied", str(self))

            monkeypatch.setattr(Path, "open", refuse)
        else:
            path.chmod(0)
        self.refused(read, path, "may not be read by this user; change its permissions")

    def test_out_of_memory(self, read, write_nifti, monkeypatch):
        def refuse(*args, **kwargs):
            raise MemoryError

        path = write_nifti(VALUES, AFFINE, "x.nii")
        monkeypatch.setattr(nib, "load", refuse)
        self.refused(read, path, "is too large for this machine's memory")


@pytest.mark.parametrize("value", [0, 7, -3])
def test_constant_image_is_refused(write_nifti, value):
    path = write_nifti(np.full((7, 8, 9), value, np.int16), AFFINE)
    with pytest.raises(InputError, match=f"empty image: every voxel is {value};"):
        read_volume(path)


def test_mask(write_nifti):
    scan = read_volume(write_nifti(VALUES, AFFINE))
    path = write_nifti(np.where(VALUES > 100, 255, 0), AFFINE, "mask.nii", np.uint8)
    for like in (scan, scan.grid):
        mask = read_mask(path, like)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, VALUES > 100)


def test_mask_of_ones_is_allowed(write_nifti):
    path = write_nifti(np.ones((7, 8, 9), np.uint8), AFFINE)
    assert read_mask(path, Grid((7, 8, 9), AFFINE)).all()


def test_mask_without_voxels_is_refused(write_nifti):
    path = write_nifti(np.zeros((7, 8, 9), np.uint8), AFFINE, "mask.nii.gz")
    with pytest.raises(InputError, match=r"mask .*mask.nii.gz is empty: no voxel is above zero"):
        read_mask(path, Grid((7, 8, 9), AFFINE))


def test_mask_on_another_grid_names_both(write_nifti, awkward_grids):
    path = write_nifti(VALUES, awkward_grids["PSR"], "mask.nii.gz")
    like = Volume(VALUES, awkward_grids["anisotropic"])
    expected = (
        "mask.nii.gz and the image do not share a grid: 7×8×9 voxels of 2×2×2 mm, PSR, "
        "against 7×8×9 voxels of 1×2.5×3.2 mm, RAS; resample"
    )
    with pytest.raises(GridError, match=re.escape(expected)):
        read_mask(path, like)
    moved = awkward_grids["PSR"].moved((0, 0, 1))
    with pytest.raises(GridError, match="at another place in space"):
        read_mask(path, moved)


def test_header_remarks_are_silent_only_while_reading(tmp_path, caplog):
    raw = bytearray(_bytes_of(tmp_path))
    raw[76:80] = np.float32(5).tobytes()  # qfac must be 1 or -1: nibabel mends it and says so
    (tmp_path / "q.nii").write_bytes(raw)
    with caplog.at_level(logging.DEBUG, logger="nibabel.global"):
        read_volume(tmp_path / "q.nii")
        assert not caplog.records
        nib.load(tmp_path / "q.nii")
        assert "qfac" in caplog.text


FUZZ = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _reads_or_says_why(path: Path) -> None:
    try:
        volume = read_volume(path)
    except InputError as error:
        message = str(error)
    else:
        message = f"{path} is fine"
        assert np.isfinite(volume.values).all()
        assert np.isfinite(volume.grid.affine).all()
    assert path.stem in message
    assert "\n" not in message


@FUZZ
@given(
    content=st.binary(min_size=0, max_size=700),
    name=st.sampled_from(["f.nii", "f.nii.gz", "f.mgz", "f.mgh", "f.img"]),
    pack=st.booleans(),
)
def test_random_bytes_never_leak_a_traceback(tmp_path, content, name, pack):
    (tmp_path / "f.hdr").write_bytes(content)
    (tmp_path / name).write_bytes(gzip.compress(content) if pack else content)
    _reads_or_says_why(tmp_path / name)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    image = nib.Nifti1Image(VALUES, AFFINE)
    nib.save(image, folder / "f.nii")
    nib.save(nib.Nifti2Image(VALUES, AFFINE), folder / "g.nii")
    nib.save(nib.MGHImage(VALUES, AFFINE), folder / "f.mgh")
    nib.save(nib.Nifti1Pair(VALUES, AFFINE), folder / "p.img")
    names = ("f.nii", "g.nii", "f.mgh", "p.hdr", "p.img")
    return {name: (folder / name).read_bytes() for name in names}


@FUZZ
@given(data=st.data(), name=st.sampled_from(["f.nii", "g.nii", "f.mgh", "p.hdr"]))
def test_corrupted_headers_never_leak_a_traceback(tmp_path, whole_files, data, name):
    raw = bytearray(whole_files[name])
    header = 540 if name == "g.nii" else 348
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, header - 1))
        patch = data.draw(st.binary(min_size=1, max_size=8))
        raw[start : start + len(patch)] = patch
    (tmp_path / "p.img").write_bytes(whole_files["p.img"])
    (tmp_path / name).write_bytes(raw)
    _reads_or_says_why(tmp_path / name)
    if name == "f.mgh":
        with gzip.open(tmp_path / "z.mgz", "wb") as stream:
            stream.write(raw)
        shutil.copy(tmp_path / "z.mgz", tmp_path / "f.mgz")
        _reads_or_says_why(tmp_path / "f.mgz")
