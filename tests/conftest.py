from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from forks import Forks
from numpy.typing import ArrayLike, DTypeLike

from voxplain.grid import Grid

SHAPE = (7, 8, 9)
ROOT = Path(__file__).resolve().parents[1]


@cache
def _group_of(file: str) -> str:
    """Name the group whose tests share what is made once: by its mark, or the file alone."""
    text = (ROOT / file).read_text("utf-8")
    found = re.search(r'pytest\.mark\.xdist_group\("(.+?)"\)', text)
    return found[1] if found else file if 'scope="module"' in text else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all tests of a group to one worker, which then makes what they share once.

    All cases of a parametrised test go together too: handing them out one by one takes seconds.
    pytest-xdist 3.8 passes groups on in a field that pytest 9.2 no longer reads.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid.split("::", maxsplit=1)[0]) or nodeid.split("[", maxsplit=1)[0]

    return ByFile(config, log)


def pytest_collection() -> None:
    """Leave memory alone while modules are imported, which throw nothing away."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare the libraries each search for what can be thrown away, and search less often."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 20)
    if "torch" in sys.modules:
        _seed_what_is_there()


def _seed_what_is_there() -> None:
    """Keep `torch.manual_seed` from writing down who called it, for devices that are not there."""
    import torch

    for kind in (torch.cuda, torch.xpu, torch.mtia):
        if not kind.is_available():
            kind.manual_seed_all = lambda seed: None


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Leave written files to the system: only a power cut tells, and thousands take minutes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


def _oblique() -> np.ndarray:
    x, y, z = np.deg2rad([20, -35, 12])
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_x) @ about_y @ about_z


def _grid(directions: ArrayLike, voxel_size: ArrayLike, centre: ArrayLike) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions) * np.asarray(voxel_size)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return Grid(SHAPE, affine)


_AWKWARD = {
    "RAS": _grid(np.eye(3), (2, 2, 2), (0, 0, 0)),
    "LAS flipped": _grid(np.diag([-1, 1, 1]), (2, 2, 2), (0.5, 0, 0)),
    "PSR": _grid([[0, 0, 1], [-1, 0, 0], [0, 1, 0]], (2, 2, 2), (0, 1, -0.5)),
    "anisotropic": _grid(np.eye(3), (1, 2.5, 3.2), (1, -1, 0.5)),
    "oblique": _grid(_oblique(), (2, 2, 2), (-0.3, 0.9, 1.3)),
    "oblique, flipped, anisotropic": _grid(
        _oblique() @ np.diag([1, -1, -1]), (1.5, 2, 3), (-1, 0.5, 0.7)
    ),
}


@pytest.fixture
def awkward_grids() -> dict[str, Grid]:
    """Grids of (7, 8, 9) voxels that overlap around the origin, by what is awkward about them."""
    return dict(_AWKWARD)


@pytest.fixture(params=_AWKWARD.values(), ids=_AWKWARD.keys())
def awkward_grid(request: pytest.FixtureRequest) -> Grid:
    """Each of `awkward_grids`, one test run a grid."""
    return request.param


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write an array as NIfTI: ``write_nifti(values, grid_or_affine, name, dtype) -> path``."""

    def write(
        values: ArrayLike,
        place: Grid | ArrayLike,
        name: str = "sub-01_T1w.nii.gz",
        dtype: DTypeLike | None = None,
    ) -> Path:
        affine = place.affine if isinstance(place, Grid) else np.asarray(place, dtype=float)
        array = np.asarray(values)
        if dtype is not None:
            array = array.astype(dtype)
        elif array.dtype in (np.bool_, np.int64):
            array = array.astype(np.int32)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), path)
        return path

    return write


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of data that lies beside the checkout and is never shipped, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Commands in processes of their own; files of tests that use them share the group "forks"."""
    made = Forks.served(tmp_path_factory.mktemp("forks"))
    yield made
    made.server.communicate()


@pytest.fixture(scope="session")
def _commands() -> Callable[..., object]:
    """Build a tree of commands once: to read the options of all takes 40 ms."""
    from typer.main import get_command

    return cache(get_command)


@pytest.fixture
def call_main(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    _commands: Callable[..., object],
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: ``(exit code, output, errors)``."""

    def call(main: Callable[[], None], name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.setattr("typer.main.get_command", _commands)
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call
