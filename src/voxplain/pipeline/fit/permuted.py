"""Networks trained on permuted labels: what maps look like where nothing was to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StudyError, unknown_name
from voxplain.fit import Outcome, Processes, Schedule, find_groups, measures, outcome_of
from voxplain.group.blocks import Block, Leaf, read_blocks
from voxplain.pipeline.fit.fitted import folds_of
from voxplain.pipeline.fit.learner import Learner
from voxplain.pipeline.fit.places import FOLDS, folder_of, null_place
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.shards.alone import works_alone
from voxplain.progress import Progress
from voxplain.report.words.numbers import duration
from voxplain.study import Study, StudyReader

__all__ = ["PermutedOptions", "permuted_labels", "permuted_studies", "train_permuted"]

_RECORD = "permuted.json"


@dataclass(frozen=True)
class PermutedOptions:
    """How many networks are trained on permuted labels, and which labels may change places.

    Parameters
    ----------
    study : path
        That ``voxplain fit`` has trained networks of.
    count : int
        How often the labels are permuted.
    networks : tuple of str
        Empty for all of the fit.
    blocks : str
        See `voxplain.group.blocks.read_blocks`.
    device : str
    """

    study: Path
    count: int
    networks: tuple[str, ...] = ()
    blocks: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"--permuted-labels must be 1 or more; {self.count} was given.")


@works_alone
def train_permuted(options: PermutedOptions, progress: Progress) -> list[dict[str, Any]]:
    """Train the networks of a fit once more on permuted labels, with all else as it was.

    Folds, schedule, first weights and the order of the scans are those of the fit, so that the
    labels alone differ. Networks are kept apart, in ``null/labels-<number>``; what an earlier call
    has trained is kept, and a call for more goes on from there.

    Parameters
    ----------
    options : PermutedOptions
    progress : Progress

    Returns
    -------
    list of dict
        For each permutation and network ``number``, ``network``, ``score`` (``accuracy`` or ``r``),
        ``value`` (held out, against the permuted labels) and ``same`` (correlation of the permuted
        labels with the true ones).

    Raises
    ------
    VoxplainError
        If nothing was fitted, or the labels allow too few permutations, or training fails.
    """
    reader = StudyReader(options.study)
    fit = reader.read_json("summary.json").get("fit")
    if not fit:
        raise StudyError(
            f"{options.study} has no trained network; run 'voxplain fit {options.study}' first, "
            "then once more with --permuted-labels."
        )
    asked, trained = fit["options"], list(fit["options"]["networks"])
    for name in options.networks:
        if name not in trained:
            raise unknown_name("network of this fit", name, trained)
    cohort = open_store(options.study / "cohort")
    outcome, folds = outcome_of(cohort, asked["outcome"]), folds_of(reader, cohort)
    groups, _ = find_groups(cohort.participants, outcome, len(folds), asked["group"])
    tree, words = read_blocks(cohort.participants, options.blocks)
    table_of_folds = StudyReader(options.study).read_text(FOLDS) or ""
    drawn = permuted_labels(outcome, tree, options.count, int(asked["seed"]))
    schedule = Schedule.from_dict(asked["schedule"])
    device = Engine(device=options.device).resolve_device().type
    networks = options.networks or tuple(trained)
    each = sum(_seconds(fit, name) for name in networks) * len(folds)
    progress.say(
        f"{options.count} permutations of {outcome.name} ({words}), {len(folds)} folds each: about "
        f"{duration(each * options.count)} by the time that the fit took, less what is there. A "
        "rerun goes on where this one stops."
    )
    found = []
    for number, values in enumerate(drawn, start=1):
        study = Study(options.study / null_place("labels", number), "voxplain study", __version__)
        study.write_text(FOLDS, table_of_folds)
        shuffled = Outcome(outcome.name, values, outcome.class_names)
        setting = Setting(cohort, shuffled, folds, groups, int(asked["seed"]))
        for name in networks:
            learner = Learner(study, name, setting, schedule, Processes(device=device))
            progress.say(f"Permuted labels, {number} of {options.count}")
            outputs = np.concatenate([learner.held_out(fold, progress) for fold in folds])
            rows = np.concatenate([fold.test for fold in folds])
            part = Outcome(outcome.name, values[rows], outcome.class_names)
            score = "accuracy" if outcome.class_names else "r"
            told = {
                "number": number,
                "network": name,
                "score": score,
                "value": measures(part, outputs)[score],
                "same": float(np.corrcoef(values, outcome.values)[0, 1]),
                "blocks": words,
                "versions": {"voxplain": __version__, "torch": torch.__version__},
            }
            study.write_json(f"{folder_of(name)}/{_RECORD}", told)
            found.append(told)
    return found


def permuted_labels(
    outcome: Outcome, tree: Block, count: int, seed: int
) -> list[NDArray[np.int64] | NDArray[np.float64]]:
    """Permute an outcome as blocks permit, each time otherwise, and never as it was.

    Parameters
    ----------
    outcome : Outcome
    tree : Block
        Of `voxplain.group.blocks.read_blocks`: families change places whole, with others of their
        size, and their members inside.
    count : int
        A larger count goes on from a smaller one.
    seed : int

    Returns
    -------
    list of array (N,)

    Raises
    ------
    InputError
        If the blocks permit fewer.
    """

    def label(leaf: Leaf) -> str:
        return str(outcome.values[leaf.row])

    others = tree.count() // tree.count(label) - 1
    if others < count:
        raise InputError(
            f"The blocks permit {others} other ways to deal out {outcome.name}, and {count} are "
            "asked for; take a level out of --blocks, or ask for fewer."
        )
    rng = np.random.default_rng([seed, 1])
    places = [leaf.row for leaf in tree.leaves]
    seen = {outcome.values.tobytes()}
    found: list[NDArray[np.int64] | NDArray[np.float64]] = []
    while len(found) < count:
        values = outcome.values.copy()
        values[places] = outcome.values[tree.draw(1, rng)[0]]
        if values.tobytes() not in seen:
            seen.add(values.tobytes())
            found.append(values)
    return found


def permuted_studies(study: Path, network: str) -> list[Study]:
    """Find the parts of a study that hold a network trained on permuted labels, whole ones alone.

    Parameters
    ----------
    study : path
    network : str
    """
    found: list[Study] = []
    record = f"{folder_of(network)}/{_RECORD}"
    while StudyReader(folder := study / null_place("labels", len(found) + 1)).find_file(record):
        found.append(Study(folder, "voxplain study", __version__))
    return found


def _seconds(fit: dict[str, Any], network: str) -> float:
    """Tell how long a training took, on average."""
    asked, told = fit["options"], fit["models"].get(network, {})
    trainings = int(fit["folds"]) * int(fit["repeats"]) + bool(asked["final"])
    return float(told.get("training_seconds") or 0.0) / trainings
