"""How long a run takes on one machine and on several, from what each piece of it takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from voxplain.pipeline.shards.parts import Part

__all__ = ["MethodPlan", "Plan"]


@dataclass(frozen=True)
class MethodPlan:
    """What one method takes.

    Parameters
    ----------
    name, label, passes : str
        Passes for each scan, in words.
    fold_seconds : float, s
        For each network, before its first map.
    map_seconds : float, s
        For each map, written.
    whole_folds : bool
        Whether the maps of a fold are made in one part.
    """

    name: str
    label: str
    passes: str
    fold_seconds: float
    map_seconds: float
    whole_folds: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Parameters
    ----------
    methods : tuple of MethodPlan
    folds : tuple of int
        Scans of each fold.
    batch : int
        Scans in a batch.
    start_seconds : float, s
        To start the program, with all that a process does once.
    open_seconds, again_seconds : float, s
        To open the study and fix the run; to open it when the run is fixed.
    end_seconds, mean_seconds, read_seconds : float, s
        Of the end, once; to write and draw one mean map; to read a map.
    means : int
        Mean maps of each method.
    map_bytes : float
        On disk, with its sidecar.
    files : int
        In which all maps lie.
    memory_bytes : int
        At most, of one process.
    device_bytes : int
        The same on its GPU; 0 without one.
    device : str
    """

    methods: tuple[MethodPlan, ...]
    folds: tuple[int, ...]
    batch: int
    start_seconds: float
    open_seconds: float
    again_seconds: float
    end_seconds: float
    mean_seconds: float
    read_seconds: float
    means: int
    map_bytes: float
    files: int
    memory_bytes: int
    device_bytes: int
    device: str

    @property
    def maps(self) -> int:
        """Number of maps."""
        return sum(self.folds) * len(self.methods)

    @property
    def disk_bytes(self) -> float:
        """Of all maps."""
        return self.maps * self.map_bytes

    @property
    def parts(self) -> int:
        """Most parts that have something to do."""
        return sum(ceil(count / self.batch) for count in self.folds)

    def method_seconds(self, method: MethodPlan) -> float:
        """Return what a method takes on one machine, s."""
        used = sum(count > 0 for count in self.folds)
        return used * method.fold_seconds + sum(self.folds) * method.map_seconds

    def seconds(self, machines: int = 1) -> float:
        """Return what the run takes, s; of several machines, the longest part and the joining."""
        end = self.end_seconds + len(self.methods) * self.means * self.mean_seconds
        begin = self.start_seconds + self.open_seconds
        if machines == 1:
            return begin + sum(map(self.method_seconds, self.methods)) + end
        again = self.start_seconds + self.again_seconds
        parts = (self._part(Part(number, machines)) for number in range(1, machines + 1))
        return begin + again + max(parts) + again + self.maps * self.read_seconds + end

    def _part(self, part: Part) -> float:
        units = [
            (fold, start)
            for fold, count in enumerate(self.folds)
            for start in range(0, count, self.batch)
        ]
        mine, total = part.cut(units), 0.0
        for method in self.methods:
            for fold in {fold for fold, _ in mine}:
                starts = [start for number, start in mine if number == fold]
                count = sum(min(self.batch, self.folds[fold] - start) for start in starts)
                if method.whole_folds:
                    count = self.folds[fold] if 0 in starts else 0
                total += count * method.map_seconds + method.fold_seconds * (count > 0)
        return total
