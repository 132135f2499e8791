"""Real scans, where this machine has them: Colin27 from Debian, IXI beside the checkout."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort import PRESETS, mni152_brain_mask, prepare, read_mask, read_volume
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_bids
from voxplain.cohort.prepare.templates import mni152_centre
from voxplain.cohort.store.reader import open_store
from voxplain.errors import VoxplainWarning
from voxplain.volume import Volume

KAN = PRESETS["kan2020"]
COLIN = Path("/usr/share/mricron/templates/ch2bet.nii.gz")


class Silent:
    def say(self, text: str) -> None:
        pass

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[object]:
        yield lambda done, note="": None


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def flipped_fits(brain: np.ndarray) -> dict[str, float]:
    """Overlap with the MNI152 brain, and what it would be were an axis read the wrong way."""
    mni = mni152_brain_mask(KAN.grid)
    return {
        "as is": dice(brain, mni),
        "back to front": dice(brain[:, ::-1], mni),
        "upside down": dice(brain[:, :, ::-1], mni),
    }


def assert_in_place(back: np.ndarray, scan: np.ndarray) -> None:
    """No shift by a voxel or two, nor a mirror image, fits the scan better."""

    def misfit(array: np.ndarray) -> float:
        return float(1 - np.corrcoef(array.ravel(), scan.ravel())[0, 1])

    best = misfit(back)
    assert best < 0.05
    for axis in range(3):
        assert best < min(misfit(np.roll(back, by, axis)) for by in (-2, -1, 1, 2))
        assert 2 * best < misfit(np.flip(back, axis))


@pytest.fixture(scope="module")
def ixi(shared_dir) -> Path:
    folder = shared_dir / "data" / "ixi30" / "sub-IXI012" / "anat"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.skipif(not COLIN.is_file(), reason="Debian's mricron-data is not installed")
@pytest.mark.parametrize("align", ["affine", "centre"])
def test_colin27(align):
    scan = read_volume(COLIN)
    assert (scan.subject, scan.grid.orientation) == ("ch2bet", "RAS")
    prepared = prepare(scan, replace(KAN, align=align))
    values = prepared.volume.values
    assert 900 < np.percentile(values[values > 100], 95) < 1000
    assert dice(values > 200, mni152_brain_mask(KAN.grid)) > 0.93
    fits = flipped_fits(values > 200)
    assert fits["as is"] > max(fits["back to front"], fits["upside down"]) + 0.05
    back = prepared.back(values)
    assert back.shape == (181, 217, 181)
    assert_in_place(back, scan.values)


def test_ixi_brain(ixi):
    scan = read_volume(ixi / "sub-IXI012_desc-preproc_T1w.nii.gz")
    assert (scan.subject, scan.grid.orientation) == ("IXI012", "PSR")
    mask = read_mask(ixi / "sub-IXI012_desc-brain_mask.nii.gz", scan)
    prepared = prepare(scan, replace(KAN, align="centre"), mask)
    there = prepared.volume.values > 200
    assert 900 < np.percentile(prepared.volume.values[there], 95) < 1000
    assert prepared.brain_ml == pytest.approx(mask.sum() * scan.grid.voxel_volume / 1000, rel=0.001)
    fits = flipped_fits(there)
    assert fits["as is"] > 0.8
    assert fits["as is"] > max(fits["back to front"], fits["upside down"]) + 0.03
    centre = KAN.grid.to_world(np.argwhere(there).mean(axis=0))
    np.testing.assert_allclose(centre, mni152_centre(), atol=1)
    assert_in_place(prepared.back(prepared.volume.values), np.where(mask, scan.values, 0))


def test_ixi_brain_mask_is_brought_over_whole(ixi):
    scan = read_volume(ixi / "sub-IXI012_desc-preproc_T1w.nii.gz")
    mask = read_mask(ixi / "sub-IXI012_desc-brain_mask.nii.gz", scan)
    as_scan = Volume(mask.astype(np.float32), scan.grid)
    prepared = prepare(as_scan, replace(KAN, align="centre"))
    there = prepared.volume.values > 500
    assert there.sum() * KAN.grid.voxel_volume == pytest.approx(
        mask.sum() * scan.grid.voxel_volume, rel=0.01
    )
    centre = KAN.grid.to_world(np.argwhere(there).mean(axis=0))
    np.testing.assert_allclose(centre, mni152_centre(), atol=0.2)
    masked = prepare(scan, replace(KAN, align="centre"), mask)
    np.testing.assert_allclose(masked.placed.affine, prepared.placed.affine, atol=0.3)
    assert dice(masked.volume.values > 0, prepared.volume.values > 0) > 0.99


def test_ixi_whole_head_is_noticed(ixi):
    scan = read_volume(ixi / "sub-IXI012_desc-preproc_T1w.nii.gz")
    with pytest.warns(VoxplainWarning, match="like a whole head; give the brain's --mask"):
        prepare(scan, replace(KAN, align="centre"))


def test_ixi_as_a_bids_derivative_reaches_the_store_in_place(ixi, tmp_path):
    """A mark near the right temple of one scan is found where its affine says, and back."""
    folder = tmp_path / "bids"
    dataset = ixi.parents[1]
    subjects = ("IXI012", "IXI132", "IXI162", "IXI174")
    for subject in subjects:
        shutil.copytree(dataset / f"sub-{subject}", folder / f"sub-{subject}")
    shutil.copy(dataset / "participants.tsv", folder)
    path = folder / "sub-IXI132/anat/sub-IXI132_desc-preproc_T1w.nii.gz"
    scan = read_volume(path)
    mask = read_mask(path.with_name("sub-IXI132_desc-brain_mask.nii.gz"), scan)
    at = scan.grid.to_world(np.argwhere(mask))
    voxel = tuple(np.argwhere(mask)[at[:, 0].argsort()[-4000]])
    marked = scan.values.copy()
    marked[voxel] = 60_000
    image = nib.Nifti1Image(marked.astype(np.float32), scan.grid.affine)
    nib.save(image, path)

    found = from_bids(folder, "sex")
    recipe = replace(KAN, align="centre", intensity="none")
    built = build_store(found, recipe, tmp_path / "store", 1, Silent())
    assert built.cohort.subjects == list(subjects)
    assert {one.subject for one in built.exclusions}.isdisjoint(subjects)
    store = open_store(tmp_path / "store")
    peak = np.unravel_index(store[1].values.argmax(), KAN.grid.shape)
    prepared = prepare(read_volume(path), recipe, mask)
    moved = prepared.placed.to_world(voxel)
    assert np.abs(KAN.grid.to_world(peak) - moved).max() <= max(KAN.grid.voxel_size) / 2 + 0.01
    shift = prepared.placed.affine[:3, 3] - scan.grid.affine[:3, 3]
    assert (moved - shift)[0] > 30
    there = np.zeros(KAN.grid.shape)
    there[peak] = 1
    back = prepared.back(there)
    home = np.unravel_index(back.argmax(), back.shape)
    gap = scan.grid.to_world(home) - scan.grid.to_world(voxel)
    assert np.abs(gap).max() <= max(KAN.grid.voxel_size) / 2 + max(scan.grid.voxel_size) / 2
