"""Training a network on a cohort, an epoch at a time, so that it can be stopped and taken up."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome, outcome_of
from voxplain.fit.prediction import as_tensor, autocast, predict
from voxplain.fit.training.arithmetic import Arithmetic, arithmetic_of, in_float32
from voxplain.fit.training.batches import Batches
from voxplain.fit.training.gradients import checked
from voxplain.fit.training.objective import Objective
from voxplain.fit.training.processes import Processes
from voxplain.fit.training.schedule import Schedule, rate_of
from voxplain.kernels import sound_norms
from voxplain.results.training import Epoch
from voxplain.volume import Cohort

__all__ = ["Training", "train"]

OnBatch = Callable[[float, Epoch | None], None]


class Training:
    """A network that is being trained in place.

    Classes are learnt with cross-entropy; numbers with the squared error of standardised values,
    see `scale`. Arithmetic is bfloat16 under autocast where the device computes it natively and
    gets the gradients right, with weights kept in float32; see `settle`.

    Parameters
    ----------
    network : torch.nn.Module
        From (N, 1, X, Y, Z) to one logit a class (N, K), or one number (N, 1) or (N,).
    cohort : Cohort
    outcome : Outcome
    learners : sequence of int
        The scans to learn from.
    schedule : Schedule
    seed : int, default=0
        Of the order of scans, of changes of images and of dropout. Initial weights are the
        caller's.
    validation : sequence of int, optional
        Scans that decide when to stop; needed where the schedule has a patience.
    processes : Processes, optional
        Those that train together, and on which device; by default one, on the CPU.

    Attributes
    ----------
    history : list of Epoch
    scale : tuple of 2 floats
        Mean and standard deviation of the learners' numbers: the network's output times the second
        plus the first is the prediction. (0, 1) for classes.
    arithmetic : Arithmetic or None
        None before `settle`.

    Raises
    ------
    InputError
        If the training part lacks a class.
    """

    def __init__(
        self,
        network: nn.Module,
        cohort: Cohort,
        outcome: Outcome,
        learners: Sequence[int] | NDArray[np.int64],
        schedule: Schedule,
        *,
        seed: int = 0,
        validation: Sequence[int] | NDArray[np.int64] = (),
        processes: Processes | None = None,
    ) -> None:
        self.network, self.cohort, self.outcome = network, cohort, outcome
        self.learners, self.validation = np.asarray(learners), np.asarray(validation, np.int64)
        self.schedule, self.processes = schedule, processes or Processes()
        self.device = self.processes.device
        self._aim = Objective(outcome, self.learners, schedule.class_weights, self.device)
        self.scale, self.loss = self._aim.scale, self._aim.loss
        if schedule.patience and not len(self.validation):
            raise InputError("Stopping early needs a validation part; none was given.")
        _store(network.to(self.device), torch.channels_last_3d)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self._images = Batches(cohort, self.learners, schedule, seed, self.processes)
        self.rate = rate_of(self.optimiser, schedule, self._images.count)
        self.history: list[Epoch] = []
        self.best: dict[str, Any] | None = None
        self.arithmetic: Arithmetic | None = None
        # Each process has its own images, and so its own draws of dropout.
        torch.manual_seed(seed + 1_000_003 * self.processes.rank)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the validation loss has stopped falling."""
        done = len(self.history)
        patience = self.schedule.patience
        waited = patience is not None and done - self._best_epoch >= patience
        return done >= self.schedule.epochs or waited

    @property
    def _best_epoch(self) -> int:
        if self.schedule.patience is None or not self.history:
            return len(self.history)
        losses = [epoch.validation_loss or 0.0 for epoch in self.history]
        return int(np.argmin(losses)) + 1

    def settle(self) -> Arithmetic:
        """Choose the arithmetic, unless it is chosen: by layers' shapes and a check of gradients.

        Costs about four steps. Weights, buffers and random numbers are left as they are.
        """
        if self.arithmetic is None:
            plan, learners = self.schedule, self.learners
            size = max(1, min(plan.batch_size, len(learners)) // plan.parts // self.processes.count)
            x = as_tensor(self.cohort.stack(learners[:size]), self.device)
            y = self._aim.truth(learners[:size])
            chosen = arithmetic_of(self.network, x[:1], self.device, plan.precision)
            self.network.train()
            self.arithmetic = checked(
                self.network, lambda low: self._forward(x, y, low)[1], self.device, chosen
            )
        return self.arithmetic

    def run(
        self, on_batch: OnBatch | None = None, on_epoch: Callable[[], None] | None = None
    ) -> None:
        """Train until it is finished; the network is left in eval mode.

        Parameters
        ----------
        on_batch : callable, optional
            Called after every batch with the number of epochs done (a fraction) and the last
            finished epoch.
        on_epoch : callable, optional
            Called after every epoch but the last: the moment to keep `state`.

        Raises
        ------
        InputError
            If the loss is no longer finite.
        """
        chosen = self.settle()
        exact = (*chosen.cut, *chosen.wrong) if chosen.bfloat16 else ()
        with (
            in_float32(self.network, exact),
            sound_norms(self.network),
            self.processes.shared_norms(self.network),
        ):
            while not self.finished:
                self._epoch(on_batch)
                if on_epoch and not self.finished:
                    on_epoch()
        if self.best is not None:
            self.network.load_state_dict(self.best)
        self.network.eval()
        _store(self.network, torch.contiguous_format)

    def _epoch(self, on_batch: OnBatch | None) -> None:
        number = len(self.history) + 1
        last = self.history[-1] if self.history else None
        loss_sum, right = 0.0, 0
        low = self.settle().bfloat16
        self.network.train()
        for step, (size, indices, images) in enumerate(self._images.epoch(number), start=1):
            self.optimiser.zero_grad()
            for part in np.array_split(np.arange(len(indices)), self.schedule.parts):
                if not len(part):
                    continue
                x = as_tensor(images[part], self.device)
                y = self._aim.truth(indices[part])
                output, loss = self._forward(x, y, low)
                if not torch.isfinite(loss):
                    raise InputError(
                        f"The loss is no longer finite in epoch {number}; "
                        + "give --precision exact, which turns bfloat16 off, " * low
                        + f"lower the learning rate ({self.schedule.learning_rate:g}) or check the "
                        "intensities."
                    )
                (loss * (len(part) / size)).backward()  # type: ignore[no-untyped-call]
                loss_sum += float(loss.detach()) * len(part)
                if self.outcome.class_names:
                    right += int((output.argmax(dim=1) == y).sum())
            self.processes.sum_gradients(self.network)
            self.optimiser.step()
            self.rate.step()
            if on_batch and step < self._images.count:
                on_batch(number - 1 + step / self._images.count, last)
        loss_sum, correct = self.processes.totals(loss_sum, right)
        accuracy = correct / len(self.learners) if self.outcome.class_names else None
        mean = loss_sum / len(self.learners)
        self.history.append(Epoch(number, mean, accuracy, self._validate()))
        if self.schedule.patience and self._best_epoch == number:
            self.best = copy.deepcopy(self.network.state_dict())
        if on_batch:
            on_batch(number, self.history[-1])

    def _forward(
        self, x: torch.Tensor, y: torch.Tensor, low: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output for images, in bfloat16 or not, and the mean loss."""
        with autocast(self.device) if low else nullcontext():
            output = self.network(x)
        return output, self._aim.mean(output, y)

    def _validate(self) -> float | None:
        if not self.schedule.patience:
            return None
        output = predict(self.network, self.cohort, self.validation, device=self.device)
        truth = self._aim.truth(self.validation)
        return float(self._aim.mean(torch.from_numpy(output).to(self.device), truth))

    def state(self) -> dict[str, Any]:
        """Return all that an unbroken run would go on from, for `torch.save`."""
        cuda = torch.device(self.device).type == "cuda"
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rate": self.rate.state_dict(),
            "order": self._images.rng.bit_generator.state,
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "history": [epoch.to_dict() for epoch in self.history],
            "best": self.best,
            "arithmetic": self.settle().to_dict(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, in a training made with the same arguments."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rate.load_state_dict(state["rate"])
        self._images.rng.bit_generator.state = state["order"]
        torch.set_rng_state(state["dropout"])
        if state["dropout_cuda"] is not None:
            torch.cuda.set_rng_state(state["dropout_cuda"], self.device)
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best = state["best"]
        if "arithmetic" in state:
            self.arithmetic = Arithmetic.of(state["arithmetic"])


def train(
    network: nn.Module,
    cohort: Cohort,
    indices: Sequence[int] | NDArray[np.int64],
    schedule: Schedule,
    *,
    seed: int = 0,
    device: str = "cpu",
    on_batch: OnBatch | None = None,
) -> list[Epoch]:
    """Train a network in place on some of a cohort's classes; see `Training`.

    Returns
    -------
    list of Epoch
    """
    training = Training(
        network,
        cohort,
        outcome_of(cohort),
        indices,
        schedule,
        seed=seed,
        processes=Processes(device=device),
    )
    training.run(on_batch)
    return training.history


def _store(network: nn.Module, order: torch.memory_format) -> None:
    """Store the weights of 3D convolutions in an order of the memory; others stay as they are."""
    for parameter in network.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.data.contiguous(memory_format=order)
