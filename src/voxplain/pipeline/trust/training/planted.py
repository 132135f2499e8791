"""One effect planted in a study's own scans, and what its network and maps made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxplain.errors import StudyError
from voxplain.phantom import dprime_of
from voxplain.pipeline.spike import SpikeOptions, make_spiked_study
from voxplain.pipeline.trust.training.budget import SpikeSize
from voxplain.pipeline.trust.training.own import OwnStudy, kept
from voxplain.pipeline.trust.training.trial import Trial, run_trial
from voxplain.progress import Progress
from voxplain.study import StudyReader

__all__ = ["DPRIMES", "Planted", "find_planted", "next_dprime", "plant"]

DPRIMES = (0.5, 6.0)
"""The least and the largest d' that is planted."""

_FACTOR = 2.0


@dataclass(frozen=True)
class Planted:
    """One planted effect, and what a network and its maps made of it.

    Parameters
    ----------
    number : int
        From 1; the sub-study is ``trust/spike-<number>``.
    regions : tuple of str
    kind : {"intensity", "volume"}
    dprime : float
        Difference of the groups in standard deviations.
    strength : float
        Share of the signal that is lost, or logarithm of the growth of the volume.
    voxels : int
        Of the regions, inside the brain.
    trial : Trial
    """

    number: int
    regions: tuple[str, ...]
    kind: str
    dprime: float
    strength: float
    voxels: int
    trial: Trial


def plant(
    own: OwnStudy,
    number: int,
    where: str,
    kind: str,
    dprime: float,
    size: SpikeSize,
    progress: Progress,
) -> Planted:
    """Plant one effect, train on it, and judge the maps; see `spike_in`."""
    out = own.place(f"spike-{number}")
    seed = own.seed + number
    asked = {"where": where, "kind": kind, "seed": seed}

    def make_study() -> dict[str, Any]:
        return make_spiked_study(
            SpikeOptions(own.folder, out, where, kind, dprime, seed=seed), progress
        )

    scans = {"scans": own.request()["scans"]}
    made = kept(out, "made.json", scans | asked, make_study)
    told = kept(
        out,
        "found.json",
        own.request(split=size.split, folds=size.folds, device=own.device, **asked),
        lambda: run_trial(own, out, size.split, progress, size).to_dict(),
    )
    try:
        return _planted(number, made, told)
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"{out} is damaged: made.json or found.json says nothing of an effect; delete the "
            "folder, and it is made again."
        ) from error


def find_planted(own: OwnStudy, number: int = 1) -> Planted | None:
    """Find an effect that was planted and judged already; None where none is whole."""
    study = StudyReader(own.place(f"spike-{number}"))
    made, told = study.read_json("made.json"), study.read_json("found.json")
    try:
        return _planted(number, made, {k: v for k, v in told.items() if k != "request"})
    except (KeyError, TypeError):
        return None


def _planted(number: int, made: Mapping[str, Any], told: Mapping[str, Any]) -> Planted:
    return Planted(
        number=number,
        regions=tuple(made["regions"]),
        kind=str(made["kind"]),
        dprime=float(made["dprime"]),
        strength=float(made["strength"]),
        voxels=int(made["voxels"]),
        trial=Trial.from_dict(told),
    )


def next_dprime(planted: float, reached: float, wanted: float) -> float:
    """Find how large the next effect must be for the network to come out as wanted.

    Parameters
    ----------
    planted : float
        d' of the last effect.
    reached : float
        Accuracy of the network at it.
    wanted : float
        d' at which the best observer is as accurate as the network should be.

    Returns
    -------
    float
        Changed by a factor of two at most, and held between 0.5 and 6.
    """
    factor = np.clip(wanted / dprime_of(reached), 1 / _FACTOR, _FACTOR)
    return float(np.clip(planted * factor, *DPRIMES))
