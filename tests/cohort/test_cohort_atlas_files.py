"""Atlases of one's own and of nilearn, from files that stand in for the real ones."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort import fetch_atlas, find_atlas, read_atlas
from voxplain.errors import InputError

AFFINE = np.array([[-2.0, 0, 0, 9], [0, 3, 0, -12], [0, 0, 2.5, -10], [0, 0, 0, 1]])
SHAPE = (7, 8, 9)
NAMES = {1: "Genu of corpus callosum", 2: "Fornix", 300: "Tapetum L"}


def labels() -> np.ndarray:
    found = np.zeros(SHAPE, dtype=np.int16)
    found[1:3, 2:5, 3:6], found[3:5, 2:5, 3:6], found[5, 2:5, 3:6] = 1, 2, 300
    return found


def write(path: Path, values: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels() if values is None else values, AFFINE), path)
    return path


LISTS = {
    "atlas.tsv": "index\tname\tcolor\n" + "".join(f"{k}\t{v}\t#aabbcc\n" for k, v in NAMES.items()),
    "atlas.csv": "index,name\n0,background\n" + "".join(f"{k},{v}\n" for k, v in NAMES.items()),
    "atlas.nii.txt": "".join(f"{k}\t{v}\n" for k, v in NAMES.items()),
    "atlas.txt": "#No. Label Name: R G B A\n"
    + "".join(f"{k}   {v.replace(' ', '-')}   70 130 180 0\n" for k, v in NAMES.items()),
    "atlas.label": '# ITK-SnAP\n    0 0 0 0 0 0 0 "Clear"\n'
    + "".join(f'  {k} 255 0 0 1 1 1 "{v}"\n' for k, v in NAMES.items()),
    "atlas.xml": '<?xml version="1.0"?><atlas><header><name>JHU</name><type>Label</type></header>'
    '<data><label index="0" x="0" y="0" z="0">Unclassified</label>'
    + "".join(f'<label index="{k}" x="1" y="1" z="1">{v}</label>' for k, v in NAMES.items())
    + "</data></atlas>",
}


@pytest.mark.parametrize("name", LISTS)
def test_every_kind_of_list_beside_the_image_is_read(tmp_path, name):
    image = write(tmp_path / "atlas.nii.gz")
    (tmp_path / name).write_text(LISTS[name])
    atlas = find_atlas(str(image))
    np.testing.assert_array_equal(atlas.labels, labels())
    np.testing.assert_allclose(atlas.grid.affine, AFFINE)
    assert {k: v.replace("-", " ") for k, v in atlas.names.items()} == NAMES
    assert atlas.name == "atlas"


def test_the_list_may_be_given_behind_a_comma(tmp_path):
    image = write(tmp_path / "ICBM_WMPM.nii")
    (tmp_path / "lut.txt").write_text("1 Genu of corpus callosum\n2 Fornix\t\n300 Tapetum L\n")
    atlas = find_atlas(f"{image},{tmp_path / 'lut.txt'}")
    assert dict(atlas.names) == NAMES
    assert atlas.name == "ICBM_WMPM"


@pytest.mark.parametrize("chosen", ["sform", "qform"])
def test_an_image_that_contradicts_itself_says_how_to_choose(tmp_path, chosen):
    """As Debian's copy of JHU, whose two affines differ in the sign of one axis."""
    image, other = tmp_path / "atlas.nii.gz", AFFINE @ np.diag([1.0, 1, -1, 1])
    kept = nib.Nifti1Image(labels(), AFFINE)
    kept.set_qform(other, 2)
    kept.set_sform(AFFINE, 2)
    nib.save(kept, image)
    (tmp_path / "atlas.txt").write_text(LISTS["atlas.nii.txt"])
    with pytest.raises(InputError, match="of an atlas IMAGE,NAMES,sform or qform"):
        find_atlas(f"{image},{tmp_path / 'atlas.txt'}")
    wanted = {"sform": AFFINE, "qform": other}[chosen]
    for given in (f"{image},{tmp_path / 'atlas.txt'},{chosen}", f"{image},{chosen}"):
        np.testing.assert_allclose(find_atlas(given).grid.affine, wanted, atol=1e-5)


