"""Somebody's weights on a study's scans: what may be said of them without any training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from voxplain import __version__
from voxplain.attribution import DEFAULT_METHOD, METHODS
from voxplain.cohort.store.reader import open_store
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.made import write_page
from voxplain.pipeline.trust.head_size import HeadSize
from voxplain.pipeline.trust.measured import plausibility_measurement
from voxplain.pipeline.trust.plausibility import judge_weights, require_plausible
from voxplain.progress import Progress
from voxplain.report.pages.trust import trust_page
from voxplain.results.summary import trust_json
from voxplain.results.trust import Measurement, TrustResult
from voxplain.study import Study
from voxplain.trust.rules import EDITION, RULES, apply, judge_method

__all__ = ["trust_weights"]


def trust_weights(options: ScanOptions, progress: Progress, forced: bool = False) -> TrustResult:
    """Say of somebody's weights whether maps of them on a study's scans could be believed.

    Nothing is trained and nothing explained: are scans and predictions like those of the training,
    does the network know the classes, and does it know more than head size? Methods are not to be
    believed where one of these fails, and not tested where none does. Writes ``trust-weights.html``
    and ``trust-weights.json`` into the study.

    Parameters
    ----------
    options : ScanOptions
        Network and weights, and what is said of the outputs; no images. `out` is the study.
    progress : Progress
    forced : bool, default=False
        Whether the verdict is written also of a network that is not at home on these scans.

    Returns
    -------
    TrustResult

    Raises
    ------
    VoxplainError
        If the study has no cohort, the weights do not fit, or less than nine scans of ten are like
        those of the training.
    """
    began = time.perf_counter()
    cohort = open_store(options.out / "cohort")
    found = judge_weights(options, cohort, progress)
    require_plausible(found, forced)
    measured = [*_of_size(found.head_size), plausibility_measurement(found)]
    findings = tuple(apply(one) for one in measured)
    names = options.methods or (DEFAULT_METHOD,)
    result = TrustResult(
        network=options.network,
        first=found.first,
        study=findings,
        methods=tuple(judge_method(n, METHODS[n].info.label, [], findings) for n in names),
        asides=(),
        edition=EDITION,
        rules=tuple(RULES.values()),
        scans=len(cohort),
        networks=len(options.weights),
        budget="none: nothing is trained",
        seconds=time.perf_counter() - began,
        options=_plain(options),
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    study = Study(options.out, "voxplain study", __version__)
    write_page(study, "trust-weights.html", trust_page(result))
    study.write_json("trust-weights.json", trust_json(result))
    return result


def _of_size(found: HeadSize | None) -> Sequence[Measurement]:
    if found is None:
        return []
    figures = asdict(found)
    return [
        Measurement("knowledge-chance", None, found.p, found.sentence, figures=figures),
        Measurement("knowledge-confounds", None, found.p_removed, found.sentence, figures=figures),
    ]


def _plain(options: ScanOptions) -> dict[str, Any]:
    told = asdict(options)
    return told | {"weights": [str(one) for one in options.weights], "out": str(options.out)}
