"""Maps over subjects in a study: means, and statistics of tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxplain.images.sidecars import write_map
from voxplain.maps import GroupMap
from voxplain.study.map_folder import MapFolder
from voxplain.study.names import described, mark, spelled

__all__ = ["GroupMaps"]


class GroupMaps(MapFolder):
    """Writes maps over subjects, each as a NIfTI file with its sidecar."""

    def write_group_map(
        self, map_: GroupMap, label: str, network: str = "", rule: str = ""
    ) -> Path:
        """Write a statistic over subjects, and its sidecar.

        Parameters
        ----------
        map_ : GroupMap
        label : str
            Label of the method.
        network : str
            Whose maps it sums up, in a study that may hold several networks'.
        rule : str
            How the target of each scan was chosen: ``"predicted"``, ``"own"``, or a class. Where
            the plain name is that of another network or rule, the name tells both.

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        own = {"Method": map_.method, "Target": map_.target, "Network": network, "Rule": rule}
        plain_name = f"desc-{described('', label, map_.target)}_stat-{map_.statistic}"
        told = f"model-{spelled(network)}_target-{spelled(rule)}_" * bool(network or rule)
        names = [plain_name, f"{told}{plain_name}", f"{told}x{mark(map_.target)}_{plain_name}"]
        free = (n for n in names if not self._holds_another(f"group/{n}", own))
        path = self.folder / f"group/{next(free, names[-1])}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, {**map_.sidecar(label), **own})

    def write_statistic(
        self, start: str, map_: GroupMap, label: str, extra: Mapping[str, Any]
    ) -> Path:
        """Write one statistic of a test, and its sidecar.

        Parameters
        ----------
        start : str
            Path in the study that the maps of the test share, without ``_stat-``.
        map_ : GroupMap
        label : str
            Label of the method.
        extra : mapping
            What the sidecar says beside what it says of every group map.

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        path = self.folder / f"{start}_stat-{map_.statistic}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, {**map_.sidecar(label), **extra})
