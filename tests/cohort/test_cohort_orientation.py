"""NIfTI files that say twice where they lie: the two forms are made and written by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxplain.cohort import PRESETS, read_mask, read_volume
from voxplain.errors import InputError, VoxplainWarning

VALUES = np.random.default_rng(0).integers(1, 200, (40, 48, 36)).astype(np.int16)


def affine_of(turn, size=(1.0, 1, 1), shift=(-20.0, -24, -18), shear=None) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(turn) @ (np.eye(3) if shear is None else shear) @ np.diag(size)
    affine[:3, 3] = shift
    return affine


def save(path: Path, sform, qform, codes=(1, 1), kind=nib.Nifti1Image) -> Path:
    image = kind(VALUES, np.eye(4))
    image.set_qform(qform, code=codes[1])
    image.set_sform(sform, code=codes[0])
    nib.save(image, path)
    return path


def quietly(path: Path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_volume(path, **options)


RAS = affine_of(np.eye(3))
LAS = affine_of(np.diag([-1.0, 1, 1]), shift=(20, -24, -18))
LPS = affine_of(np.diag([-1.0, -1, 1]), shift=(20, 24, -18))
RPS = affine_of(np.diag([1.0, -1, 1]), shift=(-20, 24, -18))
PSR = affine_of([[0, 0, 1], [-1, 0, 0], [0, 1, 0]], shift=(-18, 20, -24))
CONTRADICTIONS = [(RAS, LAS), (LAS, RAS), (RAS, LPS), (RAS, RPS), (LAS, PSR), (RAS, PSR)]


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.img"])
@pytest.mark.parametrize(("sform", "qform"), CONTRADICTIONS)
def test_left_and_right_must_be_chosen(tmp_path, sform, qform, name) -> None:
    kind = nib.Nifti1Pair if name.endswith("img") else nib.Nifti1Image
    path = save(tmp_path / name, sform, qform, kind=kind)
    axes = [str("".join(nib.aff2axcodes(form))) for form in (sform, qform)]
    wanted = f"run {axes[0]} by its sform and {axes[1]} by its qform; find out which is true, and"
    for read in (read_volume, lambda p: read_mask(p, read_volume(p, orientation="sform"))):
        with pytest.raises(InputError, match=wanted):
            read(path)
    np.testing.assert_allclose(quietly(path, orientation="sform").grid.affine, sform, atol=1e-5)
    np.testing.assert_allclose(quietly(path, orientation="qform").grid.affine, qform, atol=1e-4)


def test_a_warning_made_an_error_is_not_taken_for_damage(tmp_path) -> None:
    path = save(tmp_path / "x.nii", RAS, affine_of(np.eye(3), shift=(-20, -24, -9)))
    with pytest.raises(VoxplainWarning, match="says twice where it lies"):
        quietly(path)


def test_a_shift_and_a_turn_are_measured(tmp_path) -> None:
    turn = Rotation.from_euler("xyz", [3, -4, 12], degrees=True)
    qform = affine_of(turn.as_matrix(), shift=(-10, -29, 12))
    path = save(tmp_path / "x.nii", RAS, qform)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in VALUES.shape], (1,)), -1).reshape(-1, 4)
    gap = max(np.linalg.norm((RAS - qform) @ corner) for corner in corners)
    angle = np.degrees(turn.magnitude())
    wanted = rf"differ by up to {gap:.1f} mm and {angle:.1f} degrees\. The sform was used"
    with pytest.warns(VoxplainWarning, match=wanted):
        volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.affine, RAS, atol=1e-5)
    chosen = quietly(path, orientation="qform")
    np.testing.assert_allclose(chosen.grid.affine, qform, atol=1e-4)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (4, 0), (0, 2)])
@pytest.mark.parametrize(("sform", "qform"), CONTRADICTIONS)
def test_a_code_of_zero_makes_no_claim(tmp_path, sform, qform, codes) -> None:
    path = save(tmp_path / "x.nii", sform, qform, codes)
    told = sform if codes[0] else qform
    for orientation in (None, "sform", "qform"):
        found = quietly(path, orientation=orientation).grid.affine
        np.testing.assert_allclose(found, told, atol=1e-4)


@pytest.mark.parametrize("entry", [0.0, np.nan, np.inf])
def test_a_broken_sform_leaves_the_qform(tmp_path, entry) -> None:
    path = save(tmp_path / "x.nii", RAS, RAS)
    raw = bytearray(path.read_bytes())
    raw[296:312] = np.full(4, entry, "<f4").tobytes()
    path.write_bytes(raw)
    with pytest.warns(VoxplainWarning, match="has a sform that cannot be used; its qform was"):
        found = read_volume(path)
    np.testing.assert_allclose(found.grid.affine, RAS, atol=1e-5)


def test_a_broken_qform_leaves_the_sform(tmp_path) -> None:
    path = save(tmp_path / "x.nii", LAS, LAS)
    raw = bytearray(path.read_bytes())
    raw[256:268] = np.full(3, 5, "<f4").tobytes()  # quaternion b, c, d: no turn has these
    path.write_bytes(raw)
    with pytest.warns(VoxplainWarning, match="has a qform that cannot be used; its sform was"):
        found = read_volume(path)
    np.testing.assert_allclose(found.grid.affine, LAS, atol=1e-5)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    size=st.tuples(*[st.floats(0.5, 5)] * 3),
    mirror=st.booleans(),
    shift=st.tuples(*[st.floats(-300, 300)] * 3),
    shear=st.floats(0, 0.2),
)
def test_rounding_and_shear_need_no_word(tmp_path_factory, angles, size, mirror, shift, shear):
    """The qform that nibabel makes of any sform, half turns and shears included."""
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    turn = turn @ np.diag([-1.0 if mirror else 1, 1, 1])
    sheared = np.eye(3) + shear * np.array([[0, 1, 0.5], [0, 0, -1], [0, 0, 0]])
    sform = affine_of(turn, size, shift, sheared)
    path = save(tmp_path_factory.mktemp("x") / "x.nii", sform, sform)
    np.testing.assert_allclose(quietly(path).grid.affine, sform, atol=2e-4)


def test_unknown_choice() -> None:
    with pytest.raises(InputError, match=r"Unknown orientation 'q'; there are: qform, sform"):
        replace(PRESETS["kan2020"], orientation="q")


def test_a_choice_is_part_of_the_recipe() -> None:
    chosen = replace(PRESETS["kan2020"], orientation="qform")
    assert {"step": "orientation", "how": "qform"} in chosen.steps()
    assert chosen.digest() != PRESETS["kan2020"].digest()
