"""The maps of a study: which there are, and those that are tested, as one array."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.group.permutation.residuals import Allocate, in_memory
from voxplain.maps import AttributionMap
from voxplain.nets import file_sha256
from voxplain.pipeline.group.sample.carrying import carried, transform_of
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.tables.cells import shown
from voxplain.volume import Cohort, smooth

__all__ = ["Catalogue", "MapsOfScans", "Scans", "catalogue"]

_IN_MEMORY = 1 << 27
"""Bytes of an array that is held in memory; what is larger lies on the disk of the study."""


@dataclass(frozen=True, eq=False)
class MapsOfScans:
    """One map of each scan of a study, of one method, network and target.

    Parameters
    ----------
    study : Study
        That holds them.
    method, label, target : str
    paths : tuple of path
        In the order of the scans.
    grid : Grid
        Of the study; maps of other grids are brought to it.
    sha256 : str
        Over what the maps were made from.
    sidecar : dict
        What is told of the first.
    ways : dict of str to path or None
        By subject, for the maps that lie on another grid: the file of the transform, where one is
        given.
    """

    study: Study
    method: str
    label: str
    target: str
    paths: tuple[Path, ...]
    grid: Grid
    sha256: str
    sidecar: dict[str, Any]
    ways: dict[str, Path | None]

    @property
    def words(self) -> str:
        """Say which maps are brought over from another grid, nothing where none is."""
        if not self.ways:
            return ""
        how = "by their affines" if None in self.ways.values() else "by the transforms given"
        return (
            f"{len(self.ways)} of {len(self.paths)} maps ({shown([*self.ways])}) lie on another "
            f"grid than the study's, and are brought to it {how}."
        )

    def each(self) -> Iterator[AttributionMap]:
        """Read one map after the other, on the grid of the study."""
        for path in self.paths:
            one = self.study.load_map(path)
            if one.subject in self.ways:
                one = carried(one, self.grid, self.ways[one.subject])
            yield one

    def allocate(self, rows: int, mask: NDArray[np.bool_]) -> Allocate:
        """Tell what holds so many rows of the voxels of a mask: memory, or the study's disk."""
        if 4 * rows * int(mask.sum()) > _IN_MEMORY:
            return self.study.scratch
        return in_memory

    def array(
        self,
        mask: NDArray[np.bool_],
        fwhm: float,
        progress: Progress,
        units: Sequence[Sequence[int]] = (),
    ) -> NDArray[np.float32]:
        """Read all, smoothed, inside a mask, or the means of some: array (N, V), float32."""
        units = units or [[row] for row in range(len(self.paths))]
        unit_of = {row: unit for unit, rows in enumerate(units) for row in rows}
        out = self.allocate(len(units), mask)((len(units), int(mask.sum())))
        with progress.step(f"Maps of {self.label}", len(self.paths)) as advance:
            for row, one in enumerate(self.each()):
                share = np.float32(len(units[unit_of[row]]))
                out[unit_of[row]] += smooth(one.values, one.grid, fwhm)[mask] / share
                advance(row + 1)
        return out


