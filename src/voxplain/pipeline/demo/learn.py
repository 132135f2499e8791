"""The demo's cohort on disk, and its network: trained once, found again by a rerun."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import weights_sha256
from voxplain.cohort import load_atlas, mni152_template
from voxplain.fit import Epoch, Schedule, hold_out, predict, train
from voxplain.nets import MRINet, load_into, read_weights, serialise
from voxplain.phantom import Phantom, Scenario, make_phantom
from voxplain.pipeline.truth import write_truth
from voxplain.progress import Progress
from voxplain.study import Study

__all__ = ["Trained", "prepare_phantom", "train_network"]

HELD_OUT = 0.3


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network and how it does on held-out subjects.

    Parameters
    ----------
    network : MRINet
    train, held_out : array (N,)
        Positions in the cohort.
    history : list of Epoch
    logits : array (N, 2), logit
        Of the held-out subjects, in order.
    schedule : Schedule
    seconds : float
        Time that the training took, in this run or in the one that it is kept from.
    """

    network: MRINet
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    history: list[Epoch]
    logits: NDArray[np.float32]
    schedule: Schedule
    seconds: float


def prepare_phantom(
    study: Study, subjects: int, seed: int, progress: Progress
) -> tuple[Phantom, float]:
    """Make the phantom cohort and write it, truth included, below ``phantom/``.

    Returns the phantom and the seconds that making it took, reading the template and writing
    left out.

    Each subject has its T1w image; its mask of where the effect acts, or would act; and, for a
    case, the paired image without the effect.
    """
    template, atlas = mni152_template(), load_atlas("AAL")
    with progress.step(f"Phantom cohort of {subjects} subjects", subjects) as advance:
        began = time.perf_counter()
        phantom = make_phantom(
            subjects, template, atlas, seed=seed, on_progress=lambda done, _: advance(done)
        )
        seconds = time.perf_counter() - began
    grid, cohort = phantom.cohort.grid, phantom.cohort
    with (
        progress.step("Writing the cohort", subjects) as advance,
        ThreadPoolExecutor(max_workers=4) as pool,
    ):

        def write(i: int) -> None:
            who = f"sub-{cohort.subjects[i]}"
            start = f"phantom/{who}/anat/{who}"
            study.write_volume(f"{start}_T1w", cohort[i].values, grid)
            if cohort.labels[i]:
                study.write_volume(
                    f"{start}_desc-withouteffect_T1w", phantom.without_effect[i], grid
                )

        for done, _ in enumerate(pool.map(write, range(subjects)), start=1):
            advance(done)
    write_truth(study, phantom, progress)
    table = cohort.participants.to_csv(sep="\t", index=False, float_format="%.4f")
    study.write_text("participants.tsv", table)
    return phantom, seconds


def train_network(
    study: Study, phantom: Phantom, schedule: Schedule, seed: int, device: str, progress: Progress
) -> Trained:
    """Train the paper's network on the cohort, or take it from the study if it is there.

    Writes ``model/weights.safetensors``, ``model/predictions.tsv`` and, last,
    ``model/training.json``.
    """
    cohort = phantom.cohort
    learners, held_out = hold_out(cohort, HELD_OUT, seed)
    torch.manual_seed(seed)
    network = MRINet(cohort.grid.shape, len(cohort.class_names))
    request = _request(phantom.scenario, schedule, len(cohort), seed, device)
    kept = study.find_json("model/training.json", request)
    if kept is not None:
        load_into(network, read_weights(study.folder / "model/weights.safetensors"))
        network.eval()
        history = [Epoch(**epoch) for epoch in kept["history"]]
        seconds = float(kept["seconds"])
        progress.say("Training: kept, it was done with the same options.")
    else:
        with progress.step(f"Training on {len(learners)} subjects", schedule.epochs) as advance:
            began = time.perf_counter()
            history = train(
                network,
                cohort,
                learners,
                schedule,
                seed=seed,
                device=device,
                on_batch=lambda done, epoch: advance(done, note=_note(epoch)),
            )
            seconds = time.perf_counter() - began
    logits = predict(network, cohort, held_out, device=device)
    if kept is None:
        study.write_bytes("model/weights.safetensors", serialise(network))
        _write_predictions(study, phantom, held_out, logits)
        study.write_json(
            "model/training.json",
            {
                "request": request,
                "schedule": schedule.describe(),
                "seconds": seconds,
                "weights_sha256": weights_sha256(network),
                "train": [cohort.subjects[i] for i in learners],
                "held_out": [cohort.subjects[i] for i in held_out],
                "history": [epoch.to_dict() for epoch in history],
            },
        )
    return Trained(network, learners, held_out, history, logits, schedule, seconds)


def _request(
    scenario: Scenario, schedule: Schedule, subjects: int, seed: int, device: str
) -> Mapping[str, Any]:
    return {
        "effect": asdict(scenario.effect),
        "anatomy": asdict(scenario.anatomy),
        "scanner": asdict(scenario.scanner),
        "grid": scenario.grid.to_dict(),
        "schedule": schedule.to_dict(),
        "subjects": subjects,
        "seed": seed,
        "device": device,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }


def _note(epoch: Epoch | None) -> str:
    if epoch is None:
        return ""
    return f"loss {epoch.train_loss:.3f}, accuracy {epoch.train_accuracy:.2f}"


def _write_predictions(
    study: Study, phantom: Phantom, held_out: NDArray[np.int64], logits: NDArray[np.float32]
) -> None:
    table = phantom.cohort.participants.iloc[held_out][["participant_id", "label"]].copy()
    for column, name in enumerate(phantom.cohort.class_names):
        table[f"logit_{name}"] = logits[:, column]
    study.write_text("model/predictions.tsv", table.to_csv(sep="\t", index=False))
