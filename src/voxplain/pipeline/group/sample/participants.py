"""The table that a model reads: participants, and what the fit says of each scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxplain.cohort.find.tables import read_table
from voxplain.errors import InputError
from voxplain.pipeline.fit.places import FOLDS, folder_of
from voxplain.study import Study
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd
from voxplain.tables.formulas import given_cell

__all__ = ["rows_of", "scan_table", "with_columns"]


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


def with_columns(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Join the columns of a design table: a row per participant, a column per regressor.

    Parameters
    ----------
    table : pandas.DataFrame
        See `scan_table`.
    path : path
        Table with ``participant_id``; see `voxplain.cohort.find.tables.read_table`.

    Returns
    -------
    pandas.DataFrame
        Columns of numbers are numbers; who is not in the design has none.

    Raises
    ------
    InputError
        If it names a participant twice, nobody of the study, or a column that the study has.
    """
    import pandas as pd

    design = read_table(path)
    people = design["participant_id"].str.removeprefix("sub-")
    mine = table["participant_id"].astype(str).str.removeprefix("sub-")
    twice = people[people.duplicated()]
    if len(twice):
        raise InputError(f"{path} has two rows of {twice.iloc[0]}; a design has one of each.")
    if not people.isin(mine).any():
        raise InputError(
            f"{path} names nobody of the study, whose participants are {', '.join(mine[:3])}, …."
        )
    design = design.drop(columns="participant_id").replace("n/a", np.nan).set_index(people)
    both = [name for name in design.columns if name in table.columns]
    if both:
        raise InputError(
            f"{path} and the study both have a column {both[0]!r}; rename it in {path}."
        )
    for name, column in design.items():
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().equals(column.notna()):
            design[name] = numbers
    return table.assign(**{str(name): mine.map(column) for name, column in design.items()})


def rows_of(table: pd.DataFrame, only: str | None) -> list[int]:
    """Find the rows of the scans that a test takes.

    Parameters
    ----------
    table : pandas.DataFrame
    only : str or None
        ``column=value``; ``class`` stands for ``label``. None for all.

    Raises
    ------
    InputError
        If there is no such column or value.
    """
    if only is None:
        return [*range(len(table))]
    name, _, value = (part.strip() for part in only.partition("="))
    column = "label" if name == "class" and "class" not in table.columns else name
    if column not in table.columns or not value:
        raise InputError(
            f"--only takes column=value, such as class=case; {only!r} was given, and the columns "
            f"are {', '.join(map(str, table.columns))}."
        )
    cells = table[column].map(str)
    rows = [row for row, cell in enumerate(cells) if cell == value]
    if not rows:
        raise InputError(
            f"No scan has {name} {value!r}; there are: {', '.join(sorted(set(cells))[:10])}."
        )
    return rows


def _read(study: Study, name: str) -> pd.DataFrame | None:
    import pandas as pd

    text = study.read_text(name)
    if text is None:
        return None
    head, *rows = ([*map(given_cell, line.split("\t"))] for line in text.splitlines())
    table = pd.DataFrame(rows, columns=head)
    table = table[table["repeat"] == "1"]
    return table.set_index(table["scan"].str.removeprefix("sub-"))
