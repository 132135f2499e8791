"""``python -m benchmarks.fuzz``: damaged input of every reader ends in a sentence, never a crash.

Each target takes a valid input, damages it at random (bytes flipped, cut out, repeated, cut short;
in tables also whole cells and the encoding) and reads it. Only voxplain's own errors may come out,
of one line.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import nibabel as nib
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from voxplain.cohort import read_volume
from voxplain.cohort.find import sources
from voxplain.cohort.find.sources import (
    from_bids,
    from_cat12,
    from_freesurfer,
    from_hcp,
    from_ixi,
    from_oasis,
    from_openbhb,
    from_table,
)
from voxplain.console import make_progress
from voxplain.errors import InputError, VoxplainError, VoxplainWarning
from voxplain.images.files import ImageFile

Read = Callable[[], object]
VALUES = np.random.default_rng(0).integers(0, 200, size=(7, 8, 9)).astype(np.int16)
AFFINE = np.diag([-2.0, 2, 2.5, 1])
CELLS = (
    b"",
    b"n/a",
    b"NaN",
    b"1",
    b"1.0",
    b"male",
    b"sub-",
    b"../x",
    b'"',
    b"\t\t",
    b"\xff",
    b"\0",
    b"1,234",
    b"045Y",
    b"-9",
    b"unknown",
    b"-",
    b'="01"',
    b"01_ses-2",
    b"1_2",
    b"\xc2\xa0",
    b"\r",
)
ENCODINGS = ("utf-8-sig", "utf-16", "utf-32", "cp1252")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    parser.add_argument("--inputs", type=int, default=10_000, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="targets, such as table or 'zip in zip'")
    options = parser.parse_args()
    console = Console()
    shown = Table("target", "inputs", "read", "refused in a sentence", "crashed")
    crashed = 0
    with tempfile.TemporaryDirectory() as name:
        for target, (file, read) in _targets(Path(name)).items():
            if options.only and target not in options.only:
                continue
            counts = _fuzz(target, file, read, options, console)
            crashed += counts[2]
            shown.add_row(target, str(options.inputs), *map(str, counts))
    console.print(shown)
    sys.exit(1 if crashed else 0)


def _fuzz(
    target: str, file: Path, read: Read, options: argparse.Namespace, console: Console
) -> tuple[int, int, int]:
    rng = np.random.default_rng(options.seed)
    whole = file.read_bytes()
    table = file.suffix in (".tsv", ".csv")
    good = refused = crashed = 0
    read()
    # What becomes of strange cells is a matter of `benchmarks.tables`; here it may only not crash.
    warnings.simplefilter("ignore", VoxplainWarning)
    with make_progress(console).step(target, options.inputs) as advance:
        for i in range(options.inputs):
            file.write_bytes(_damaged(whole, rng, table))
            try:
                read()
                good += 1
            except VoxplainError as error:
                refused += 1
                if "\n" in str(error) or not str(error).endswith("."):
                    crashed += 1
                    console.print(f"{target}, input {i}: not one sentence: {error}")
            except Exception:
                crashed += 1
                console.print(f"{target}, input {i}: {traceback.format_exc(limit=-3)}")
            advance(i + 1)
    file.write_bytes(whole)
    return good, refused, crashed


def _damaged(whole: bytes, rng: np.random.Generator, table: bool) -> bytes:
    content = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(content) or 1))
        # Headers are short and matter most.
        at = at % 400 if rng.random() < 0.5 else at
        kind = rng.integers(5)
        if table and kind < 3:
            separators = [i for i, c in enumerate(content) if c in b"\t,\n"]
            if len(separators) > 1:
                n = int(rng.integers(len(separators) - 1))
                start, stop = separators[n] + 1, separators[n + 1]
                content[start:stop] = CELLS[rng.integers(len(CELLS))]
        elif table and kind == 3 and rng.random() < 0.2:
            text = content.decode("utf-8", errors="ignore")
            content[:] = text.encode(ENCODINGS[rng.integers(len(ENCODINGS))], errors="ignore")
        elif kind == 0:
            content[at : at + 1] = bytes([rng.integers(256)])
        elif kind == 1:
            content[at : at + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 2:
            content[at:at] = content[at : at + int(rng.integers(1, 64))]
        elif kind == 3:
            del content[at : at + int(rng.integers(1, 64))]
        else:
            del content[at:]
    return bytes(content)


def _image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix in (".mgz", ".mgh") else nib.Nifti1Image
    nib.save(kind(VALUES, AFFINE), path)
    return path


def _text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def _oasis(table: Path, image: Path) -> object:
    """Read OASIS as if nilearn had fetched this table, with one map for each of its rows."""
    try:
        people = pd.read_csv(table)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError("nilearn cannot read the table.") from error
    fetched = SimpleNamespace(ext_vars=people, gray_matter_maps=[image] * len(people))
    with patch.object(sources.oasis, "_fetch", lambda folder, subjects: fetched):
        return from_oasis()


def _targets(folder: Path) -> dict[str, tuple[Path, Read]]:
    """From a target's name to the file that is damaged, and what reads it."""
    targets: dict[str, tuple[Path, Read]] = {}

    def scan(name: str) -> None:
        path = _image(folder / "images" / name)
        targets[f"image {name}"] = (path, lambda: read_volume(path))

    for name in ("a.nii", "a.nii.gz", "a.mgz", "a.mgh"):
        scan(name)
    array = folder / "images/a.npy"
    np.save(array, np.zeros((1, 1, 121, 145, 121), np.uint8))
    with array.open("r+b") as file:
        file.seek(2000)
        file.write(b"\x01")
    targets["image a.npy"] = (array, lambda: read_volume(array))
    zipped = folder / "a.zip"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "images/a.nii.gz", "a.nii.gz")
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("100307.zip", packed.getvalue())
    member = ImageFile(zipped, ("100307.zip", "a.nii.gz"))
    targets["zip in zip"] = (zipped, lambda: read_volume(member, "1"))

    table = _text(
        folder / "t/t.tsv", "participant_id\timage\tmask\tsex\n1\ta.nii\t\tM\n2\ta.nii\t\tF\n"
    )
    _image(folder / "t/a.nii")
    targets["table"] = (table, lambda: from_table(table, "sex"))
    sessions = _text(
        folder / "t/s.tsv",
        "participant_id\tsession_id\trun_id\timage\tsex\n1\tses-1\t1\ta.nii\tM\n"
        "1\tses-1\t2\ta.nii\tM\n2\tn/a\tn/a\ta.nii\tF\n",
    )
    targets["table of sessions"] = (sessions, lambda: from_table(sessions, "sex"))
    people = "participant_id\tsex\tage\nsub-01\tM\t3\nsub-02\tF\tn/a\nsub-03\tF\t9\n"
    for who in ("01", "02", "03"):
        _image(folder / f"bids/sub-{who}/anat/sub-{who}_T1w.nii.gz")
        _image(folder / f"fs/{who}/mri/brain.mgz")
        _image(folder / f"cat/mwp1sub-{who}.nii")
        (folder / "bhb").mkdir(exist_ok=True)
        (folder / f"bhb/sub-{who}_preproc-quasiraw_T1w.npy").touch()
    bids = _text(folder / "bids/participants.tsv", people)
    targets["bids"] = (bids, lambda: from_bids(folder / "bids", "sex"))
    other = _text(folder / "p.tsv", people)
    targets["freesurfer"] = (other, lambda: from_freesurfer(folder / "fs", other, "sex"))
    third = _text(folder / "q.tsv", people)
    targets["cat12"] = (third, lambda: from_cat12(folder / "cat", third, "sex"))
    fourth = _text(folder / "bhb/participants.tsv", people)
    targets["openbhb"] = (fourth, lambda: from_openbhb(folder / "bhb"))
    oasis = _text(folder / "oasis.csv", "id,mf,age\nOAS1_0001_MR1,F,74\nOAS1_0002_MR1,M,55\n")
    targets["oasis"] = (oasis, lambda: _oasis(oasis, folder / "t/a.nii"))
    sheet = _text(folder / "IXI.csv", "IXI_ID,SEX_ID,AGE\n2,2,3\n12,1,4\n12,1,4\n13,1,0\n")
    for who in ("002-Guys-1", "012-HH-1", "013-IOP-1"):
        _image(folder / f"ixi/IXI{who}-T1.nii.gz")
    targets["ixi"] = (sheet, lambda: from_ixi(folder / "ixi", sheet))
    for who in ("100206", "100307"):
        _image(folder / f"hcp/{who}/T1w/T1w_acpc_dc_restore_brain.nii.gz")
    inner = "100408/T1w/T1w_acpc_dc_restore_brain.nii.gz"
    package = folder / "hcp/100408_3T_Structural_preproc.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(_image(folder / "x.nii.gz"), inner)
    subjects = _text(folder / "hcp.csv", "Subject,Gender\n100206,M\n100307,F\n100408,F\n")
    targets["hcp table"] = (subjects, lambda: from_hcp(folder / "hcp", subjects))
    targets["hcp package"] = (package, lambda: from_hcp(folder / "hcp", subjects))
    return targets


if __name__ == "__main__":
    main()