def test_brainnetome_as_its_makers_write_it(tmp_path):
    image = write(tmp_path / "BN_Atlas_246_1mm.nii.gz", np.minimum(labels(), 3).astype(np.uint8))
    lut = "0 Unknown 0 0 0 0\n1 A8m_L 255 255 0 0\n2 A8m_R 255 255 0 0\n3 A8dl_L 1 2 3 0\n"
    (tmp_path / "BN_Atlas_246_LUT.txt").write_text(lut)
    atlas = find_atlas(f"{image},{tmp_path / 'BN_Atlas_246_LUT.txt'}")
    assert dict(atlas.names) == {1: "A8m_L", 2: "A8m_R", 3: "A8dl_L"}


@pytest.mark.parametrize("scale", [1, 100])
def test_maps_of_probability_become_the_most_probable_region(tmp_path, scale):
    rng = np.random.default_rng(4)
    maps = rng.uniform(0, 0.6, (*SHAPE, 3))
    maps[0, 0, 0] = [0.2, 0.24, 0.1]
    image = write(tmp_path / "prob.nii.gz", (maps * scale).astype(np.float32))
    text = "<atlas><header><type>Probabalistic</type></header><data>"
    text += "".join(f'<label index="{i}">Region {i}</label>' for i in range(3)) + "</data></atlas>"
    (tmp_path / "prob.xml").write_text(text)
    atlas = read_atlas(image)
    stored = nib.load(image).get_fdata() / scale
    wanted = np.where(stored.max(-1) > 0.25, 1 + stored.argmax(-1), 0)
    np.testing.assert_array_equal(atlas.labels, wanted)
    assert atlas.labels[0, 0, 0] == 0
    assert dict(atlas.names) == {1: "Region 0", 2: "Region 1", 3: "Region 2"}


def test_bad_files_are_refused_in_a_sentence(tmp_path):
    image = write(tmp_path / "atlas.nii.gz")
    with pytest.raises(InputError, match=r"needs a list of names .* there is none; give it as"):
        find_atlas(str(image))
    (tmp_path / "atlas.tsv").write_text(LISTS["atlas.tsv"])
    (tmp_path / "atlas.csv").write_text(LISTS["atlas.csv"])
    with pytest.raises(InputError, match=r"there are atlas.csv, atlas.tsv"):
        find_atlas(str(image))
    with pytest.raises(InputError, match="There is no list of names"):
        find_atlas(f"{image},{tmp_path / 'none.txt'}")
    with pytest.raises(InputError, match=r"Unknown atlas 'AAAL'.*Did you mean 'AAL'"):
        find_atlas("AAAL")
    (tmp_path / "other.tsv").write_text("index\tname\n7\tPons\n8\tMidbrain\n")
    with pytest.raises(InputError, match=r"has no name for 3 labels of .*: 1, 2, 300"):
        find_atlas(f"{image},{tmp_path / 'other.tsv'}")
    empty = write(tmp_path / "empty.nii", np.zeros(SHAPE, dtype=np.int16))
    with pytest.raises(InputError, match="holds no label above 0"):
        find_atlas(f"{empty},{tmp_path / 'other.tsv'}")
    maps = write(tmp_path / "four.nii", np.full((*SHAPE, 3), 0.5, dtype=np.float32))
    with pytest.raises(InputError, match=r"holds 3 maps of probability, and .* 2 names, up to"):
        find_atlas(f"{maps},{tmp_path / 'other.tsv'}")
    below = write(tmp_path / "below.nii", np.full((*SHAPE, 2), -1, dtype=np.float32))
    with pytest.raises(InputError, match="values below 0 or that are not finite"):
        find_atlas(f"{below},{tmp_path / 'other.tsv'}")
    (tmp_path / "bad.xml").write_text("<atlas><label>Pons</label>")
    with pytest.raises(InputError, match="is no description of an atlas as FSL writes it"):
        find_atlas(f"{image},{tmp_path / 'bad.xml'}")
    (tmp_path / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(InputError, match="declarations of XML"):
        find_atlas(f"{image},{tmp_path / 'bomb.xml'}")


@pytest.fixture
def nilearn_data(tmp_path, monkeypatch):
    """Make nilearn's folder of data; whatever is not in it must not be downloaded."""
    import requests

    def no_connection(*_, **__):
        raise requests.exceptions.ConnectionError("no network in tests")

    monkeypatch.setattr(requests.Session, "send", no_connection)
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path))
    return tmp_path


def small(top: int) -> np.ndarray:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16) % (top + 1)