@dataclass(frozen=True, eq=False)
class Scans:
    """Which scans of a study are tested.

    Parameters
    ----------
    cohort : Cohort
    rows : sequence of int
        Their positions in the cohort, in the order of the maps.
    network : str
        Whose maps are tested.
    units : sequence of sequences of int
        Of which of them each row of the design is the mean.
    """

    cohort: Cohort
    rows: Sequence[int]
    network: str
    units: Sequence[Sequence[int]]

    @property
    def subjects(self) -> list[str]:
        """Name them."""
        return [self.cohort.subjects[row] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What maps a study has.

    Parameters
    ----------
    study : Study
    network : str
    entries : list of dict
        Scan by scan, from (method, target) to the path of the sidecar.
    subjects : list of str
    """

    study: Study
    network: str
    entries: list[dict[tuple[str, str], Path]]
    subjects: list[str]

    @property
    def methods(self) -> list[str]:
        """Name the methods, in the order of the alphabet."""
        return sorted({method for one in self.entries for method, _ in one})

    def rows(self, rows: Sequence[int]) -> Catalogue:
        """Return what there is of some scans."""
        return Catalogue(
            self.study,
            self.network,
            [self.entries[i] for i in rows],
            [self.subjects[i] for i in rows],
        )

    def of(
        self, method: str, target: str | None, grid: Grid, transform: str | None = None
    ) -> MapsOfScans:
        """Choose one map of each scan.

        Parameters
        ----------
        method : str
        target : str or None
        grid : Grid
            To which maps of other grids are to be brought.
        transform : str, optional
            See `voxplain.pipeline.group.sample.carrying.transform_of`.

        Raises
        ------
        InputError
            If a scan has none, or none of that target; if the maps differ in unit or options; if a
            transform is missing, or not needed.
        """
        targets = sorted({t for one in self.entries for m, t in one if m == method})
        if not targets:
            raise InputError(
                f"The study has no maps of {method}; it has: {', '.join(self.methods) or 'none'}. "
                "'voxplain explain STUDY' makes them."
            )
        whole = [t for t in targets if all((method, t) in one for one in self.entries)]
        if target is None and len(whole) != 1:
            raise InputError(
                f"The scans have maps of {method} for {', '.join(targets)}, and for "
                f"{'several of these' if whole else 'none of these'} each scan has one; a test "
                f"needs one target: voxplain explain STUDY --target {targets[-1]} --method "
                f"{method}, then --target {targets[-1]} here."
            )
        chosen = target if target is not None else whole[0]
        missing = [
            subject
            for subject, one in zip(self.subjects, self.entries, strict=True)
            if (method, chosen) not in one
        ]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self.subjects)} scans, such as {shown(missing)}, have no "
                f"map of {method} for {chosen}; run 'voxplain explain STUDY --method {method} "
                f"--target {chosen}'."
            )
        return self._gathered(method, chosen, grid, transform)

    def _gathered(self, method: str, target: str, grid: Grid, transform: str | None) -> MapsOfScans:
        held = [one[method, target] for one in self.entries]
        first = self._told(held[0])
        ways: dict[str, Path | None] = {}
        digest = hashlib.sha256()
        # Sidecars are read one at a time: of ten thousand scans they fill the memory.
        for number, (subject, path) in enumerate(zip(self.subjects, held, strict=True)):
            sidecar = self._told(path)
            if sidecar["Units"] != first["Units"]:
                raise InputError(
                    f"The maps of {method} have several units, {first['Units']!r} and "
                    f"{sidecar['Units']!r} ({subject}); explain all scans in one call."
                )
            if _options(sidecar) != _options(first):
                raise InputError(
                    f"The map of {subject} was made by {method} with other options than that of "
                    f"{self.subjects[0]}; explain all scans in one call."
                )
            if not Grid.from_dict(sidecar["Grid"]).same_as(grid):
                ways[subject] = transform_of(transform, subject) if transform else None
            told = json.dumps([path.name, sidecar.get("request")], sort_keys=True)
            digest.update(f"{', ' if number else '['}{told}".encode())
        if transform and not ways:
            raise InputError(
                f"All maps of {method} lie on the study's grid; leave --transform out."
            )
        for subject, way in ways.items():
            digest.update(f", {json.dumps([subject, way and file_sha256(way)])}".encode())
        digest.update(b"]")
        label = first["Description"].partition(" for ")[0]
        paths = tuple(path.with_suffix(".nii.gz") for path in held)
        return MapsOfScans(
            self.study, method, label, target, paths, grid, digest.hexdigest(), first, ways
        )

    def _told(self, path: Path) -> dict[str, Any]:
        return self.study.read_json(path.relative_to(self.study.folder).as_posix())


def _options(sidecar: Mapping[str, Any]) -> str:
    return json.dumps((sidecar.get("request") or {}).get("options"), sort_keys=True)


def catalogue(study: Study, subjects: Sequence[str], network: str | None) -> Catalogue:
    """List the maps of a study's scans.

    Raises
    ------
    InputError
        If there is none, or there are those of several networks and none was chosen.
    """
    study.require_whole_maps()
    found = [
        [
            (path, one.get("Network", ""), (one["Method"], one["Target"]))
            for path, one in study.sidecars(subject)
        ]
        for subject in subjects
    ]
    networks = sorted({whose for scan in found for _, whose, _ in scan})
    if not networks or (network is not None and network not in networks):
        whose = f" of {network}" * bool(network)
        raise InputError(
            f"{study.folder} has no maps{whose} of its scans; make them with 'voxplain explain "
            f"{study.folder} --network {network or 'NAME'} --target CLASS'."
        )
    if network is None and len(networks) > 1:
        raise InputError(
            f"{study.folder} has maps of several networks ({', '.join(networks)}); choose one with "
            "--network."
        )
    chosen = network or networks[0]
    entries = [{what: path for path, whose, what in scan if whose == chosen} for scan in found]
    return Catalogue(study, chosen, entries, list(subjects))
