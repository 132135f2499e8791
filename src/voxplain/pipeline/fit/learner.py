"""One network on one fold: trained, kept epoch by epoch, and found again by a rerun."""

from __future__ import annotations

import io
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError, StudyError, VoxplainError
from voxplain.fit import Epoch, Fold, Processes, Schedule, Training, inner_split, predict, unit_of
from voxplain.fit.prediction import as_tensor
from voxplain.fit.training.arithmetic import Arithmetic, arithmetic_of
from voxplain.nets import (
    WeightsRecord,
    build_network,
    count_parameters,
    load_into,
    read_weights,
)
from voxplain.pipeline.fit.kept import same_code, write_weights
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.fit.training_error import training_error
from voxplain.pipeline.maps import identity_of
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Learner", "folder_of"]

Found = TypeVar("Found")

_VALIDATES = 0.15
_OPTIONS = {
    "truth": "labels",
    "class_names": "classes",
    "scans": "folds",
    "processes": "number of processes",
    "float32": "layers in float32, as bfloat16 can give wrong gradients there",
    "versions": "version of voxplain or torch",
}


class Learner:
    """Trains one kind of network on folds of a cohort.

    Parameters
    ----------
    study : Study
    name : str
        See `voxplain.nets.build_network`.
    setting : Setting
    schedule : Schedule
    processes : Processes
        Those that train together; the first of them writes.
    variant : str, default=""
        Folder below the network's, where the same network is trained on changed images.

    Attributes
    ----------
    seconds : float
        That all trainings took, in this run or in those that they are kept from.
    arithmetic : Arithmetic or None
        Of all trainings; None before the first, or where those that are kept do not say.
    """

    def __init__(
        self,
        study: Study,
        name: str,
        setting: Setting,
        schedule: Schedule,
        processes: Processes,
        variant: str = "",
    ) -> None:
        self.study, self.name, self.schedule = study, name, schedule
        self.processes, self.device = processes, processes.device
        self.setting, self.cohort, self.outcome = setting, setting.cohort, setting.outcome
        self.seed, self.groups = setting.seed, setting.groups
        self.folder = folder_of(name)
        self.folder += f"/{variant}" * bool(variant)
        self.variant = variant
        self.seconds = 0.0
        self.arithmetic: Arithmetic | None = None
        self._code_is_known = False
        self._images = _fingerprint(setting.cohort)

    def held_out(self, fold: Fold, progress: Progress) -> NDArray[np.float32]:
        """Train on a fold, and return the outputs for its held-out scans, array (n, K)."""
        network, scale = self.trained(fold, progress)
        return predict(network, self.cohort, fold.test, device=self.device) * scale[1] + scale[0]

    def trained(self, fold: Fold, progress: Progress) -> tuple[nn.Module, tuple[float, float]]:
        """Train on a fold; return the network, and the scale of its output (see `Training`)."""
        words = f"{self.name}{f', {self.variant}' * bool(self.variant)}, fold {fold.number}"
        words += f" of repeat {fold.repeat}" * (fold.repeat > 1)
        return self._trained(self._place(fold), fold.train, _number(fold), words, progress)

    def has(self, fold: Fold) -> bool:
        """Tell whether a fold's network is there, trained with these options and this code."""
        place, number = self._place(fold), _number(fold)
        kept = self.study.find_json(f"{place}/training.json", self._request(fold.train, number))
        return kept is not None and self._of_this_code(kept, place, number)

    def refuse_others(self, folds: Sequence[Fold]) -> None:
        """Refuse to train over networks that were trained with other options.

        Raises
        ------
        StudyError
            If there are any for these folds.
        """
        other: set[str] = set()
        for fold in folds:
            place, number = self._place(fold), _number(fold)
            request = self._request(fold.train, number)
            other.update(self.study.changed_json(f"{place}/training.json", request))
            kept = self.study.find_json(f"{place}/training.json", request)
            if kept is not None and not self._of_this_code(kept, place, number):
                other.add("network's code")
        if other:
            named = ", ".join(sorted(_OPTIONS.get(name, name) for name in other))
            raise StudyError(
                f"{self.study.folder / self.folder} holds networks that were trained otherwise "
                f"({named}); give another --out to keep both, or --replace to train anew."
            )

    def all_scans(self, progress: Progress) -> None:
        """Train on every scan; such a network is for other cohorts."""
        everyone = np.arange(len(self.cohort))
        self._trained(f"{self.folder}/all", everyone, 0, f"{self.name}, all scans", progress)

    def on(self, cohort: Cohort, variant: str) -> Learner:
        """Return one that trains the same network on the same scans with changed images."""
        setting = replace(self.setting, cohort=cohort)
        return Learner(self.study, self.name, setting, self.schedule, self.processes, variant)

    def describe(self) -> dict[str, Any]:
        """Build the network, try it on a scan, and say what it is.

        Raises
        ------
        NetworkError
            If it cannot be built, cannot take the cohort's volumes, or has not the outputs that
            the outcome needs.
        """
        network = self._network(0)
        example = torch.from_numpy(self.cohort.stack([0])[:, None])
        with probe(network) as p, torch.no_grad():
            given = p.logits(example).shape[1]
        if given != self.outcome.outputs:
            raise NetworkError(
                f"{self.name} gives {given} output(s), and {self.outcome.name} needs "
                f"{self.outcome.outputs}; let the function that builds it take 'classes'."
            )
        return {
            "name": self.name,
            "class": type(network).__name__,
            "parameters": count_parameters(network),
        }

    def _place(self, fold: Fold) -> str:
        return f"{self.folder}/repeat-{fold.repeat:02d}/fold-{fold.number:02d}"

    def _of_this_code(self, kept: Mapping[str, Any], place: str, number: int) -> bool:
        """Tell whether a trained network still gives what it gave; asked once, of the first."""
        if not self._code_is_known:
            network = self._network(number)
            load_into(network, read_weights(self.study.folder / place / "weights.safetensors"))
            self._code_is_known = same_code(kept, identity_of(network, self.cohort.grid.shape))
        return self._code_is_known

    def _network(self, number: int) -> nn.Module:
        torch.manual_seed(self.seed + number)
        return build_network(self.name, self.cohort.grid.shape, self.outcome.outputs)

    def _trained(
        self, place: str, train: NDArray[np.int64], number: int, words: str, progress: Progress
    ) -> tuple[nn.Module, tuple[float, float]]:
        network = self._network(number)
        request = self._request(train, number)
        kept = self.study.find_json(f"{place}/training.json", request)
        if kept is not None and not self._of_this_code(kept, place, number):
            progress.say(f"The code of {self.name} has changed since it was trained: once more.")
            kept = None
        if kept is not None:
            load_into(network, read_weights(self.study.folder / place / "weights.safetensors"))
            self.seconds += kept["seconds"]
            if "arithmetic" in kept:
                self._remember(Arithmetic.of(kept["arithmetic"]), progress)
            return network.eval(), (kept["scale"][0], kept["scale"][1])
        learn, validate = train, np.empty(0, np.int64)
        if self.schedule.patience:
            learn, validate = inner_split(
                self.outcome, train, _VALIDATES, self.groups, self.seed + number
            )
        training = Training(
            network,
            self.cohort,
            self.outcome,
            learn,
            self.schedule,
            seed=self.seed + number,
            validation=validate,
            processes=self.processes,
        )
        before = self._resume(training, place, number, request, progress)
        began = time.perf_counter()
        self._remember(self._tried(training.settle), progress)

        def keep() -> None:
            if not self.processes.first:
                return
            spent = before + time.perf_counter() - began
            content = {"request": _text(request), "seconds": spent, "state": training.state()}
            content["identity"] = identity_of(network, self.cohort.grid.shape)
            stream = io.BytesIO()
            torch.save(content, stream)
            self.study.write_bytes(f"{place}/checkpoint.pt", stream.getvalue())

        with progress.step(words, self.schedule.epochs) as advance:
            self._tried(
                lambda: training.run(lambda done, epoch: advance(done, note=_note(epoch)), keep)
            )
        seconds = before + time.perf_counter() - began
        self.seconds += seconds
        if not self.processes.first:
            return network, training.scale
        hashes = write_weights(self.study, place, self.name, network, self._record(training.scale))
        self.study.write_json(
            f"{place}/training.json",
            {
                "request": request,
                "identity": identity_of(network, self.cohort.grid.shape),
                **hashes,
                "scale": training.scale,
                "train": [self.cohort.subjects[i] for i in learn],
                "validation": [self.cohort.subjects[i] for i in validate],
                "history": [epoch.to_dict() for epoch in training.history],
                "arithmetic": training.settle().to_dict(),
                "seconds": seconds,
            },
        )
        (self.study.folder / place / "checkpoint.pt").unlink(missing_ok=True)
        return network, training.scale

    def _record(self, scale: tuple[float, float]) -> WeightsRecord:
        if self.outcome.class_names:
            return WeightsRecord(self.outcome.class_names)
        name = self.outcome.name
        return WeightsRecord((), unit_of(name), name, scale[0], scale[1])

    def _remember(self, found: Arithmetic, progress: Progress) -> None:
        """Remember what a training computes in, and say what is out of the ordinary."""
        joined = found.joined(self.arithmetic)
        if joined != self.arithmetic and (found.cut or found.wrong):
            progress.say(f"{self.name} computes in {joined.describe()}.")
        self.arithmetic = joined

    def _tried(self, work: Callable[[], Found]) -> Found:
        """Do a part of a training, and say in a sentence what it failed of."""
        try:
            return work()
        except (VoxplainError, OSError):
            raise
        except Exception as error:
            raise training_error(error, self.name, self.schedule) from error

    def _resume(
        self,
        training: Training,
        place: str,
        number: int,
        request: Mapping[str, Any],
        progress: Progress,
    ) -> float:
        """Go on from the last whole epoch of a run that was cut short; return its seconds."""
        path = self.study.folder / place / "checkpoint.pt"
        if not path.exists():
            return 0.0
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
        except Exception:
            # Whatever a damaged file gives: training it again costs time alone.
            return 0.0
        if content.get("request") != _text(request):
            return 0.0
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            before = self._network(number)
        before.load_state_dict(content["state"]["network"])
        if not same_code(content, identity_of(before, self.cohort.grid.shape)):
            progress.say(f"The code of {self.name} has changed: its training begins anew.")
            return 0.0
        training.resume(content["state"])
        progress.say(f"Going on after epoch {len(training.history)} of a run that was cut short.")
        return float(content["seconds"])

    @cached_property
    def _cut(self) -> list[str]:
        """Layers in float32, in which an earlier version trained with wrong gradients."""
        example = as_tensor(self.cohort.stack([0]), self.device)
        network = self._network(0).to(self.device)
        return list(arithmetic_of(network, example, self.device, self.schedule.precision).cut)

    def _request(self, train: NDArray[np.int64], number: int) -> dict[str, Any]:
        return {
            "network": self.name,
            "outcome": self.outcome.name,
            "truth": [self.outcome.values[i].item() for i in train],
            "class_names": list(self.outcome.class_names),
            "scans": [self.cohort.subjects[i] for i in train],
            "images": self._images,
            "schedule": self.schedule.to_dict(),
            **({"float32": self._cut} if self._cut else {}),
            "seed": self.seed + number,
            "device": torch.device(self.device).type,
            "processes": self.processes.count,
            "versions": {"voxplain": __version__, "torch": torch.__version__},
        }


def _number(fold: Fold) -> int:
    return 1000 * fold.repeat + fold.number


def folder_of(network: str) -> str:
    """Name the folder, in the study, of a network's weights."""
    return "model/" + re.sub(r"[^0-9A-Za-z]+", "-", network).strip("-")


def _text(request: Mapping[str, Any]) -> str:
    return repr(sorted(request.items()))


def _fingerprint(cohort: Cohort) -> str:
    """Tell a cohort's images from all others: a checksum of its grid and every volume."""
    total = zlib.crc32(repr(cohort.grid.to_dict()).encode())
    for i in range(len(cohort)):
        total = zlib.crc32(cohort.load(i).tobytes(), total)
    return f"{total:08x}"


def _note(epoch: Epoch | None) -> str:
    if epoch is None:
        return ""
    right = "" if epoch.train_accuracy is None else f", accuracy {epoch.train_accuracy:.2f}"
    seen = "" if epoch.validation_loss is None else f", validation {epoch.validation_loss:.3f}"
    return f"loss {epoch.train_loss:.3f}{right}{seen}"
