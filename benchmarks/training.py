"""``python -m benchmarks.training``: training beside the paper's script, epoch by epoch in turn.

The script is re-enacted from a description: float32, batches of 45, Adam at 3e-4 with a tenth after
epochs 5 and 15, 20 epochs, and in every epoch five more passes over the data in eval mode, for
losses and accuracies of the training and the test part that it prints. Ours runs the same schedule
and makes the training pass alone; with its default schedule it is run as well. All begin with the
same weights, on the same phantom brains and the same split.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.material import SEED, SUBJECTS
from voxplain.cohort import load_atlas, mni152_template
from voxplain.console import make_progress
from voxplain.fit import PAPER_SCHEDULE, Schedule, Training, hold_out, outcome_of, predict
from voxplain.nets import MRINet
from voxplain.phantom import Phantom, make_phantom

HERE = Path(__file__).parent
HELD_OUT = 0.3
EXTRA_PASSES = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    parser.add_argument("--epochs", type=int, default=PAPER_SCHEDULE.epochs)
    options = parser.parse_args()
    console = Console()
    progress = make_progress(console)
    with progress.step("Phantom cohort", options.subjects) as advance:
        phantom = make_phantom(
            options.subjects,
            mni152_template(),
            load_atlas("AAL"),
            seed=SEED,
            on_progress=lambda done, _: advance(done),
        )
    train, test = hold_out(phantom.cohort, HELD_OUT, SEED)
    runs = {
        "the paper's script": _script(phantom, train, test),
        "voxplain, the paper's schedule": _ours(phantom, train, PAPER_SCHEDULE),
        "voxplain, default schedule": _ours(phantom, train, Schedule()),
    }
    seconds = dict.fromkeys(runs, 0.0)
    epochs = {name: run[1] for name, run in runs.items()}
    with progress.step("Epochs in turn", options.epochs) as advance:
        for epoch in range(options.epochs):
            for name, (step, count, _) in runs.items():
                if epoch < count:
                    began = time.perf_counter()
                    step()
                    seconds[name] += time.perf_counter() - began
            advance(epoch + 1)
    labels = phantom.cohort.labels[test]
    rows: list[dict[str, Any]] = []
    for name, (_, _, network) in runs.items():
        right = predict(network, phantom.cohort, test).argmax(1) == labels
        done = min(epochs[name], options.epochs)
        rows.append(
            {
                "run": name,
                "epochs": done,
                "seconds": seconds[name],
                "seconds_per_epoch": seconds[name] / done,
                "accuracy": float(right.mean()),
            }
        )
    table = Table("run", "epochs", "s", "s an epoch", "times faster", "held-out accuracy")
    for row in rows:
        faster = rows[0]["seconds_per_epoch"] / row["seconds_per_epoch"]
        table.add_row(
            row["run"],
            str(row["epochs"]),
            f"{row['seconds']:.0f}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{faster:.1f}",
            f"{row['accuracy']:.3f} of {len(test)}",
        )
    console.print(table)
    result = {"train": len(train), "test": len(test), "rows": rows}
    (HERE / "training.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


Run = tuple[Callable[[], None], int, nn.Module]


def _network() -> MRINet:
    torch.manual_seed(SEED)
    return MRINet()


def _ours(phantom: Phantom, train: NDArray[np.int64], schedule: Schedule) -> Run:
    network = _network()
    outcome = outcome_of(phantom.cohort)
    training = Training(network, phantom.cohort, outcome, train, schedule, seed=SEED)
    return lambda: training._epoch(None), schedule.epochs, network


def _script(phantom: Phantom, train: NDArray[np.int64], test: NDArray[np.int64]) -> Run:
    network, rng = _network(), np.random.default_rng(SEED)
    images = torch.from_numpy(phantom.cohort.stack(range(len(phantom.cohort))))[:, None]
    labels = torch.from_numpy(phantom.cohort.labels)
    adam = torch.optim.Adam(network.parameters(), lr=PAPER_SCHEDULE.learning_rate)
    decay = torch.optim.lr_scheduler.MultiStepLR(adam, list(PAPER_SCHEDULE.drops), gamma=0.1)
    size = PAPER_SCHEDULE.batch_size

    def look(part: NDArray[np.int64]) -> None:
        network.eval()
        with torch.no_grad():
            for start in range(0, len(part), size):
                rows = part[start : start + size]
                nn.functional.cross_entropy(network(images[rows]), labels[rows])

    def epoch() -> None:
        network.train()
        order = rng.permutation(train)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            adam.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            adam.step()
        decay.step()
        for _ in range(EXTRA_PASSES):
            look(train)
            look(test)

    return epoch, PAPER_SCHEDULE.epochs, network


if __name__ == "__main__":
    main()
