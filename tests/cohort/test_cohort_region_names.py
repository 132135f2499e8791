"""Lists of names in every dress, and labels that float32 cannot tell apart."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxplain.atlas import Atlas
from voxplain.cohort import read_atlas
from voxplain.cohort.atlases import read_label_image
from voxplain.cohort.read.region_names import read_region_names
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid

NAMES = {4: "3rd Ventricle", 17: "Left Hippocampus", 2035: "ctx-rh-insula", 251: "Area 44 (L)"}


def rows(line: str) -> str:
    return "".join(line.format(label=label, name=name) for label, name in NAMES.items())


FORMATS = {
    "dseg.tsv": "index\tname\n" + rows("{label}\t{name}\n"),
    "dseg.tsv, more columns": "index\tname\tabbreviation\tcolor\tmapping\n0\tbackground\tn/a\t\t0\n"
    + rows("{label}\t{name}\tX\t#ff00aa\t9\n"),
    "dseg.tsv, other order": "color\tname\tindex\n" + rows("#aabbcc\t{name}\t{label}\n"),
    "floats": "index\tname\n" + rows("{label}.0\t{name}\n"),
    "lookup table": "#$Id: x $\n#No. Label Name:       R   G   B   A\n\n0   Unknown   0 0 0 0\n"
    + rows("{label:<5d} {name:<30} 70  130 180 0\n"),
    "ITK-SNAP": "################\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n################\n"
    '    0     0    0    0        0  0  0    "Clear Label"\n'
    + rows('{label:5d}   255    0    0        1  1  1    "{name}"\n'),
    "tabs": rows("{label}\t{name}\n"),
    "tabs, more": rows("{label}\t{name}\t12.5\tx y\n"),
    "blanks": rows("  {label}   {name}  \n"),
    "blanks, a code behind": rows("{label} {name} 2001\n"),
    "quoted": rows('{label} "{name}"\n'),
    "commas": rows("{label},{name}\n"),
    "commas and a header": "ROI,Label Name,Lobe\n" + rows('{label},"{name}",x\n'),
    "semicolons": "Label;Name\r\n" + rows("{label};{name}\r\n"),
    "blanks and a header": "index name\n" + rows("{label} {name}\n"),
    "byte order mark": "\ufeff" + rows("{label}\t{name}\n"),
}


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS.keys())
def test_names_are_read_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert {one.label: one.name for one in read_region_names(path)} == NAMES


def test_a_number_that_tells_names_apart_stays(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("1 BA 1\n2 BA 2\n17 BA 17\n")
    assert [one.name for one in read_region_names(path)] == ["BA 1", "BA 2", "BA 17"]


def test_the_list_of_a_real_segmentation(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "ixi30"
    scan = folder / "sub-IXI132/anat/sub-IXI132_desc-dlmuse_dseg.nii.gz"
    if not scan.is_file():
        pytest.skip(f"{scan} is not there")
    with pytest.warns(VoxplainWarning, match="has no name for 3 labels of .*: 1, 46, 69; their"):
        atlas = read_atlas(scan, folder / "desc-dlmuse_dseg.tsv", "DLMUSE", "native")
    assert len(atlas.names) == 145
    x = {side: np.argwhere(atlas.mask([f"Hippocampus_{side}"])).mean(0) for side in "LR"}
    assert atlas.grid.to_world(x["L"])[0] < atlas.grid.to_world(x["R"])[0] - 30


LARGE = (2**24, 2**24 + 1, 2**24 + 2, 614454277, 2**31 - 1)


@pytest.fixture
def large() -> np.ndarray:
    labels = np.zeros((7, 8, 9), dtype=np.int32)
    for i, label in enumerate(LARGE):
        labels[i + 1] = label
    return labels


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.float64])
def test_large_labels_stay_apart(write_nifti, awkward_grids, tmp_path, large, kind) -> None:
    for name, grid in awkward_grids.items():
        path = write_nifti(large, grid, f"{name}.nii", kind)
        names = tmp_path / "names.tsv"
        names.write_text("index\tname\n" + "".join(f"{n}\tregion {n}\n" for n in LARGE))
        atlas = read_atlas(path, names, "large", "own")
        np.testing.assert_array_equal(atlas.labels, large)
        fine = atlas.on(grid.recut(min(grid.voxel_size) / 2))
        assert set(np.unique(fine.labels).tolist()) <= {0, *LARGE}
        for label in LARGE:
            share = (fine.labels == label).sum() * fine.grid.voxel_volume
            assert share == pytest.approx(72 * grid.voxel_volume, rel=0.3)


def test_labels_that_the_file_merged_are_refused(write_nifti, large) -> None:
    path = write_nifti(large, np.diag([2.0, 2, 2, 1]), "l.nii", np.float32)
    with pytest.raises(InputError, match=r"labels of 2147483648 as float32 numbers, which merge"):
        read_label_image(path)


def test_labels_beyond_int32_are_refused(write_nifti) -> None:
    values = np.zeros((3, 4, 5))
    values[1] = 2.0**31
    path = write_nifti(values, np.diag([2.0, 2, 2, 1]), "l.nii", np.float64)
    with pytest.raises(InputError, match=r"a label above 2147483647; renumber"):
        read_label_image(path)
    with pytest.raises(InputError, match=r"'own' holds a label above 2147483647; renumber it"):
        Atlas(values.astype(np.int64), Grid((3, 4, 5), np.diag([2.0, 2, 2, 1])), {}, "own")
    with pytest.raises(InputError, match="holds no label above 0"):
        read_label_image(write_nifti(0 * values, np.eye(4), "zero.nii"))


def test_a_lookup_table_may_repeat_names_that_the_image_lacks(write_nifti, tmp_path) -> None:
    labels = np.zeros((3, 4, 5), np.int16)
    labels[1], labels[2] = 18, 3
    path = write_nifti(labels, np.eye(4), "aseg.nii")
    names = tmp_path / "lut.txt"
    start = "3 Cortex 0 0 0 0\n{} Amygdala 1 1 1 0\n18 Amygdala 2 2 2 0\n{} Amygdala 3 3 3 0\n"
    names.write_text(start.format(96, 99))
    assert read_atlas(path, names, "aseg", "own").names == {3: "Cortex", 18: "Amygdala"}
    labels[0] = 96
    write_nifti(labels, np.eye(4), "aseg.nii")
    with pytest.raises(
        InputError, match=r"Line 3 of .*lut\.txt repeats a label or a name: '18 Amy"
    ):
        read_atlas(path, names, "aseg", "own")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.integers(1, 2**31 - 1),
        st.text("abcXYZ _-()/.0123456789éß", min_size=1, max_size=30).map(
            lambda text: " ".join(["a", *text.split()])
        ),
        min_size=2,
        max_size=12,
    ),
    st.sampled_from(["\t", " "]),
    st.booleans(),
)
def test_any_name_survives(tmp_path_factory, names, between, header) -> None:
    """Behind a tab every name; behind a blank those that no column of numbers could hide in."""
    if len(set(names.values())) < len(names):
        return
    if between == " ":
        names = {label: f"{name} end" for label, name in names.items()}
    path = tmp_path_factory.mktemp("names") / "n.tsv"
    lines = [f"{label}{between}{name}" for label, name in names.items()]
    path.write_text("\n".join([f"index{between}name"] * header + lines), encoding="utf-8")
    found = read_region_names(path)
    assert {one.label: one.name for one in found} == names
    assert all(a.line < b.line for a, b in pairwise(found))
