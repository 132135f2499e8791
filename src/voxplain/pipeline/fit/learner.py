"""One network on one fold: trained, kept epoch by epoch, and found again by a rerun."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError, StudyError, VoxplainError
from voxplain.fit import Epoch, Fold, Processes, Schedule, Training, inner_split, predict
from voxplain.fit.training.arithmetic import Arithmetic
from voxplain.nets import count_parameters
from voxplain.pipeline.fit.kept import (
    Checkpoint,
    TrainingRecord,
    load_weights,
    meaning_of,
    same_identity,
    write_weights,
)
from voxplain.pipeline.fit.places import folder_of
from voxplain.pipeline.fit.request import Asked, Part, option_words
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.fit.training_error import training_error
from voxplain.pipeline.maps import identity_of
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Learner"]

Found = TypeVar("Found")

_VALIDATES = 0.15


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
    between : callable
        Called after every epoch and every training; what it raises ends the work.

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
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.study, self.name, self.schedule = study, name, schedule
        self.processes, self.device = processes, processes.device
        self.setting, self.cohort, self.outcome = setting, setting.cohort, setting.outcome
        self.variant, self.folder = variant, folder_of(name, variant)
        self.seconds = 0.0
        self.arithmetic: Arithmetic | None = None
        self._asked = Asked(name, setting, schedule, processes, variant)
        self._between = between
        self._code_is_known = False

    def held_out(self, fold: Fold, progress: Progress) -> NDArray[np.float32]:
        """Train on a fold, and return the outputs for its held-out scans, array (n, K)."""
        network, scale = self.trained(fold, progress)
        return predict(network, self.cohort, fold.test, device=self.device) * scale[1] + scale[0]

    def trained(self, fold: Fold, progress: Progress) -> tuple[nn.Module, tuple[float, float]]:
        """Train on a fold; return the network, and the scale of its output (see `Training`)."""
        return self._trained(self._asked.of_fold(fold), progress)

    def has(self, fold: Fold) -> bool:
        """Tell whether a fold's network is there, trained with these options and this code."""
        return self._found(self._asked.of_fold(fold)) is not None

    def history(self, fold: Fold) -> tuple[Epoch, ...]:
        """Return the epochs of a fold's finished training; none where there is no such training."""
        part = self._asked.of_fold(fold)
        kept = TrainingRecord.read(self.study, part.place, self._asked.request(part))
        return kept.history if kept else ()

    def refuse_others(self, folds: Sequence[Fold]) -> None:
        """Refuse to train over networks that were trained with other options.

        Raises
        ------
        StudyError
            If there are any for these folds.
        """
        other: set[str] = set()
        for part in map(self._asked.of_fold, folds):
            request = self._asked.request(part)
            other.update(TrainingRecord.changed(self.study, part.place, request))
            kept = TrainingRecord.read(self.study, part.place, request)
            if kept is not None and not self._of_this_code(kept, part):
                other.add("network's code")
        if other:
            raise StudyError(
                f"{self.study.folder / self.folder} holds networks that were trained otherwise "
                f"({option_words(other)}); give another --out to keep both, or --replace to train "
                "anew."
            )

    def all_scans(self, progress: Progress) -> None:
        """Train on every scan; such a network is for other cohorts."""
        self._trained(self._asked.of_all(), progress)

    def on(self, cohort: Cohort, variant: str) -> Learner:
        """Return one that trains the same network on the same scans with changed images."""
        setting = replace(self.setting, cohort=cohort)
        return Learner(self.study, self.name, setting, self.schedule, self.processes, variant)

    def describe(self) -> tuple[str, int]:
        """Build the network, try it on a scan, and name its class and count its parameters.

        Raises
        ------
        NetworkError
            If it cannot be built, cannot take the cohort's volumes, or has not the outputs that
            the outcome needs.
        """
        network = self._asked.network(0)
        example = torch.from_numpy(self.cohort.stack([0])[:, None])
        with probe(network) as p, torch.no_grad():
            given = p.logits(example).shape[1]
        if given != self.outcome.outputs:
            raise NetworkError(
                f"{self.name} gives {given} output(s), and {self.outcome.name} needs "
                f"{self.outcome.outputs}; let the function that builds it take 'classes'."
            )
        return type(network).__name__, count_parameters(network)

    def _identity(self, network: nn.Module) -> dict[str, Any]:
        return identity_of(network, self.cohort.grid.shape)

    def _of_this_code(self, kept: TrainingRecord, part: Part) -> bool:
        """Tell whether a trained network still gives what it gave; asked once, of the first."""
        if not self._code_is_known:
            network = self._asked.network(part.number)
            load_weights(self.study, part.place, network)
            self._code_is_known = same_identity(kept.identity, self._identity(network))
        return self._code_is_known

    def _found(self, part: Part, progress: Progress | None = None) -> TrainingRecord | None:
        """Find a training that was done with these options and this code."""
        kept = TrainingRecord.read(self.study, part.place, self._asked.request(part))
        if kept is None or self._of_this_code(kept, part):
            return kept
        if progress is not None:
            progress.say(f"The code of {self.name} has changed since it was trained: once more.")
        return None

    def _trained(self, part: Part, progress: Progress) -> tuple[nn.Module, tuple[float, float]]:
        kept = self._found(part, progress)
        network = self._asked.network(part.number)
        if kept is None:
            return network, self._train(network, part, progress)
        load_weights(self.study, part.place, network)
        self.seconds += kept.seconds
        if kept.arithmetic is not None:
            self._remember(Arithmetic.of(kept.arithmetic), progress)
        return network.eval(), kept.scale

    def _train(self, network: nn.Module, part: Part, progress: Progress) -> tuple[float, float]:
        """Train a network in place, from where a run was cut short if one was."""
        checkpoint = Checkpoint(self.study, part.place, self._asked.request(part))
        seed = self.setting.seed + part.number
        learn, validate = part.train, np.empty(0, np.int64)
        if self.schedule.patience:
            learn, validate = inner_split(
                self.outcome, part.train, _VALIDATES, self.setting.groups, seed
            )
        training = Training(
            network,
            self.cohort,
            self.outcome,
            learn,
            self.schedule,
            seed=seed,
            validation=validate,
            processes=self.processes,
        )
        before = self._resume(training, checkpoint, part, progress)
        began = time.perf_counter()
        self._remember(self._tried(training.settle), progress)

        def keep() -> None:
            if self.processes.first:
                spent = before + time.perf_counter() - began
                checkpoint.write(training.state(), self._identity(network), spent)
            self._between()

        with progress.step(part.words, self.schedule.epochs) as advance:
            self._tried(
                lambda: training.run(lambda done, epoch: advance(done, note=_note(epoch)), keep)
            )
        seconds = before + time.perf_counter() - began
        self.seconds += seconds
        if self.processes.first:
            subjects, meaning = self.cohort.subjects, meaning_of(self.outcome, training.scale)
            hashes = write_weights(self.study, part.place, self.name, network, meaning)
            TrainingRecord(
                checkpoint.request,
                **hashes,
                scale=training.scale,
                train=tuple(subjects[i] for i in learn),
                validation=tuple(subjects[i] for i in validate),
                history=tuple(training.history),
                seconds=seconds,
                identity=self._identity(network),
                arithmetic=training.settle().to_dict(),
            ).write(self.study, part.place)
            checkpoint.remove()
        self._between()
        return training.scale

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
        self, training: Training, checkpoint: Checkpoint, part: Part, progress: Progress
    ) -> float:
        """Go on from the last whole epoch of a run that was cut short; return its seconds."""
        content = checkpoint.read(self.device)
        if content is None:
            return 0.0
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            before = self._asked.network(part.number)
        before.load_state_dict(content["state"]["network"])
        if not same_identity(content.get("identity"), self._identity(before)):
            progress.say(f"The code of {self.name} has changed: its training begins anew.")
            return 0.0
        training.resume(content["state"])
        progress.say(f"Going on after epoch {len(training.history)} of a run that was cut short.")
        return float(content["seconds"])


def _note(epoch: Epoch | None) -> str:
    if epoch is None:
        return ""
    right = "" if epoch.train_accuracy is None else f", accuracy {epoch.train_accuracy:.2f}"
    seen = "" if epoch.validation_loss is None else f", validation {epoch.validation_loss:.3f}"
    return f"loss {epoch.train_loss:.3f}{right}{seen}"
