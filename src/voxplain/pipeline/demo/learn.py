"""The demo's cohort on disk, and its network: trained once, found again by a rerun."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain.cohort import load_atlas, mni152_template
from voxplain.fit import Epoch, Fold, Processes, Schedule, hold_out, outcome_of, predict
from voxplain.phantom import Phantom, make_phantom
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.scores import predictions_table
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.truth import write_truth
from voxplain.progress import Progress
from voxplain.study import Study

__all__ = ["Trained", "prepare_phantom", "train_network"]

NETWORK, HELD_OUT = "mrinet", 0.3


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network and how it does on held-out subjects.

    Parameters
    ----------
    network : torch.nn.Module
    train, held_out : array (N,)
        Positions in the cohort.
    history : tuple of Epoch
    logits : array (N, 2), logit
        Of the held-out subjects, in order.
    schedule : Schedule
    seconds : float
        Time that the training took, in this run or in the one that it is kept from.
    """

    network: nn.Module
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    history: tuple[Epoch, ...]
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

    Writes its weights and record below ``model/mrinet/``, as `voxplain fit` does, and the held-out
    predictions to ``model/mrinet/predictions.tsv``.
    """
    cohort, outcome = phantom.cohort, outcome_of(phantom.cohort)
    fold = Fold(0, 0, *hold_out(cohort, HELD_OUT, seed))
    setting = Setting(cohort, outcome, [fold], None, seed)
    learner = Learner(study, NETWORK, setting, schedule, Processes(device=device))
    if learner.has(fold):
        progress.say("Training: kept, it was done with the same options.")
    network, _ = learner.trained(fold, progress)
    logits = predict(network, cohort, fold.test, device=device)
    table = predictions_table(cohort, outcome, [fold], [logits])
    study.write_text(f"{learner.folder}/predictions.tsv", table)
    return Trained(
        network,
        fold.train,
        fold.test,
        learner.history(fold),
        logits,
        schedule,
        learner.seconds,
    )
