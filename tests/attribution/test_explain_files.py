"""`explain` takes files and images of nibabel where it takes volumes, and gives the same maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from explain_nets import paper_like, volumes

from voxplain.attribution import Engine, explain, iter_explain
from voxplain.errors import InputError
from voxplain.images import reading

EXACT = Engine("cpu", "exact", batch_size=2)
NET = paper_like()
ITEMS = volumes(4)


@pytest.fixture
def paths(write_nifti: Callable[..., Path]) -> list[Path]:
    return [write_nifti(v.values, v.grid, f"sub-{v.subject}_T1w.nii.gz") for v in ITEMS]


def test_one_file_or_image_gives_one_map(paths: list[Path]) -> None:
    wanted = explain(NET, ITEMS[2], "gradient", 1, engine=EXACT)
    for given in (paths[2], str(paths[2]), nib.load(paths[2])):
        made = explain(NET, given, "gradient", 1, engine=EXACT)
        np.testing.assert_array_equal(made.values, wanted.values)
        assert made.subject == "02"
        assert made.grid.same_as(ITEMS[2].grid)


@pytest.mark.parametrize("hold", [list, tuple, iter], ids=["list", "tuple", "iterator"])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("gradient", {}),
        ("meaningful-perturbation", {"cohort": True, "reference": "zero", "cell": 3.0}),
    ],
    ids=["one by one", "with all seen first"],
)
def test_files_images_and_volumes_mix(
    paths: list[Path], hold: Callable[[Any], Any], method: str, options: dict[str, Any]
) -> None:
    mixed = [paths[0], ITEMS[1], nib.load(paths[2]), str(paths[3])]
    made = explain(NET, hold(mixed), method, 1, engine=EXACT, **options)
    wanted = explain(NET, ITEMS, method, 1, engine=EXACT, **options)
    assert [one.subject for one in made] == ["00", "01", "02", "03"]
    for one, other in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_files_are_read_when_their_turn_comes(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = reading.read_scan

    def watched(given: Any, *rest: Any) -> Any:
        opened.append(Path(given).name)
        return read(given, *rest)

    monkeypatch.setattr(reading, "read_scan", watched)
    stream = iter_explain(NET, paths, "gradient", 1, engine=EXACT)
    assert not opened
    next(stream)
    # The batch holds two, and the third is looked at to see whether it fits.
    assert opened == [f"sub-0{i}_T1w.nii.gz" for i in range(3)]
    list(stream)
    assert len(opened) == 4


def test_what_is_wrong_with_a_file_is_said(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "sub-09_T1w.nii.gz").write_bytes(paths[0].read_bytes()[:80])
    with pytest.raises(InputError, match=r"sub-09_T1w\.nii\.gz is truncated"):
        explain(NET, [paths[0], tmp_path / "sub-09_T1w.nii.gz"], "gradient", 1, engine=EXACT)
