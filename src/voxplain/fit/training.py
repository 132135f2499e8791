"""Training a network on a cohort, an epoch at a time, so that it can be stopped and taken up."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.errors import InputError
from voxplain.fit.augment import changer, mirror_some
from voxplain.fit.outcome import Outcome, outcome_of
from voxplain.fit.schedule import Schedule, rate_of
from voxplain.volume import Cohort

__all__ = ["Epoch", "Training", "predict", "train"]

OnBatch = Callable[[float, "Epoch | None"], None]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part: mean loss and, for classes, accuracy while learning.

    `validation_loss` is there where a validation part decides when to stop.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None = None
    validation_loss: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return the fields as plain numbers."""
        return asdict(self)


class Training:
    """A network that is being trained in place.

    Classes are learnt with cross-entropy; numbers with the squared error of standardised values,
    see `scale`. Arithmetic is bfloat16 under autocast where the device computes it natively, with
    weights kept in float32.

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
    device : str, default="cpu"
    validation : sequence of int, optional
        Scans that decide when to stop; needed where the schedule has a patience.

    Attributes
    ----------
    history : list of Epoch
    scale : tuple of 2 floats
        Mean and standard deviation of the learners' numbers: the network's output times the second
        plus the first is the prediction. (0, 1) for classes.

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
        device: str = "cpu",
        validation: Sequence[int] | NDArray[np.int64] = (),
    ) -> None:
        self.network, self.cohort, self.outcome = network, cohort, outcome
        self.learners, self.validation = np.asarray(learners), np.asarray(validation, np.int64)
        self.schedule, self.seed, self.device = schedule, seed, device
        truth = outcome.values[self.learners]
        if outcome.class_names:
            present = set(truth.tolist())
            missing = [n for c, n in enumerate(outcome.class_names) if c not in present]
            if missing:
                raise InputError(f"The training part has no subject of class {', '.join(missing)}.")
        self.scale = (0.0, 1.0)
        if not outcome.class_names:
            self.scale = (float(truth.mean()), float(truth.std()) or 1.0)
        if schedule.patience and not len(self.validation):
            raise InputError("Stopping early needs a validation part; none was given.")
        _store(network.to(device), torch.channels_last_3d)
        self.loss = self._loss(truth)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.batches = -(-len(self.learners) // schedule.batch_size)
        self.rate = rate_of(self.optimiser, schedule, self.batches)
        self.history: list[Epoch] = []
        self.best: dict[str, Any] | None = None
        self._change = changer(schedule.augment, cohort.grid)
        self._rng = np.random.default_rng(seed)
        torch.manual_seed(seed)

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
        self.network.train()
        order = self._rng.permutation(self.learners)
        for step, (indices, images) in enumerate(self._loaded(order, number), start=1):
            self.optimiser.zero_grad()
            for part in np.array_split(np.arange(len(indices)), self.schedule.parts):
                if not len(part):
                    continue
                x = _tensor(images[part], self.device)
                y = self._truth(indices[part])
                with _autocast(self.device):
                    output = self.network(x)
                loss = self.loss(self._shaped(output), y)
                if not torch.isfinite(loss):
                    raise InputError(
                        f"The loss is no longer finite in epoch {number}; lower the learning rate "
                        f"({self.schedule.learning_rate:g}) or check the intensities."
                    )
                (loss * (len(part) / len(indices))).backward()
                loss_sum += float(loss.detach()) * len(part)
                if self.outcome.class_names:
                    right += int((output.argmax(dim=1) == y).sum())
            self.optimiser.step()
            self.rate.step()
            if on_batch and step < self.batches:
                on_batch(number - 1 + step / self.batches, last)
        accuracy = right / len(order) if self.outcome.class_names else None
        self.history.append(Epoch(number, loss_sum / len(order), accuracy, self._validate()))
        if self.schedule.patience and self._best_epoch == number:
            self.best = copy.deepcopy(self.network.state_dict())
        if on_batch:
            on_batch(number, self.history[-1])

    def _loaded(self, order: NDArray[np.int64], epoch: int) -> Any:
        """Load each batch while the one before is worked on."""
        chunks = np.array_split(order, self.batches)

        def load(chunk: NDArray[np.int64]) -> NDArray[np.float32]:
            images = self.cohort.stack(chunk)
            if self.schedule.mirror:
                mirror_some(images, self.cohort.grid, self._rng)
            for row, index in enumerate(chunk):
                seed = hash((self.seed, epoch, int(index))) % 2**32
                images[row] = self._change(images[row], seed)
            return images

        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(load, chunks[0])
            for number, chunk in enumerate(chunks):
                images = waiting.result()
                if number + 1 < len(chunks):
                    waiting = pool.submit(load, chunks[number + 1])
                yield chunk, images

    def _validate(self) -> float | None:
        if not self.schedule.patience:
            return None
        output = predict(self.network, self.cohort, self.validation, device=self.device)
        shaped = self._shaped(torch.from_numpy(output).to(self.device))
        return float(self.loss(shaped, self._truth(self.validation)))

    def _loss(self, truth: NDArray[Any]) -> nn.Module:
        if not self.outcome.class_names:
            return nn.MSELoss()
        weights = None
        if self.schedule.class_weights:
            counts = np.bincount(truth, minlength=len(self.outcome.class_names))
            weights = torch.from_numpy(counts.mean() / counts).float().to(self.device)
        return nn.CrossEntropyLoss(weights)

    def _truth(self, indices: NDArray[np.int64]) -> torch.Tensor:
        truth = torch.from_numpy(self.outcome.values[indices])
        if not self.outcome.class_names:
            truth = ((truth - self.scale[0]) / self.scale[1]).float()
        return truth.to(self.device)

    def _shaped(self, output: torch.Tensor) -> torch.Tensor:
        output = output.float()
        return output if self.outcome.class_names else output.reshape(len(output), -1)[:, 0]

    def state(self) -> dict[str, Any]:
        """Return all that an unbroken run would go on from, for `torch.save`."""
        cuda = torch.device(self.device).type == "cuda"
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rate": self.rate.state_dict(),
            "order": self._rng.bit_generator.state,
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "history": [epoch.to_dict() for epoch in self.history],
            "best": self.best,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, in a training made with the same arguments."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rate.load_state_dict(state["rate"])
        self._rng.bit_generator.state = state["order"]
        torch.set_rng_state(state["dropout"])
        if state["dropout_cuda"] is not None:
            torch.cuda.set_rng_state(state["dropout_cuda"], self.device)
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best = state["best"]


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
        network, cohort, outcome_of(cohort), indices, schedule, seed=seed, device=device
    )
    training.run(on_batch)
    return training.history


def predict(
    network: nn.Module,
    cohort: Cohort,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    device: str = "cpu",
    batch_size: int = 4,
) -> NDArray[np.float32]:
    """Return the outputs for some subjects in float32, array (N, K)."""
    network.to(device).eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(indices), batch_size):
            x = _tensor(cohort.stack(indices[start : start + batch_size]), device)
            output = network(x).float().cpu().numpy()
            out.append(output.reshape(len(output), -1))
    return np.concatenate(out)


def _store(network: nn.Module, order: torch.memory_format) -> None:
    """Store the weights of 3D convolutions in an order of the memory; others stay as they are."""
    for parameter in network.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.data.contiguous(memory_format=order)


def _tensor(values: NDArray[np.float32], device: str) -> torch.Tensor:
    x = torch.from_numpy(values).unsqueeze(1).to(device)
    return x.contiguous(memory_format=torch.channels_last_3d)


def _autocast(device: str) -> torch.autocast:
    kind = torch.device(device).type
    native = (
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
        if kind == "cpu"
        else kind == "cuda" and torch.cuda.is_bf16_supported()
    )
    return torch.autocast(kind, torch.bfloat16, enabled=bool(native))
