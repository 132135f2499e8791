"""https://github.com/neheller/kits19/issues/5"""

from __future__ import annotations

from pathlib import Path

import pytest

from voxplain.cohort import read_volume
from voxplain.errors import InputError


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:9a\nsize 77\n", "git lfs pull"),
        ("/annex/objects/MD5E-s77--1b.nii.gz\n", "datalad get or git annex get"),
    ],
)
def test_the_command_that_fetches_the_scan_is_told(tmp_path: Path, content, command) -> None:
    path = tmp_path / "sub-1_T1w.nii.gz"
    path.write_text(content)
    with pytest.raises(InputError, match=f"was not fetched; run {command}"):
        read_volume(path)
