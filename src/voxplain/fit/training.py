"""Training a network on a cohort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Cohort

__all__ = ["PAPER_SCHEDULE", "Epoch", "Schedule", "predict", "train"]


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
    batch_size : int
    learning_rate : float
        Of Adam; the peak where `one_cycle` is on.
    drops : tuple of int
        Epochs after which the rate falls to a tenth, where `one_cycle` is off.
    one_cycle : bool
        Warm up and anneal along one cosine cycle (Smith and Topin 2018) instead of `drops`.
    weight_decay : float
        Decoupled, as in AdamW.
    mirror : bool
        Show each image with left and right exchanged half of the time, at random.
    """

    epochs: int = 12
    batch_size: int = 4
    learning_rate: float = 3e-4
    drops: tuple[int, ...] = ()
    one_cycle: bool = True
    weight_decay: float = 0.01
    mirror: bool = True

    def describe(self) -> str:
        """Say the schedule in words."""
        rate = (
            "one cosine cycle"
            if self.one_cycle
            else f"a tenth after epochs {', '.join(map(str, self.drops))}"
        )
        return (
            f"{self.epochs} epochs of Adam, batches of {self.batch_size}, learning rate "
            f"{self.learning_rate:g}, {rate}{', mirrored half of the time' * self.mirror}"
        )


PAPER_SCHEDULE = Schedule(
    epochs=20,
    batch_size=45,
    learning_rate=3e-4,
    drops=(5, 15),
    one_cycle=False,
    weight_decay=0.0,
    mirror=False,
)
"""The schedule of Kan et al. 2020."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part: mean loss and accuracy while learning."""

    epoch: int
    train_loss: float
    train_accuracy: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers."""
        return asdict(self)


def train(
    network: nn.Module,
    cohort: Cohort,
    indices: Sequence[int] | NDArray[np.int64],
    schedule: Schedule,
    *,
    seed: int = 0,
    device: str = "cpu",
    on_batch: Callable[[float, Epoch | None], None] | None = None,
) -> list[Epoch]:
    """Train a network in place with cross-entropy.

    Arithmetic is bfloat16 under autocast where the device computes it natively, with weights kept
    in float32. The network is left in eval mode, on `device`.

    Parameters
    ----------
    network : torch.nn.Module
        From (N, 1, X, Y, Z) to logits (N, K).
    cohort : Cohort
    indices : sequence of int
        The subjects to learn from.
    schedule : Schedule
    seed : int, default=0
        Of the order of subjects and of dropout. Initial weights are the caller's.
    device : str, default="cpu"
    on_batch : callable, optional
        Called after every batch with the number of epochs done (a fraction) and the last finished
        epoch.

    Returns
    -------
    list of Epoch

    Raises
    ------
    InputError
        If the training part lacks a class, or the loss is no longer finite.
    """
    labels = cohort.labels
    present = {int(c) for c in labels[indices]}
    missing = [name for c, name in enumerate(cohort.class_names) if c not in present]
    if missing:
        raise InputError(f"The training part has no subject of class {', '.join(missing)}.")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    network.train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    batches = -(-len(indices) // schedule.batch_size)
    rate = _rate(optimiser, schedule, batches)
    history: list[Epoch] = []
    for number in range(1, schedule.epochs + 1):
        loss_sum, right = 0.0, 0
        order = rng.permutation(np.asarray(indices))
        for step, chunk in enumerate(np.array_split(order, batches), start=1):
            images = cohort.stack(chunk)
            if schedule.mirror:
                _mirror_some(images, cohort.grid, rng)
            x = _tensor(images, device)
            y = torch.from_numpy(labels[chunk]).to(device)
            optimiser.zero_grad()
            with _autocast(device):
                logits = network(x)
            loss = nn.functional.cross_entropy(logits.float(), y)
            if not torch.isfinite(loss):
                raise InputError(
                    f"The loss is no longer finite in epoch {number}; lower the learning rate "
                    f"({schedule.learning_rate:g}) or check the intensities."
                )
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
            loss_sum += float(loss.detach()) * len(chunk)
            right += int((logits.argmax(dim=1) == y).sum())
            if on_batch and step < batches:
                on_batch(number - 1 + step / batches, history[-1] if history else None)
        history.append(Epoch(number, loss_sum / len(order), right / len(order)))
        if on_batch:
            on_batch(number, history[-1])
    network.eval()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return history


def predict(
    network: nn.Module,
    cohort: Cohort,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    device: str = "cpu",
    batch_size: int = 4,
) -> NDArray[np.float32]:
    """Return the logits of some subjects in float32, array (N, K)."""
    network.to(device).eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(indices), batch_size):
            x = _tensor(cohort.stack(indices[start : start + batch_size]), device)
            out.append(network(x).float().cpu().numpy())
    return np.concatenate(out)


def _rate(
    optimiser: torch.optim.Optimizer, schedule: Schedule, batches: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if schedule.one_cycle:
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, schedule.learning_rate, total_steps=schedule.epochs * batches
        )
    return torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [drop * batches for drop in schedule.drops], gamma=0.1
    )


def _mirror_some(images: NDArray[np.float32], grid: Grid, rng: np.random.Generator) -> None:
    axis = next(i for i, letter in enumerate(grid.orientation) if letter in "LR")
    for image in images:
        if rng.random() < 0.5:
            image[:] = np.flip(image, axis).copy()


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
