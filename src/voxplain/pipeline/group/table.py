"""The table that a model reads: participants, and what the fit says of each scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxplain.pipeline.fit.places import FOLDS, folder_of
from voxplain.study import Study
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scan_table"]


def scan_table(study: Study, cohort: Cohort, network: str) -> pd.DataFrame:
    """Join the participants with the fold, the correctness and the logit of each scan.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    network : str

    Returns
    -------
    pandas.DataFrame
        A row per scan. ``fold``, ``correct`` (yes or no) and ``logit``, of the second class less
        the first, are there where the fit wrote them and the participants have no such column.
    """
    table = cohort.participants.copy()
    folds = _read(study, FOLDS)
    predicted = _read(study, f"{folder_of(network)}/predictions.tsv")
    found: dict[str, dict[str, Any]] = {}
    if folds is not None:
        found["fold"] = dict(folds["fold"])
    if predicted is not None and cohort.class_names:
        right = predicted["truth"] == predicted["predicted"]
        found["correct"] = dict(right.map({True: "yes", False: "no"}))
        logits = [f"logit_{name}" for name in cohort.class_names]
        if len(logits) == 2 and set(logits) <= set(predicted.columns):
            margin = predicted[logits[1]].astype(float) - predicted[logits[0]].astype(float)
            found["logit"] = dict(margin)
    for name, column in found.items():
        if name not in table.columns:
            table[name] = [column.get(scan, np.nan) for scan in cohort.subjects]
    return table


def _read(study: Study, name: str) -> pd.DataFrame | None:
    import pandas as pd

    text = study.read_text(name)
    if text is None:
        return None
    head, *rows = (line.split("\t") for line in text.splitlines())
    table = pd.DataFrame(rows, columns=head)
    table = table[table["repeat"] == "1"]
    return table.set_index(table["scan"].str.removeprefix("sub-"))
