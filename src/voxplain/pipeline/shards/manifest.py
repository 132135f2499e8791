"""The manifest of a run: all that its parts read, by hash, fixed before the first is done."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxplain import __version__
from voxplain.errors import StudyError
from voxplain.study import Study, StudyReader

__all__ = [
    "BUSY", "STORE", "Manifest", "cohort_hashes", "find_manifest", "fixed_run", "kept_manifest",
    "unjoined",
]  # fmt: skip

STORE = "cohort/store.json"
"""File of a study that is locked while a command works; see `voxplain.study.locks`."""

BUSY = (
    "Another voxplain command is at work in {}, or parts of a run are; wait until it has ended, "
    "and run the same command again."
)

_FILE, _JOINED = "manifest.json", "joined.json"
_PATIENCE, _STEP = 30.0, 1.0
"""Seconds that a file of a shared file system may be late, and between two looks."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """What a run is about, never changed once it is written.

    Parameters
    ----------
    content : mapping
        As JSON holds it: the ``command``, what was ``asked``, and by hash what is read.
    """

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the run: its command, and the hash of the manifest."""
        return f"{self.content['command']}-{_sha256(self.content)[:16]}"

    def write(self, study: Study) -> None:
        """Write the manifest, if it is not there.

        Raises
        ------
        StudyError
            If another run that was asked the same, and was made of other files, is not joined yet.
        """
        if kept_manifest(study, self.name) is None:
            study.write_json(f"runs/{self.name}/{_FILE}", self.content)
        study.remove(f"runs/{self.name}/{_JOINED}")
        for name in unjoined(study):
            other = kept_manifest(study, name)
            if other and other.content["asked"] == self.content["asked"]:
                other.require(self.content, study)

    def require(self, found: Mapping[str, Any], study: StudyReader) -> None:
        """Compare what is found now with what was fixed.

        Parameters
        ----------
        found : mapping
            Some entries of a manifest, made anew.

        Raises
        ------
        StudyError
            If an entry differs.
        """
        for key, value in found.items():
            if self.content.get(key) != value:
                self.refuse(_WORDS.get(key, key), study)

    def refuse(self, what: str, study: StudyReader) -> None:
        """Say that something was changed since the run was fixed.

        Raises
        ------
        StudyError
            Always.
        """
        raise StudyError(
            f"{what} of {study.folder} changed after the run {self.name} was fixed, so nothing was "
            f"written; put back what it was, or delete {study.folder / 'runs' / self.name} to give "
            "that run up."
        )

    def join(self, study: Study) -> None:
        """Note that the run is joined; drop what its parts told, and what killed ones left."""
        study.sweep()
        study.write_json(f"runs/{self.name}/{_JOINED}", {"joined": time.time()})
        for name in study.list_names(f"runs/{self.name}/part-*.json"):
            study.remove(name)


_WORDS = {
    "table_sha256": "The participants' table",
    "store_sha256": "The store of images",
    "listing_sha256": "The list of scans, or the table that comes with it,",
    "version": "The version of voxplain",
    "tests_sha256": "A map, or what a test is asked,",
    "folds": "A network, or the scans that it held out,",
    "asked": "What is asked",
}


def cohort_hashes(study: StudyReader) -> dict[str, str]:
    """Hash the participants' table and the store's record, and name the version of voxplain.

    Raises
    ------
    StudyError
        If one cannot be read.
    """
    found = {"version": __version__}
    for key, name in (("table_sha256", "cohort/participants.tsv"), ("store_sha256", STORE)):
        content = study.read_bytes(name)
        if content is None:
            raise StudyError(f"{study.folder / name} cannot be read; look whether it is there.")
        found[key] = hashlib.sha256(content).hexdigest()
    return found


def kept_manifest(study: StudyReader, name: str) -> Manifest | None:
    """Read a manifest, None where there is none that is whole."""
    content = study.read_json(f"runs/{name}/{_FILE}")
    if "command" not in content or Manifest(content).name != name:
        return None
    return Manifest(content)


def unjoined(study: StudyReader) -> list[str]:
    """Name the runs that were fixed and are not joined yet."""
    names = [path.split("/")[1] for path in study.list_names(f"runs/*/{_FILE}")]
    return [name for name in names if study.find_file(f"runs/{name}/{_JOINED}") is None]


def find_manifest(
    study: StudyReader, asked: Mapping[str, Any], name: str | None
) -> Manifest | None:
    """Find the manifest of a run.

    Parameters
    ----------
    study : StudyReader
    asked : mapping
        What is asked of it.
    name : str, optional
        Of the run, where that is known; a shared file system may show it late, and is waited for.

    Returns
    -------
    Manifest or None
        None where no name was given, and no run that is not joined was asked the same.

    Raises
    ------
    StudyError
        If the run of that name is not there, or was asked for something else.
    """
    if name is None:
        kept = (kept_manifest(study, one) for one in unjoined(study))
        return next((one for one in kept if one and one.content["asked"] == asked), None)
    end = time.monotonic() + _PATIENCE
    while (found := kept_manifest(study, name)) is None and time.monotonic() < end:
        time.sleep(_STEP)
    if found is None:
        raise StudyError(
            f"{study.folder} has no run {name} with a whole manifest; it was waited for "
            f"{_PATIENCE:.0f} seconds. Fix one with --shard 0/n, or leave out --manifest."
        )
    found.require({"asked": asked}, study)
    return found


def fixed_run(
    study: Study, command: str, asked: Mapping[str, Any], found: Mapping[str, Any], name: str | None
) -> Manifest:
    """Find the manifest of a run, or fix the run; what it is about is what is found now.

    Parameters
    ----------
    study : Study
    command : str
    asked : mapping
        What is asked of the run.
    found : mapping
        By hash, what is read.
    name : str, optional
        As for `find_manifest`.

    Raises
    ------
    StudyError
        If the run of that name is not there, or something changed since the run was fixed.
    """
    manifest = find_manifest(study, asked, name)
    if manifest is None:
        content = {"command": command, "asked": asked, **found}
        manifest = Manifest(json.loads(json.dumps(content)))
        manifest.write(study)
    manifest.require(found, study)
    return manifest


def _sha256(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
