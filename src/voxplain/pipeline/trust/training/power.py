"""How many scans it takes: a planted effect in fewer and fewer of a study's scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import METHODS
from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError, StudyError
from voxplain.pipeline.trust.training.own import OwnStudy, kept, write_cohort
from voxplain.pipeline.trust.training.planted import Planted
from voxplain.pipeline.trust.training.trial import Trial, run_trial
from voxplain.pipeline.truth import read_truth, write_planted
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["PowerFinding", "nested_rows", "passes_from", "power_curve", "require_numbers"]

_WITHOUT = "phantom/without_effect"
_FEWEST = 8


@dataclass(frozen=True)
class PowerFinding:
    """What a planted effect looks like with more and more scans.

    Parameters
    ----------
    planted : Planted
        The effect: the same in all points.
    points : tuple of Trial
        By number of scans, fewest first.
    learned_from : int or None
        Number of scans from which on the network learns the effect; None where it never does.
    passes_from : mapping of str to int or None
        By method: number of scans from which on its mean map finds the effect.
    sentence : str
    """

    planted: Planted
    points: tuple[Trial, ...]
    learned_from: int | None
    passes_from: Mapping[str, int | None]
    sentence: str


def power_curve(
    own: OwnStudy,
    planted: Planted,
    numbers: Sequence[int],
    progress: Progress,
    folds: int | None = None,
) -> PowerFinding:
    """Train, explain and judge a planted effect on some numbers of scans.

    Fewer scans are part of more scans, as many of either group, and a participant's scans go
    together. Each number makes a sub-study ``trust/power-<number>``; all scans are those of the
    spike-in itself. What an earlier run has done is kept.

    Parameters
    ----------
    own : OwnStudy
    planted : Planted
        See `voxplain.pipeline.trust.training.spike.spike_in`.
    numbers : sequence of int
        Of scans.
    progress : Progress
    folds : int, optional
        The study's own by default.

    Returns
    -------
    PowerFinding

    Raises
    ------
    InputError
        If a number is larger than that of the study's scans, or too small for the folds.
    VoxplainError
        If training or explaining fails.
    """
    folds, spiked = folds or own.folds, own.place(f"spike-{planted.number}")
    cohort = open_store(spiked / "cohort")
    wanted = sorted(set(numbers))
    require_numbers(wanted, len(cohort), folds)
    points = []
    for number in wanted:
        if number == len(cohort) and planted.trial.folds == planted.trial.split == folds:
            points.append(planted.trial)
            continue
        out = own.place(f"power-{number}")
        request = own.request(folds=folds, spike=planted.number, dprime=planted.dprime, of=number)

        def make(out: Path = out, number: int = number) -> dict[str, Any]:
            _write_part(own, spiked, out, number, progress)
            return run_trial(own, out, folds, progress).to_dict()

        points.append(Trial.from_dict(kept(out, "found.json", request, make)))
    return _finding(planted, tuple(points))


def require_numbers(numbers: Sequence[int], scans: int, folds: int) -> None:
    """Refuse numbers of scans that a study cannot be made smaller to.

    Raises
    ------
    InputError
        If one is larger than the study, or too small for the folds.
    """
    least = max(_FEWEST, 2 * folds)
    for number in numbers:
        if not least <= number <= scans:
            raise InputError(
                f"--power takes numbers of scans from {least}, two of each group in every fold, to "
                f"{scans}, all scans of the study; {number} was given."
            )


def nested_rows(
    participants: Sequence[str], labels: NDArray[np.int64], number: int, seed: int
) -> list[int]:
    """Choose scans, as many of each group, such that a smaller number is part of a larger one.

    Parameters
    ----------
    participants : sequence of N str
        Whose scan each is.
    labels : array (N,)
    number : int
    seed : int

    Returns
    -------
    list of int
        Positions, ascending: `number` of them, or fewer where a participant with several scans does
        not fit in any more.
    """
    rows: dict[str, list[int]] = {}
    for row, who in enumerate(participants):
        rows.setdefault(who, []).append(row)
    order = np.random.default_rng(seed).permutation(sorted(rows))
    chosen: list[int] = []
    for label in np.unique(labels):
        # A group that is smaller than its half gives what it has.
        room = (number + int(label)) // len(np.unique(labels))
        for who in order:
            of_one = rows[str(who)]
            if labels[of_one[0]] == label and len(of_one) <= room:
                chosen += of_one
                room -= len(of_one)
    return sorted(chosen)


def _write_part(own: OwnStudy, spiked: Path, out: Path, number: int, progress: Progress) -> None:
    """Make the sub-study of some of the scans with an effect."""
    whole, bare = open_store(spiked / "cohort"), open_store(spiked / _WITHOUT)
    who = whole.participants["participant_id"].astype(str).tolist()
    rows = nested_rows(who, whole.labels, number, own.seed)
    words = f"{len(rows)} scans of {spiked.name}"
    made = write_cohort(out, _some(whole, rows), words)
    study = Study(out, "voxplain study", __version__)
    without = write_store(out / _WITHOUT, _some(bare, rows), f"without: {words}")
    truth = read_truth(spiked)
    if truth is None:
        raise StudyError(f"{spiked} holds no truth; delete it, and it is made again.")
    write_planted(study, made, without, truth.support, truth.brain, progress)


def _some(cohort: Cohort, rows: Sequence[int]) -> Cohort:
    table = cohort.participants.iloc[list(rows)].reset_index(drop=True)
    return replace(cohort, participants=table, load=lambda i: cohort.load(rows[i]))


def passes_from(numbers: Sequence[int], passed: Sequence[bool]) -> int | None:
    """Find the number from which on all pass; None where the largest does not.

    Parameters
    ----------
    numbers : sequence of int
        Ascending.
    passed : sequence of bool
    """
    found = None
    for number, one in zip(reversed(numbers), reversed(passed), strict=True):
        if not one:
            break
        found = number
    return found


def _finding(planted: Planted, points: tuple[Trial, ...]) -> PowerFinding:
    numbers = [one.scans for one in points]
    learned = passes_from(numbers, [one.learned for one in points])
    names = points[-1].maps
    found = {
        name: passes_from(
            numbers,
            [one.learned and name in one.maps and one.maps[name].found for one in points],
        )
        for name in names
    }
    return PowerFinding(planted, points, learned, found, _say(numbers, learned, found))


def _say(numbers: Sequence[int], learned: int | None, found: Mapping[str, int | None]) -> str:
    asked = ", ".join(map(str, numbers))
    if learned is None:
        return (
            f"Of {asked} scans, no number is enough for the network to learn the planted effect, "
            "so that nothing is told of methods."
        )
    there = [f"{METHODS[n].info.label} from {k} on" for n, k in found.items() if k is not None]
    never = [METHODS[n].info.label for n, k in found.items() if k is None]
    said = f"Of {asked} scans, the network learns the planted effect from {learned} on"
    said += f"; maps find it: {', '.join(there)}" if there else ""
    return said + (f"; not with any of these numbers: {', '.join(never)}" if never else "") + "."