def test_schaefer_comes_through_nilearns_own_code(nilearn_data):
    folder = nilearn_data / "schaefer_2018"
    write(folder / "Schaefer2018_100Parcels_17Networks_order_FSLMNI152_1mm.nii.gz", small(100))
    lines = [f"{i}\t17Networks_{'LH' if i < 51 else 'RH'}_R{i}\t1\t2\t3\t0" for i in range(1, 101)]
    (folder / "Schaefer2018_100Parcels_17Networks_order.txt").write_text("\n".join(lines))
    atlas = find_atlas("Schaefer-100-17")
    np.testing.assert_array_equal(atlas.labels, small(100))
    assert (len(atlas.names), atlas.names[60]) == (100, "17Networks_RH_R60")
    assert atlas.space == "MNI152NLin6Asym"


def test_destrieux_comes_through_nilearns_own_code(nilearn_data):
    folder = nilearn_data / "destrieux_2009"
    write(folder / "destrieux2009_rois_lateralized.nii.gz", small(2))
    (folder / "destrieux2009_rois_labels_lateralized.csv").write_text(
        "index,name\n0,Background\n1,L G_cuneus\n2,R G_cuneus\n"
    )
    (folder / "destrieux2009.rst").write_text("Destrieux")
    atlas = fetch_atlas("destrieux")
    assert dict(atlas.names) == {1: "L G_cuneus", 2: "R G_cuneus"}
    np.testing.assert_array_equal(atlas.labels, small(2))


def test_yeo_comes_through_nilearns_own_code(nilearn_data):
    folder = nilearn_data / "yeo_2011/Yeo_JNeurophysiol11_MNI152"
    for networks in (7, 17):
        for ending in ("", "_LiberalMask"):
            name = f"Yeo2011_{networks}Networks_MNI152_FreeSurferConformed1mm{ending}.nii.gz"
            write(folder / name, small(networks)[..., None])
        rows = [f"{i} {networks}Networks_{i} 1 2 3 0" for i in range(1, networks + 1)]
        text = "0 NONE 0 0 0 0\n" + "\n".join(rows)
        (folder / f"Yeo2011_{networks}Networks_ColorLUT.txt").write_text(text)
    write(folder / "FSL_MNI152_FreeSurferConformed_1mm.nii.gz")
    atlas = find_atlas("Yeo-7")
    np.testing.assert_array_equal(atlas.labels, small(7))
    assert len(atlas.names) == 7


def test_harvard_oxford_comes_through_nilearns_own_code(nilearn_data):
    folder = nilearn_data / "fsl/data/atlases"
    write(folder / "HarvardOxford/HarvardOxford-sub-maxprob-thr25-1mm.nii.gz", small(2))
    (folder / "HarvardOxford-Subcortical.xml").write_text(
        '<atlas><data><label index="0">Left Thalamus</label>'
        '<label index="1">Right Thalamus</label></data></atlas>'
    )
    atlas = find_atlas("HarvardOxford-subcortical")
    assert dict(atlas.names) == {1: "Left Thalamus", 2: "Right Thalamus"}
    np.testing.assert_array_equal(atlas.labels, small(2))


def test_difumo_comes_through_nilearns_own_code(nilearn_data):
    folder = nilearn_data / "difumo_atlases"
    rng = np.random.default_rng(2)
    maps = rng.uniform(0, 0.01, (*SHAPE, 64)).astype(np.float32)
    maps[0, 0, 0] = 0
    write(folder / "64/2mm/maps.nii.gz", maps)
    rows = [f"{i},{'Cuneus' if i < 3 else f'Part {i}'},1" for i in range(1, 65)]
    (folder / "64/labels_64_dictionary.csv").write_text(
        "Component,Difumo_names,Yeo\n" + "\n".join(rows)
    )
    (folder / "README.md").write_text("DiFuMo")
    atlas = find_atlas("DiFuMo-64")
    assert atlas.labels[0, 0, 0] == 0
    np.testing.assert_array_equal(atlas.labels.ravel()[1:], 1 + maps.argmax(-1).ravel()[1:])
    assert atlas.names[1], atlas.names[2] == ("Cuneus", "Cuneus (2)")


def test_what_cannot_be_fetched_is_said(nilearn_data):
    with pytest.raises(InputError, match=r"is not in nilearn's folder .* NILEARN_DATA"):
        find_atlas("Schaefer-200")
    with pytest.raises(InputError, match="nilearn has no atlas 'Schaefer-123'"):
        find_atlas("Schaefer-123")
    with pytest.raises(InputError, match="Unknown atlas of nilearn 'Shen'"):
        fetch_atlas("Shen")
