"""What a training is asked for, by which a rerun knows it again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.fit import Fold, Processes, Schedule
from voxplain.fit.prediction import as_tensor
from voxplain.fit.training.arithmetic import arithmetic_of
from voxplain.nets import build_network
from voxplain.pipeline.fit.places import ALL, HOLD_OUT, place_of
from voxplain.pipeline.fit.setting import Setting
from voxplain.volume import Cohort

__all__ = ["Asked", "Part", "option_words"]

_OPTIONS = {
    "truth": "labels",
    "class_names": "classes",
    "scans": "folds",
    "processes": "number of processes",
    "float32": "layers in float32, as bfloat16 can give wrong gradients there",
    "versions": "version of voxplain or torch",
}


@dataclass(frozen=True, eq=False)
class Part:
    """One training of a network.

    Parameters
    ----------
    place : str
        Its folder in the study.
    train : array (n,)
        Positions of the scans that it may learn from.
    number : int
        What it adds to the seed.
    words : str
        What it is called while it runs.
    """

    place: str
    train: NDArray[np.int64]
    number: int
    words: str


class Asked:
    """What is the same in all trainings of one network on one setting.

    Parameters
    ----------
    name : str
        See `voxplain.nets.build_network`.
    setting : Setting
    schedule : Schedule
    processes : Processes
    variant : str
        See `voxplain.pipeline.fit.places.folder_of`.
    """

    def __init__(
        self, name: str, setting: Setting, schedule: Schedule, processes: Processes, variant: str
    ) -> None:
        self.name, self.setting, self.schedule = name, setting, schedule
        self.processes, self.variant = processes, variant
        self._images = _fingerprint(setting.cohort)

    def network(self, number: int) -> nn.Module:
        """Build the network as it is before its training `number`."""
        torch.manual_seed(self.setting.seed + number)
        outcome, grid = self.setting.outcome, self.setting.cohort.grid
        return build_network(self.name, grid.shape, outcome.outputs)

    def of_fold(self, fold: Fold) -> Part:
        """Tell where a fold is trained, and how."""
        which = (fold.repeat, fold.number) if fold.repeat else HOLD_OUT
        words = f"{self.name}{f', {self.variant}' * bool(self.variant)}"
        if fold.repeat:
            words += f", fold {fold.number}" + f" of repeat {fold.repeat}" * (fold.repeat > 1)
        else:
            words += f", {len(fold.train)} scans"
        place = place_of(self.name, which, self.variant)
        return Part(place, fold.train, 1000 * fold.repeat + fold.number, words)

    def of_all(self) -> Part:
        """Tell where a network is trained on all scans."""
        everyone = np.arange(len(self.setting.cohort))
        return Part(place_of(self.name, ALL, self.variant), everyone, 0, f"{self.name}, all scans")

    def request(self, part: Part) -> dict[str, Any]:
        """Write down a training."""
        cohort, outcome = self.setting.cohort, self.setting.outcome
        return {
            "network": self.name,
            "outcome": outcome.name,
            "truth": [outcome.values[i].item() for i in part.train],
            "class_names": list(outcome.class_names),
            "scans": [cohort.subjects[i] for i in part.train],
            "images": self._images,
            "schedule": self.schedule.to_dict(),
            **({"float32": self._cut} if self._cut else {}),
            "seed": self.setting.seed + part.number,
            "device": torch.device(self.processes.device).type,
            "processes": self.processes.count,
            "versions": {"voxplain": __version__, "torch": torch.__version__},
        }

    @cached_property
    def _cut(self) -> list[str]:
        """Layers in float32, in which an earlier version trained with wrong gradients."""
        device = self.processes.device
        example = as_tensor(self.setting.cohort.stack([0]), device)
        network = self.network(0).to(device)
        return list(arithmetic_of(network, example, device, self.schedule.precision).cut)


def option_words(names: Iterable[str]) -> str:
    """Name entries of requests in words, in alphabetical order."""
    return ", ".join(sorted(_OPTIONS.get(name, name) for name in names))


def _fingerprint(cohort: Cohort) -> str:
    """Tell a cohort's images from all others: a checksum of its grid and every volume."""
    total = zlib.crc32(repr(cohort.grid.to_dict()).encode())
    for i in range(len(cohort)):
        total = zlib.crc32(cohort.load(i).tobytes(), total)
    return f"{total:08x}"
