"""``voxplain explain STUDY`` in the space of each scan: own segmentations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import map_coordinates
from test_fit_command import QUICK, TINY, make_study, tiny

from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_table
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.store.reader import open_store
from voxplain.grid import Grid
from voxplain.maps import AttributionMap
from voxplain.nets import MRINet, serialise
from voxplain.study import Study

NET = ("--network", TINY, "--device", "cpu", "--method", "gradient", "--target", "1")
# Of the study, where the MNI152 brain lies.
GRID = Grid((24, 24, 24), np.diag([-8.0, 8, 8, 1])).moved([92, -110, -83])
IXI = Path(__file__).parents[3] / "shared/data/ixi30"
N = 12
SPOT, REST = 17, 53
# Half the size of the study's voxels, first axis to the left, tilted.
AFFINE = np.array([[-4.0, 0, 0, 90], [0, 4, 0.6, -100], [0, -0.6, 4, -70], [0, 0, 0, 1]])
SHAPE = (44, 46, 42)


def places(i: int) -> np.ndarray:
    """Each scan lies elsewhere."""
    affine = AFFINE.copy()
    affine[:3, 3] += [3 * i, -2 * i, i]
    return affine


def segmentation(i: int) -> np.ndarray:
    """A spot that is elsewhere in each brain, and the rest of it."""
    at = np.indices(SHAPE) - np.array([22, 23, 21])[:, None, None, None]
    labels = np.where((at**2).sum(axis=0) < 18**2, REST, 0)
    labels[26 : 36 - i % 3, 10 + i % 4 : 24, 12:22] = SPOT
    return labels.astype(np.int32)


def write_scans(folder: Path) -> Path:
    """Scans with a segmentation of FreeSurfer beside each but the first."""
    rng = np.random.default_rng(0)
    rows = ["participant_id\timage\tsex"]
    for i in range(N):
        labels, affine = segmentation(i), places(i)
        values = np.where(labels > 0, rng.uniform(80, 120, SHAPE) + 20 * (i % 2), 0)
        where = folder / f"scan{i:02d}"
        where.mkdir(parents=True)
        nib.save(nib.MGHImage(values.astype(np.float32), affine), where / "brain.mgz")
        if i:
            nib.save(nib.MGHImage(labels, affine), where / "aparc+aseg.mgz")
        rows.append(f"{i:02d}\tscan{i:02d}/brain.mgz\t{'FM'[i % 2]}")
    (folder / "table.tsv").write_text("\n".join(rows))
    return folder / "table.tsv"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    study = folder / "study"
    Study(study, "voxplain study", "0")
    listing = from_table(write_scans(folder / "scans"), "sex")
    build_store(listing, Recipe("small", GRID, align="centre"), study / "cohort")
    return study


@pytest.fixture
def study(run, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    if not (fitted / "model").exists():
        code, _, error = run("fit", fitted, "--network", TINY, *QUICK, "--no-baselines")
        assert code == 0, error
    return fitted


def labels_seen(study: Path, i: int) -> np.ndarray:
    """Labels at each voxel of the study, by hand: back through the shift that a scan was given."""
    told = json.loads((study / "cohort/store.json").read_text())["origins"][i]
    world = np.moveaxis(np.indices(GRID.shape), 0, -1) @ GRID.affine[:3, :3].T + GRID.affine[:3, 3]
    world = world - told["shift_mm"]
    inverse = np.linalg.inv(places(i))
    at = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((at >= 0) & (at < SHAPE)).all(axis=-1)
    at = np.where(inside[..., None], at, 0)
    return np.where(inside, segmentation(i)[tuple(np.moveaxis(at, -1, 0))], 0)


@pytest.mark.filterwarnings("ignore")
def test_regions_of_each_brain_itself(run, study: Path) -> None:
    code, shown, error = run("explain", study, *NET, "--atlas", "own", "--latex")
    assert (code, error) == (0, "")
    assert "Own segmentations: beside 1 scans ('00') lies none; left out." in shown
    (path,) = (study / "group").glob("*_atlas-Own_regions.tsv")
    table = pd.read_csv(path, sep="\t").set_index(["class", "region"])
    cohort = open_store(study / "cohort")
    means, shares = {}, {}
    for i in range(1, N):
        (file,) = (study / "maps").glob(f"sub-{i:02d}/*_statmap.nii.gz")
        values, labels = nib.load(file).get_fdata(), labels_seen(study, i)
        brain = cohort[i].values != 0
        spot = brain & (labels == SPOT)
        means[i] = values[spot].mean()
        shares[i] = np.abs(values[spot]).sum() / np.abs(values[brain]).sum()
    for name, rows in (("all", range(1, N)), ("female", range(2, N, 2)), ("male", range(1, N, 2))):
        row = table.loc[name, "Left-Hippocampus"]
        assert row["participants"] == len(rows)
        assert row["mean"] == pytest.approx(np.mean([means[i] for i in rows]), rel=1e-4)
        assert row["share"] == pytest.approx(np.mean([shares[i] for i in rows]), rel=1e-4)
        assert row["sd"] == pytest.approx(np.std([means[i] for i in rows], ddof=1), rel=1e-4)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["Regions"]["atlas"]["without"] == ["00"]
    told = json.loads((study / "explain.json").read_text())["group"]["gradient"][0]["regions"]
    assert told[0]["atlas"] == "own"
    assert set(told[0]["best"]["male"]) == {"Left-Hippocampus", "Right-Hippocampus"}


@pytest.mark.filterwarnings("ignore")
def test_made_scans_have_no_segmentation(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    study = make_study(tmp_path / "study")
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    code, _, error = run("explain", study, *NET, "--atlas", "own")
    assert code == 2
    assert "were made (test), not read from files" in error
    assert not (study / "maps").exists()


@pytest.mark.filterwarnings("ignore")
def test_maps_on_the_grid_of_each_scan(run, study: Path) -> None:
    code, shown, error = run("explain", study, *NET, "--grid", "input")
    assert (code, error) == (0, "")
    assert f"{N} maps lie on the grids of their scans too: input_grid/." in shown
    origins = json.loads((study / "cohort/store.json").read_text())["origins"]
    for i in (0, 7):
        (near,) = (study / "maps").glob(f"sub-{i:02d}/*_statmap.nii.gz")
        (home,) = (study / "input_grid").glob(f"sub-{i:02d}/*_space-orig_desc-*_statmap.nii.gz")
        one, there = AttributionMap.load(near), AttributionMap.load(home)
        assert there.values.shape == SHAPE
        np.testing.assert_allclose(there.grid.affine, places(i))
        # A gradient is the share of its voxel: smaller voxels hold smaller values.
        share = np.prod(there.grid.voxel_size) / np.prod(GRID.voxel_size)
        at = np.argwhere(np.ones((8, 8, 8))) + 16
        world = there.grid.to_world(at) + origins[i]["shift_mm"]
        wanted = map_coordinates(one.values, GRID.to_voxel(world).T, order=1) * share
        np.testing.assert_allclose(
            there.values[tuple(at.T)], wanted, atol=0.02 * np.abs(wanted).max()
        )
    before = {p: p.stat().st_mtime_ns for p in (study / "input_grid").rglob("*.*")}
    assert len(before) == 2 * N
    home.unlink()
    code, _, _ = run("explain", study, *NET, "--grid", "input")
    after = {p: p.stat().st_mtime_ns for p in (study / "input_grid").rglob("*.*")}
    assert [p for p in before if after[p] != before[p]] == sorted(
        [home, Path(str(home).replace(".nii.gz", ".json"))], key=[*before].index
    )
    content = home.read_bytes()
    home.unlink()
    assert (
        f"\n1 map written, {N - 1} were there already"
        in run(*("export", study, "--grid", "input"))[1]
    )
    assert home.read_bytes() == content


@pytest.mark.parametrize("grid", ["input", "network"])
def test_regions_of_a_single_scan(run, tmp_path: Path, grid: str) -> None:
    scan = write_scans(tmp_path).parent / "scan03/brain.mgz"
    weights = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    weights.write_bytes(serialise(MRINet()))
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-90, -126, -72]
    block = np.zeros((91, 109, 91), np.int16)
    block[30:60, 40:70, 25:60], block[30:60, 40:70, 60:70] = 1, 2
    nib.save(nib.Nifti1Image(block, affine), tmp_path / "block.nii.gz")
    (tmp_path / "block.tsv").write_text("index\tname\n1\tLow\n2\tHigh\n")
    code, shown, error = run(
        "explain", "--network", "mrinet", "--weights", weights, "--image", scan, "--out",
        tmp_path / "out", "--preset", "kan2020", "--align", "centre", "--method", "gradient",
        "--grid", grid, "--atlas", "own", "--atlas", tmp_path / "block.nii.gz", "--latex",
    )  # fmt: skip
    assert (code, error) == (0, "")
    told = json.loads((tmp_path / "out/explain.json").read_text())
    found = told["scans"][0]["maps"]["gradient"]["regions"]
    assert [one["atlas"] for one in found] == ["own", "block"]
    assert set(found[1]["best"]["all"]) == {"Low", "High"}
    assert "densest of own, all: " in shown
    one = AttributionMap.load(next((tmp_path / "out/maps").rglob("*_statmap.nii.gz")))
    shift = re.search(r"moved by \(([-+.\d]+), ([-+.\d]+), ([-+.\d]+)\)", shown).groups()
    world = one.grid.to_world(np.moveaxis(np.indices(one.grid.shape), 0, -1))
    moved = np.array(shift, dtype=float) * (1 if grid == "input" else -1)
    for name, labels, place, own in (
        ("Left-Hippocampus", segmentation(3) == SPOT, places(3), True),
        ("Low", block == 1, affine, False),
    ):
        home = world if own == (grid == "input") else world + moved
        inverse = np.linalg.inv(place)
        at = np.moveaxis(home @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)
        inside = map_coordinates(labels.astype(float), at, order=0) > 0
        path = tmp_path / "out" / found[0 if own else 1]["table"]
        row = pd.read_csv(path, sep="\t").set_index("region").loc[name]
        # The shift is shown to a tenth of a millimetre.
        assert row["voxels"] == pytest.approx(inside.sum(), rel=0.02)
        assert row["mean"] == pytest.approx(
            one.values[inside].mean(), abs=0.05 * row["mean_absolute"]
        )
        assert path.with_suffix(".tex").exists()


@pytest.mark.parametrize(
    ("atlas", "message"),
    [
        ("own", "lies no segmentation of its own"),
        ("AAL", "No voxel of the brain lies in a region of AAL"),
        ("Brodman", "Unknown atlas 'Brodman'"),
    ],
)
def test_a_single_scan_without_regions_writes_nothing(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atlas: str, message: str
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    values = np.zeros((24, 24, 24), np.float32)
    values[4:20, 4:20, 4:20] = np.random.default_rng(0).uniform(1, 2, (16, 16, 16))
    far = GRID.moved([0, 0, 900]).affine
    nib.save(nib.Nifti1Image(values, far), tmp_path / "sub-1_T1w.nii.gz")
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(serialise(tiny()))
    code, _, error = run(
        "explain", "--network", TINY, "--weights", weights, "--image",
        tmp_path / "sub-1_T1w.nii.gz", "--out", tmp_path / "out", "--atlas", atlas,
    )  # fmt: skip
    assert code == 2
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not IXI.exists(), reason="the IXI brains are not here")
def test_regions_of_a_real_brain_itself(run, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    weights.write_bytes(serialise(MRINet()))
    scan = IXI / "sub-IXI211/anat/sub-IXI211_desc-preproc_T1w.nii.gz"
    code, shown, error = run(
        "explain", "--network", "mrinet", "--weights", weights, "--image", scan, "--mask",
        str(scan).replace("preproc_T1w", "brain_mask"), "--out", tmp_path / "out",
        "--preset", "kan2020", "--align", "centre", "--method", "gradient", "--atlas", "own",
    )  # fmt: skip
    assert (code, error) == (0, "")
    assert "has no name for 3 labels" in shown
    (path,) = (tmp_path / "out/maps").rglob("*_atlas-Own_regions.tsv")
    table = pd.read_csv(path, sep="\t").set_index("region")
    assert len(table) == 146
    assert table.loc[["Hippocampus_L", "Hippocampus_R"], "volume_ml"].between(2.5, 5.5).all()
    # What no region covers is the rim that coarser voxels add to the brain.
    assert table.loc["outside regions", "volume_ml"] < 0.3 * table["volume_ml"].sum()
    assert table.loc["Hippocampus_L", "peak_x"] < table.loc["Hippocampus_R", "peak_x"] - 20
