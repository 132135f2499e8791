"""A known effect in a study's own scans: a study like any other, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError
from voxplain.phantom import (
    CLASS_NAMES,
    Darkening,
    Division,
    Expansion,
    Spike,
    background_of,
    divide,
    dprime_of,
)
from voxplain.pipeline.planting import find_region
from voxplain.pipeline.truth import write_planted
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.tables.formulas import plain_table
from voxplain.volume import Cohort

__all__ = ["KINDS", "SpikeOptions", "make_spiked_study"]

KINDS = ("intensity", "volume")
_SCANS = ("participant_id", "session_id", "run_id")
_SPREAD = 0.13


@dataclass(frozen=True)
class SpikeOptions:
    """What is planted, and where.

    Parameters
    ----------
    study : path
        A folder with a cohort; it is left as it is.
    out : path
        Folder of the new study.
    where : str
        Names of regions of `atlas` with commas between, ``"random"`` for one region of it,
        ``"ball:x,y,z,radius"`` in mm, or ``"like:FILE"`` for a ball at random inside the brain, as
        large as the largest cluster of a map that was thresholded.
    kind : {"intensity", "volume"}, default="intensity"
        Whether the region loses signal, or grows.
    dprime : float, optional
        Difference of the groups in standard deviations; by default that at which the best observer
        is as often right as the study's best network.
    spread : float, default=0.13
        Standard deviation of the change within a group: share of the signal, or logarithm of the
        volume.
    atlas : str, default="AAL"
    seed : int, default=0
    """

    study: Path
    out: Path
    where: str
    kind: str = "intensity"
    dprime: float | None = None
    spread: float = _SPREAD
    atlas: str = "AAL"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be intensity or volume; {self.kind!r} was given.")
        if self.out.resolve() == self.study.resolve():
            raise InputError(
                f"The spiked scans make a study of their own; give --out another folder than "
                f"{self.study}."
            )


def make_spiked_study(options: SpikeOptions, progress: Progress) -> dict[str, Any]:
    """Plant an effect in a study's own scans and write them as a new study.

    The scans' labels are set aside (column ``own_label``). Their participants are divided at random
    into two groups that are alike in all that the table says of them, the label included. Each
    scan is changed by an amount of its own, drawn alike in both groups; those of the second group
    by a fixed amount more. Three truths are kept: the region
    (``phantom/template_desc-effect_mask``), the mean change of the second group's scans
    (``phantom/template_desc-effect_statmap``), and every scan without the effect (the cohort in
    ``phantom/without_effect``).

    Parameters
    ----------
    options : SpikeOptions
    progress : Progress

    Returns
    -------
    dict
        What was planted, as ``summary.json`` has it.

    Raises
    ------
    VoxplainError
        If there is no cohort, a region is unknown or has no voxel, there are too few participants,
        or the study cannot be written.
    """
    cohort = open_store(options.study / "cohort")
    own = _own_accuracy(options.study)
    dprime = options.dprime
    if dprime is None:
        if own is None:
            raise InputError(
                f"{options.study} has no network whose accuracy the effect could be fitted to; run "
                "'voxplain fit' first, or give --dprime."
            )
        dprime = dprime_of(own)
    study = Study(options.out, "voxplain study", __version__)
    names, fraction = find_region(options.study, options.where, options.atlas, cohort, options.seed)
    with progress.step("Looking at the scans", len(cohort)) as advance:
        looked = _look(cohort, fraction, advance)
    if not (fraction[looked.brain] >= 0.5).any():
        raise InputError(
            f"{', '.join(names)} fills no voxel inside the brains of {options.study}; choose a "
            "larger region, or one inside."
        )
    columns = [str(c) for c in cohort.participants.columns if c not in _SCANS]
    division = divide(cohort.participants, columns, options.seed)
    planted = (
        Darkening(fraction) if options.kind == "intensity" else Expansion(fraction, cohort.grid)
    )
    spike = Spike(planted, dprime, options.spread, options.seed)
    spiked, without = _cohorts(cohort, spike, division)
    words = f"{options.where}, {options.kind}, d' {dprime:.2f}, seed {options.seed}"
    with progress.step("Planting the effect", 2) as advance:
        made = write_store(options.out / "cohort", spiked, f"spike-in: {words}")
        advance(1)
        bare = write_store(options.out / "phantom/without_effect", without, f"without: {words}")
        advance(2)
    write_planted(study, made, bare, planted.support & looked.brain, looked.brain, progress)
    told = {
        "study": str(options.study),
        "regions": list(names),
        "kind": options.kind,
        "dprime": dprime,
        "strength": spike.strength,
        "spread": spike.spread,
        "bayes_accuracy": spike.bayes_accuracy,
        "own_accuracy": own,
        "own_spread_of_region": looked.spread,
        "voxels": int((planted.support & looked.brain).sum()),
        "seed": options.seed,
        "scans": len(made),
        "balanced": list(division.balanced),
        "largest_difference": division.largest,
    }
    study.write_text(
        "participants.tsv", plain_table(made.participants).to_csv(sep="\t", index=False)
    )
    study.write_json("summary.json", study.read_json("summary.json") | {"spike": told})
    return told


def _own_accuracy(study: Path) -> float | None:
    """Read the best held-out accuracy of the study's networks; None where there is none."""
    fit = Study(study, "voxplain study", __version__).read_json("summary.json").get("fit", {})
    networks = fit.get("networks") or list(fit.get("models", {}))
    found = [
        fit["models"][n].get("accuracy", {}).get("mean") for n in networks if n in fit["models"]
    ]
    return max((float(a) for a in found if a is not None), default=None)


@dataclass(frozen=True, eq=False)
class _Looked:
    brain: NDArray[np.bool_]
    spread: float


def _look(cohort: Cohort, fraction: NDArray[np.float32], advance: Any) -> _Looked:
    """Find where brains are, and how much the region's mean differs between scans by nature."""
    inside = np.zeros(cohort.grid.shape)
    ratios = []
    for i in range(len(cohort)):
        values = cohort.load(i)
        signal = values - background_of(values)
        brain = signal != 0
        inside += brain
        weights = fraction * brain
        if weights.any():
            ratios.append(np.average(signal, weights=weights) / signal[brain].mean())
        advance(i + 1)
    spread = float(np.std(ratios, ddof=1) / np.mean(ratios)) if len(ratios) > 1 else 0.0
    return _Looked(inside >= len(cohort) / 2, spread)


def _cohorts(cohort: Cohort, spike: Spike, division: Division) -> tuple[Cohort, Cohort]:
    """Make the cohort with the effect, and the same one without it; scans are made when loaded."""
    natural = spike.natural_amounts(cohort)
    added = np.where(division.chosen, spike.strength, 0.0)
    table = cohort.participants.assign(
        own_label=cohort.participants["label"],
        label=[CLASS_NAMES[int(c)] for c in division.chosen],
        effect_strength=added,
        effect_amount=natural + added,
    )

    def of(amounts: NDArray[np.float64]) -> Cohort:
        def load(i: int) -> NDArray[np.float32]:
            return spike.planted.apply(cohort.load(i), float(amounts[i]))

        return Cohort(table, CLASS_NAMES, cohort.grid, load)

    return of(natural + added), of(natural)
