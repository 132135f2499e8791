"""Place and masks come first: on the terminal, in ``cohort.json`` and on the page."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SHAPE = (54, 62, 56)
AFFINE = np.array([[-4.0, 0, 0, 107], [0, 4, 0, -140], [0, 0, 4, -102], [0, 0, 0, 1]])
TURNED = AFFINE @ np.array([[0, 0, 1.0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def draw(shift: np.ndarray, stored: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a head of noise around a brain, the brain's mask and the affine."""
    affine = AFFINE if stored == "straight" else TURNED
    shape = SHAPE if stored == "straight" else (SHAPE[1], SHAPE[2], SHAPE[0])
    world = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    mask = np.linalg.norm((world - [0, -18, 9]) / [60, 76, 58], axis=-1) < 1
    head = np.linalg.norm((world - [0, -18, -5]) / [78, 96, 88], axis=-1) < 1
    values = np.random.default_rng(0).integers(40, 90, shape) * head + 60 * mask
    moved = affine.copy()
    moved[:3, 3] += shift
    return values.astype(np.int16), mask, moved


@pytest.fixture
def table(tmp_path: Path):
    def write(scans: list[dict]) -> Path:
        """Write scans with ``sex``, ``shift``, and what is done with the mask."""
        rows = ["participant_id\timage\tmask\tsex"]
        for i, scan in enumerate(scans):
            values, mask, affine = draw(
                scan.get("shift", np.zeros(3)), ("straight", "turned")[i % 2]
            )
            how = scan.get("mask", "file")
            if how == "stripped":
                values = values * mask
            nib.save(nib.Nifti1Image(values, affine), tmp_path / f"s{i}.nii")
            named = "n/a"
            if how in ("file", "all"):
                named = f"m{i}.nii"
                inside = np.ones_like(mask) if how == "all" else mask
                nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), tmp_path / named)
            rows.append(f"sub-{i}\ts{i}.nii\t{named}\t{scan['sex']}")
        path = tmp_path / "people.tsv"
        path.write_text("\n".join(rows))
        return path

    return write


def asked(run, table: Path, *options: object):
    out = table.parent / "study"
    code, shown, error = run(
        "cohort", "table", table, "--label", "sex", "--out", out, "--workers", 1, *options
    )
    assert (code, error) == (0, "")
    return shown, json.loads((out / "cohort.json").read_text()), (out / "cohort.html").read_text()


def told(result: dict) -> dict[str, list[str]]:
    return {one["name"]: one["scans"] for one in result["doubts"]}


def test_a_cohort_in_place_raises_no_doubt(run, table) -> None:
    shown, result, page = asked(run, table([{"sex": "FM"[i % 2]} for i in range(4)]))
    assert result["doubts"] == []
    assert "! " not in shown
    assert "Place and masks first" not in page


def test_far_from_the_template_and_cut(run, table) -> None:
    away = np.array([0, 27.0, -18])
    cut = np.array([48.0, 0, 0])
    shifts = [away, away, away, cut, np.zeros(3), away]
    path = table([{"sex": "FM"[i % 2], "shift": shift} for i, shift in enumerate(shifts)])
    shown, result, page = asked(run, path)
    assert told(result) == {"place": ["0", "1", "2", "3", "5"], "field of view": ["3"]}
    lines = shown.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("! "))
    assert lines[first].startswith("! 5 of 6 scans lie more than 20 mm from the brain of MNI152")
    assert "By class: 2 of 3 female, 3 of 3 male. They are 0, 1, 2, 3, 5." in lines[first]
    assert lines[first].endswith("run again with --align centre, in a new folder.")
    assert lines[first + 1].startswith("! 1 of 6 scans are cut: more than 5 % of the brain lies")
    assert all("What tells the classes" not in line for line in lines[: first + 1])
    assert "Place and masks first" in page
    assert "5 of 6 scans lie more than 20 mm" in page
    path.parent.joinpath("study").rename(path.parent / "before")
    shown, result, _ = asked(run, path, "--align", "centre")
    assert result["doubts"] == []


def test_heads_of_one_class_without_masks(run, table) -> None:
    """What tells the classes apart perfectly is who was masked."""
    scans = [{"sex": "FM"[i % 2], "mask": "none" if i % 2 else "file"} for i in range(6)]
    shown, result, _ = asked(run, table(scans))
    assert told(result) == {"heads without masks": ["1", "3", "5"]}
    assert "! 3 of 6 scans fill more than 2200 mL and have no brain mask" in shown
    assert "By class: 0 of 3 female, 3 of 3 male." in shown
    assert "give their brain masks, or find them with --skull-strip." in shown
    assert "Brain size alone" not in shown
    assert "whole heads included, alone tells the classes apart with an AUC of 1.00" in shown


def test_no_mask_at_all(run, table) -> None:
    scans = [{"sex": "FM"[i % 2], "mask": "none"} for i in range(4)]
    _, result, _ = asked(run, table(scans))
    assert told(result) == {"heads without masks": ["0", "1", "2", "3"]}


def test_stripped_scans_beside_masked_ones(run, table) -> None:
    scans = [{"sex": "FM"[i % 2], "mask": "stripped" if i < 2 else "file"} for i in range(5)]
    shown, result, _ = asked(run, table(scans))
    assert told(result) == {"masks of some": ["0", "1"]}
    assert "unless these scans hold nothing but brain" in shown


def test_all_stripped_need_no_word(run, table) -> None:
    scans = [{"sex": "FM"[i % 2], "mask": "stripped"} for i in range(4)]
    assert asked(run, table(scans))[1]["doubts"] == []


def test_masks_that_hold_everything(run, table) -> None:
    scans = [{"sex": "FM"[i % 2], "mask": "all" if i == 1 else "file"} for i in range(4)]
    shown, result, _ = asked(run, table(scans))
    assert told(result) == {"masks": ["1"]}
    assert "within their masks, like whole heads" in shown
    assert "What to do: look at the masks." in shown


def test_a_second_run_tells_the_same(run, table) -> None:
    scans = [{"sex": "FM"[i % 2], "mask": "none"} for i in range(4)]
    path = table(scans)
    before = asked(run, path)[1]["doubts"]
    shown, result, _ = asked(run, path)
    assert "4 scans are kept" in shown
    assert result["doubts"] == before


def test_remarks_of_reading_and_a_choice_of_orientation(run, table) -> None:
    path = table([{"sex": "FM"[i % 2]} for i in range(4)])
    for i, (name, turn) in enumerate((("s1.nii", np.eye(4)), ("s2.nii", np.diag([-1, 1, 1, 1])))):
        image = nib.load(path.with_name(name))
        values, sform = np.asarray(image.dataobj).copy(), image.affine
        both = nib.Nifti1Image(values, sform)
        other = turn @ sform
        other[2, 3] += 9 * (1 - i)
        both.set_sform(sform, 1)
        both.set_qform(other, 1)
        nib.save(both, path.with_name(name))
    shown, result, _ = asked(run, path)
    assert told(result) == {"files": ["1"]}
    assert "differ by up to 9.0 mm and 0.0 degrees" in str(result["notes"]["1"])
    assert "1 × left and right contradictory (--orientation)" in shown
    path.parent.joinpath("study").rename(path.parent / "before")
    shown, result, _ = asked(run, path, "--orientation", "sform")
    assert result["doubts"] == []
    assert result["scans"] == 4
    assert {"step": "orientation", "how": "sform"} in result["recipe"]
