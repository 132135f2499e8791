"""Networks as they were before training, and their maps of some scans: a control of maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.target import TargetLike
from voxplain.nets import build_network
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.judging import MadeMap
from voxplain.pipeline.explain.study.targets import unit_for
from voxplain.pipeline.fit.fitted import Fitted
from voxplain.pipeline.fit.places import null_place
from voxplain.pipeline.maps import Question
from voxplain.pipeline.streams import Some
from voxplain.pipeline.writing import MapWriter
from voxplain.progress import Progress, Silent, adding
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["fixed_target", "untrained_maps", "untrained_network"]

_SEEDS = 100_000
_MOST, _FEWEST, _SHARE = 8, 2, 5
"""Of a target's scans one in five, no more than eight: a control must not cost what maps do."""


def untrained_network(fold: Fitted, which: int, number: int = 1) -> nn.Module:
    """Build a network as that of a fold was before training, in eval mode.

    Parameters
    ----------
    fold : Fitted
    which : int
        Of the fold, from 1 on: each has weights of its own.
    number : int, default=1
        Of the drawing of all folds' weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEEDS * number + which)
        return build_network(fold.name, fold.shape, len(fold.class_names) or 1).eval()


def fixed_target(fold: Fitted, target: str) -> TargetLike:
    """Return what is explained in scans whose maps are for the same target."""
    if fold.class_names:
        return fold.class_names.index(target)
    return Output(fold.outcome, *fold.scale)


def untrained_maps(
    options: ScanOptions,
    cohort: Cohort,
    method: tuple[str, Mapping[str, Any]],
    made: tuple[str, Sequence[MadeMap]],
    folds: Mapping[int, Fitted],
    engine: Engine,
    progress: Progress,
) -> dict[int, Path]:
    """Explain some scans again with networks that were not trained, one a fold.

    The maps lie where ``voxplain group --null untrained`` puts those of its first network, and are
    made once.

    Parameters
    ----------
    options : ScanOptions
    cohort : Cohort
    method : tuple of str and mapping
        Its name and options.
    made : tuple of str and sequence of MadeMap
        The target, and the maps of the trained networks for it.
    folds : mapping of int to Fitted
        By the number that the maps tell.
    engine : Engine
    progress : Progress

    Returns
    -------
    dict of int to path
        By position of the scan in the cohort: of one in five, two to eight, drawn by lot.
    """
    (name, given), (target, maps) = method, made
    count = min(_MOST, max(_FEWEST, len(maps) // _SHARE), len(maps))
    chosen = np.random.default_rng(options.seed).permutation(len(maps))[:count]
    mine = [maps[int(i)] for i in chosen]
    study = Study(options.out / null_place("untrained", 1), "voxplain study", __version__)
    found: dict[int, Path] = {}
    label = f"{METHODS[name].info.label} for {target} of untrained networks"
    with progress.step(label, count) as advance, engine.run() as shared:
        add = adding(advance)
        for number in sorted({one.fold for one in mine}):
            fold, rows = folds[number], sorted(one.row for one in mine if one.fold == number)
            question = Question(
                name,
                fixed_target(fold, target),
                options.layer,
                fold.class_names or None,
                given,
                options.seed,
                None,
                unit_for(options, fold),
                options.network,
            )
            network = untrained_network(fold, number)
            writer = MapWriter(study, network, Some(cohort, rows), question, shared, Silent())

            def take(position: int, _: object, path: Path, rows: list[int] = rows) -> None:
                found[rows[position]] = path
                add(1)

            writer.write(take)
    return found
