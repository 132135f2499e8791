"""Any table, tree or array: a listing that accounts for everything, or a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from voxplain.cohort import read_volume
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.find.sources import (
    from_bids,
    from_cat12,
    from_freesurfer,
    from_hcp,
    from_ixi,
    from_openbhb,
    from_table,
)
from voxplain.errors import InputError

Result = TypeVar("Result")
LOOSE = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CELL = st.one_of(
    st.sampled_from(
        ["1", "2", "01", "sub-01", "a.nii", "b.nii", "M", "F", "male", "n/a", "", "1.0"]
    ),
    st.text(max_size=6),
)
COLUMNS = ("participant_id", "image", "mask", "sex", "session_id", "run_id", "age")


def listed(read: Callable[[], Result]) -> Result | None:
    """What was read, or None for what was refused in one sentence."""
    try:
        return read()
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert said.endswith(".")
    return None


def check(found: Listing) -> None:
    names = [scan.name for scan in found.scans]
    assert len(set(names)) == len(names) == len(found.participants)
    assert len(found.class_names) >= 2
    assert set(found.participants["label"]) == set(found.class_names)
    assert [f"sub-{scan.subject}" for scan in found.scans] == list(
        found.participants["participant_id"]
    )


@LOOSE
@given(
    columns=st.permutations(COLUMNS),
    count=st.integers(3, len(COLUMNS)),
    rows=st.lists(st.lists(CELL, min_size=7, max_size=7), max_size=5),
    separator=st.sampled_from(["\t", ","]),
)
@example(
    columns=list(COLUMNS),
    count=6,
    rows=[["1", "a.nii", "", "M", "1", "1", ""], ["1", "b.nii", "", "F", "1", "2", ""]],
    separator="\t",
)
def test_any_table(
    tmp_path: Path, columns: list[str], count: int, rows: list[list[str]], separator: str
) -> None:
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).touch()
    path = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
    lines = [columns[:count], *(row[:count] for row in rows)]
    text = "\n".join(separator.join(line) for line in lines)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = listed(lambda: from_table(path, "sex"))
    if found is not None:
        check(found)


ENTITY = st.sampled_from(
    ["", "_run-1", "_run-2", "_acq-x", "_space-MNI", "_desc-preproc", "_x", "_-"]
)
SCANS = st.lists(
    st.tuples(
        st.sampled_from(["01", "02", "03", "x-y", "ü"]),
        st.sampled_from(["", "a", "b"]),
        st.lists(ENTITY, max_size=2).map("".join),
        st.sampled_from([".nii", ".nii.gz"]),
    ),
    max_size=7,
    unique=True,
)


@LOOSE
@given(scans=SCANS, every=st.booleans(), session=st.sampled_from([None, "a"]))
def test_any_bids_tree(
    tmp_path_factory: pytest.TempPathFactory,
    scans: list[tuple[str, str, str, str]],
    every: bool,
    session: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("bids")
    (folder / "participants.tsv").write_text("participant_id\tsex\n01\tM\n02\tF\n03\tn/a\n")
    for who, when, rest, ending in scans:
        at = folder / f"sub-{who}" / (f"ses-{when}" if when else "") / "anat"
        at.mkdir(parents=True, exist_ok=True)
        (at / f"sub-{who}{f'_ses-{when}' if when else ''}{rest}_T1w{ending}").touch()
    images = {str(path) for path in folder.rglob("*_T1w.nii*")}
    found = listed(lambda: from_bids(folder, "sex", session=session, all_scans=every))
    if found is not None:
        check(found)
        used = [str(scan.image.path) for scan in found.scans]
        gone = [one.what for one in found.exclusions if one.what != "the table"]
        if any("desc-preproc" in name for name in images):
            images = {name for name in images if "desc-preproc" in name}
        assert sorted(used + gone) == sorted(images)


NAME = st.one_of(
    st.sampled_from([
        "mwp1sub-01.nii", "mwp1sub-02.nii", "mwp1x.nii", "IXI002-Guys-0828-T1.nii.gz",
        "IXI012-HH-1211-T1.nii.gz", "IXI-T1.nii.gz", "100206_3T_Structural_preproc.zip",
        "100206/T1w/T1w_acpc_dc_restore_brain.nii.gz", "01/mri/brain.mgz", "02/mri/norm.mgz",
        "sub-01_preproc-quasiraw_T1w.npy", "sub-02_preproc-quasiraw_T1w.npy", "01", "a.zip",
    ]),
    st.text("abc01-_. ", min_size=1, max_size=9).filter(lambda name: name.strip(". ") != ""),
)  # fmt: skip


@LOOSE
@given(names=st.lists(NAME, max_size=6, unique=True), content=st.binary(max_size=40))
def test_any_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in names:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue
    table = folder.parent / f"{folder.name}.csv"
    table.write_text(
        "participant_id,sex,Subject,Gender,IXI_ID,SEX_ID\n01,M,100206,M,2,1\n02,F,100307,F,12,2\n"
    )
    for read in (
        lambda: from_cat12(folder, table, "sex"),
        lambda: from_freesurfer(folder, table, "sex"),
        lambda: from_hcp(folder, table),
        lambda: from_ixi(folder, table),
        lambda: from_openbhb(folder, participants=table),
    ):
        found = listed(read)
        if found is not None:
            check(found)


@LOOSE
@given(
    shape=st.lists(st.integers(0, 3), max_size=5),
    kind=st.sampled_from(["f4", "f8", "i2", "u1", "c8", "U3", "?", "M8[s]"]),
    order=st.sampled_from("<>"),
    fortran=st.booleans(),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    cut=st.integers(0, 40),
    patch=st.tuples(st.integers(0, 127), st.binary(max_size=6)),
)
def test_any_array(tmp_path: Path, shape, kind, order, fortran, version, cut, patch) -> None:
    stream = io.BytesIO()
    array = np.zeros(shape, np.dtype(kind).newbyteorder(order), "F" if fortran else "C")
    np.lib.format.write_array(stream, array, version)
    raw = bytearray(stream.getvalue())
    start, added = patch
    raw[start : start + len(added)] = added
    path = tmp_path / "sub-01_preproc-quasiraw_T1w.npy"
    path.write_bytes(raw[: len(raw) - cut])
    assert listed(lambda: read_volume(path)) is None
