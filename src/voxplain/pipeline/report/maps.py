"""The maps that the report's viewer shows, and what is told of single scans from theirs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.images.reading import read_image
from voxplain.pipeline.report.scans import Profiles, read_profiles
from voxplain.pipeline.report.scenery import Place
from voxplain.progress import Progress
from voxplain.report.html.viewer import SINGLE, ShownMap, packed_maps
from voxplain.report.words.maps import shown_label
from voxplain.results.regions import Peak
from voxplain.results.study import GroupTest, MeanMap
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["FOLDER", "StudyMaps"]

FOLDER: Final = "report-scans"
"""Beside the page: the maps of scans that are not in it."""

_STATISTICS: Final = {
    "t": ("t", False),
    "pVoxel": ("corrected p, voxels", True),
    "pClusterMass": ("corrected p, cluster mass", True),
    "pClusterSize": ("corrected p, cluster size", True),
    "pTfce": ("corrected p, TFCE", True),
}
_THREADS = 2


class _Single(NamedTuple):
    """A map of a scan: its path, and the registry name and target that its sidecar tells."""

    path: Path
    method: str
    target: str


class StudyMaps:
    """Reads the maps of a study for its report.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    place : Place
    means : sequence of MeanMap
    network : str
        Whose single maps are read.
    progress : Progress
    """

    def __init__(
        self,
        study: Study,
        cohort: Cohort,
        place: Place,
        means: Sequence[MeanMap],
        network: str,
        progress: Progress,
    ) -> None:
        self.study, self.cohort, self.place, self.network = study, cohort, place, network
        self.beside = study
        self.means = [one for one in means if self._fits(one.file)]
        self.values = {one.file: self._read(one.file) for one in self.means}
        self.progress = progress
        study.require_whole_maps()
        self.single: dict[str, list[_Single]] = {}
        for subject in cohort.subjects:
            held = [
                _Single(path.with_suffix(".nii.gz"), told["Method"], told["Target"])
                for path, told in study.sidecars(subject)
                if told.get("Network", "") in (network, "")
            ]
            if held:
                self.single[f"sub-{subject}"] = held

    def _fits(self, file: str) -> bool:
        path = self.study.find_file(file)
        return path is not None and read_image(path)[1].same_as(self.cohort.grid)

    def _read(self, file: str) -> NDArray[np.float32]:
        # A map may be the same everywhere, such as a p of 1; a scan may not.
        return read_image(self.study.folder / file)[0].astype(np.float32)

    def label(self, one: MeanMap) -> str:
        """Name the method of a mean map as it is shown."""
        return shown_label(one, self.means)

    def options_of(self, method: str) -> Mapping[str, Any]:
        """Tell with which options the maps of a method were made."""
        for held in self.single.values():
            for one in held:
                if one.method == method:
                    options: Mapping[str, Any] = self._told(one)["Provenance"]["options"]
                    return options
        return {}

    def peaks(self) -> dict[str, tuple[Peak, ...]]:
        """List the peaks of each mean map, by its file."""
        return {file: self.place.peaks(values) for file, values in self.values.items()}

    def group_maps(self, tests: Sequence[GroupTest]) -> list[ShownMap]:
        """Gather mean maps and statistics for the viewer."""
        out = [
            ShownMap(self.label(one), one.target, "mean", self.values[one.file], one.unit)
            for one in self.means
        ]
        several = len({(t.told["effect"], t.request.get("model")) for t in tests}) > 1
        for test in tests:
            model, only = test.request.get("model", ""), test.request.get("only")
            what = f", {test.told['effect']} ({model})" if several else ""
            what += f", {only}" if only and several else ""
            for statistic, (words, is_p) in _STATISTICS.items():
                file = f"{test.start}_stat-{statistic}_statmap.nii.gz"
                if self._fits(file):
                    values = self._read(file)
                    told = "" if is_p else "t"
                    out.append(
                        ShownMap(
                            test.label, test.target, words + what, values, told, probability=is_p
                        )
                    )
        return out

    def profiles(self) -> dict[tuple[str, str], Profiles]:
        """Read the single maps of every mean map, by label and target."""
        found: dict[tuple[str, str], Profiles] = {}
        own = [one for one in self.means if one.network in (self.network, "")]
        wanted = [(one, self._paths(one)) for one in own]
        total = sum(len(paths) for _, paths in wanted)
        if not total:
            return found
        with self.progress.step("Maps of single scans", total) as advance:
            done = 0

            def step() -> None:
                nonlocal done
                done += 1
                advance(done)

            for one, paths in wanted:
                if len(paths) == one.scans:
                    found[self.label(one), one.target] = read_profiles(
                        self.study, paths, self.values[one.file], self.place, step
                    )
        return found

    def _paths(self, one: MeanMap) -> list[tuple[str, Path]]:
        return [
            (scan, single.path)
            for scan, held in self.single.items()
            for single in held
            if (single.method, single.target) == (one.method, one.target)
        ]

    def _told(self, one: _Single) -> dict[str, Any]:
        name = one.path.relative_to(self.study.folder).as_posix()
        return self.study.read_json(name.removesuffix(".nii.gz") + ".json")

    def participants(self, one: MeanMap) -> int:
        """Count the participants whose maps a mean map is of."""
        people = self.cohort.participants["participant_id"].astype(str)
        whose = {f"sub-{k}": v for k, v in zip(self.cohort.subjects, people, strict=True)}
        return len({whose[scan] for scan, _ in self._paths(one)})

    def scan_maps(self, scan: str) -> list[ShownMap]:
        """Gather the maps of a scan for the viewer."""
        labels = {one.method: self.label(one) for one in self.means}
        out = []
        for single in self.single.get(scan, ()):
            if single.method in labels:
                one = self.study.load_map(single.path)
                out.append(
                    ShownMap(labels[one.method], one.target, SINGLE, one.values, one.unit, scan)
                )
        return out

    def anatomy(self, scan: str) -> NDArray[np.float32]:
        """Read a scan, array (X, Y, Z)."""
        return self.cohort.load(self.cohort.subjects.index(scan.removeprefix("sub-")))

    def write_beside(self, scans: Sequence[str]) -> dict[str, str]:
        """Write the maps of scans into files that the page loads when asked for them.

        Returns
        -------
        dict of str to str
            File of each scan, relative to the page.
        """
        files = {scan: self._beside(scan) for scan in scans}

        def write(scan: str) -> None:
            maps = self.scan_maps(scan)
            text = packed_maps(maps, self.anatomy(scan), self.place.grid, scan)
            self.beside.write_text(files[scan], text)

        with (
            self.progress.step("Maps beside the page", len(scans)) as advance,
            # Packing and unpacking leave Python to another thread.
            ThreadPoolExecutor(_THREADS) as pool,
        ):
            for number, _ in enumerate(pool.map(write, scans), start=1):
                advance(number)
        return files

    def found_beside(self, scans: Sequence[str]) -> dict[str, str]:
        """List the files of scans that an earlier report wrote."""
        files = {scan: self._beside(scan) for scan in scans}
        return {scan: file for scan, file in files.items() if self.beside.find_file(file)}

    def _beside(self, scan: str) -> str:
        """Name the file of a scan's maps; of maps made otherwise it is another."""
        if self.beside is not self.study:
            # A hash of the scan's own label would give it away.
            return f"{FOLDER}/{scan}.js"
        held = [(one.path.name, self._told(one).get("request")) for one in self.single[scan]]
        told = json.dumps([scan, held, SINGLE], sort_keys=True)
        return f"{FOLDER}/{hashlib.sha256(told.encode()).hexdigest()[:16]}.js"
