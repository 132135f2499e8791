"""From a listing to a checked cohort in a study folder."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxplain import __version__
from voxplain.cohort.build import Built, build_store
from voxplain.cohort.check.balance import Balance, balance
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.store.reader import check_store, open_store
from voxplain.errors import StudyError
from voxplain.pipeline.cohort.quality import write_quality
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.tables.formulas import plain_lines, plain_table

__all__ = ["COHORT", "CohortOptions", "check_cohort", "make_cohort"]

COHORT = "cohort"
_GROUPS = {
    "was not fetched": "not fetched (datalad get, git annex get or git lfs pull)",
    "contradicts itself on left and right": "left and right contradictory (--orientation)",
    "The mask ": "the mask cannot be used",
    "of the brain lies in the network's field": "outside the field of view (--align centre)",
}


@dataclass(frozen=True)
class CohortOptions:
    """What is done with a listing.

    Parameters
    ----------
    out : path
        Folder of the study.
    recipe : Recipe
    workers : int
        Processes that prepare scans.
    match_size : bool, default=False
        Whether pairs of both classes of one brain size are kept, and no others.
    """

    out: Path
    recipe: Recipe
    workers: int
    match_size: bool = False


def make_cohort(
    found: Listing,
    options: CohortOptions,
    progress: Progress,
    stop: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Prepare and store the scans of a listing, and tell what could mislead a network.

    Writes below ``options.out`` the store (``cohort/``), the participants' table, the exclusions
    with their reasons, and ``cohort.json`` last.

    Parameters
    ----------
    found : Listing
    options : CohortOptions
    progress : Progress
    stop : callable, optional
        Called after each scan; what it raises ends the work, and the same call goes on.

    Returns
    -------
    dict
        What ``cohort.json`` holds.

    Raises
    ------
    VoxplainError
        If too few scans can be used, or the study cannot be written.
    """
    began = time.perf_counter()
    study = Study(options.out, "voxplain cohort", __version__)
    progress.say(found.coding)
    built = build_store(
        found,
        options.recipe,
        options.out / COHORT,
        options.workers,
        progress,
        match_size=options.match_size,
        stop=stop,
    )
    _write_tables(study, built)
    told = balance(built.cohort)
    counts = built.cohort.participants["label"].value_counts()
    heads = any(one.name == "heads without masks" for one in built.doubts)
    result = {
        "subjects": int(built.cohort.participants["participant_id"].nunique()),
        "scans": len(built.cohort),
        "classes": {name: int(counts[name]) for name in built.cohort.class_names},
        "coding": found.coding,
        "grid": built.cohort.grid.to_dict(),
        "recipe": options.recipe.steps(),
        "recipe_sha256": options.recipe.digest(),
        "excluded": dict(Counter(_short(one.reason) for one in built.exclusions)),
        "doubts": [asdict(one) for one in built.doubts],
        "balance": [asdict(one) for one in told],
        "warnings": [_warning(one, heads) for one in told if one.telling],
        "notes": built.notes,
        "versions": {"voxplain": __version__},
    }
    with progress.step("Quality page", len(built.cohort)):
        result["outliers"] = write_quality(study, built, result)
    result["seconds"] = time.perf_counter() - began
    study.write_json("cohort.json", result)
    return result


def check_cohort(study: Path) -> str:
    """Read a study's cohort again from the disk.

    Parameters
    ----------
    study : path

    Returns
    -------
    str
        A sentence that says that all is well.

    Raises
    ------
    StudyError
        If there is no cohort, or a volume has changed.
    """
    folder = study / COHORT
    changed = check_store(folder)
    if changed:
        raise StudyError(
            f"{folder} is damaged: the volumes of {', '.join(changed)} have changed since they "
            "were written; make it again in another folder."
        )
    cohort = open_store(folder)
    return f"{folder}: {len(cohort)} volumes of {cohort.grid} are as they were written."


def _write_tables(study: Study, built: Built) -> None:
    table = plain_table(built.cohort.participants).to_csv(sep="\t", index=False, na_rep="n/a")
    study.write_text("participants.tsv", table)
    rows = [("participant_id", "found", "reason")]
    rows += [(f"sub-{one.subject}", one.what, one.reason) for one in built.exclusions]
    study.write_text("exclusions.tsv", plain_lines(rows))


def _short(reason: str) -> str:
    """Group reasons that name their own file."""
    for sign, words in _GROUPS.items():
        if sign in reason:
            return words
    return reason if len(reason) < 60 else "the scan cannot be used"


def _warning(one: Balance, heads: bool) -> str:
    size = "The size of what lies above the background, whole heads included," if heads else ""
    what = (size or "Brain size") if one.name == "brain_ml" else one.name
    low, high = one.interval
    cure = "; --match size keeps pairs of like size" if one.name == "brain_ml" else ""
    return (
        f"{what} alone tells the classes apart with an AUC of {one.auc:.2f} ({low:.2f} to "
        f"{high:.2f}): a network can do as much without looking at anything else{cure}."
    )
