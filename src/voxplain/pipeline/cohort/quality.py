"""What a cohort looks like: its page, and the scans that stand out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.build import Built
from voxplain.cohort.check.quality import measure_quality
from voxplain.pipeline.made import write_page
from voxplain.report.figures import contact_sheet, covariates, intensities
from voxplain.report.pages.cohort import cohort_page
from voxplain.study import Study
from voxplain.tables.columns import read_numbers
from voxplain.volume import Cohort

__all__ = ["write_quality"]

_PICTURED = 60
# The midline itself shows the gap between the halves of the brain.
_OFF_MIDLINE_MM = 6.0
_DRAWN = {
    "brain volume, mL": {"brain_ml"},
    "age, years": {"age", "age_in_yrs", "age_at_scan"},
}


def write_quality(study: Study, built: Built, summary: dict[str, Any]) -> dict[str, str]:
    """Write ``cohort.html``, and return what stands out by participant."""
    cohort = built.cohort
    quality = measure_quality(cohort)
    odd = {i: cohort.subjects[i] for i in quality.outliers}
    shown = _shown(len(cohort), quality.outliers)
    middle = _middle(quality.mean, cohort)
    pictures = {
        "sheet": contact_sheet(
            [(cohort.subjects[i], cohort.load(i), i in odd) for i in shown], cohort.grid, middle
        ),
        "intensities": intensities(quality.edges, quality.histograms, odd),
    }
    labels = cohort.participants["label"].tolist()
    pictures["covariates"] = covariates(_numbers(cohort), labels, cohort.class_names)
    rows = quality.table.iloc[quality.outliers].to_dict("records")
    told = [{str(name): value for name, value in row.items()} for row in rows]
    exclusions = [(one.subject, one.what, one.reason) for one in built.exclusions]
    page = cohort_page(summary, pictures, told, exclusions)
    write_page(study, "cohort.html", page)
    return dict(zip(odd.values(), (row["outlier"] for row in told), strict=True))


def _shown(count: int, outliers: list[int]) -> list[int]:
    """Choose the scans for the picture: all that stand out, and others evenly spread."""
    others = [i for i in range(count) if i not in set(outliers)]
    room = max(0, _PICTURED - len(outliers))
    step = max(1, -(-len(others) // room)) if room else count + 1
    return sorted([*outliers[:_PICTURED], *others[::step][:room]])


def _middle(mean: NDArray[np.float32], cohort: Cohort) -> list[float]:
    """Find the centre of the mean brain, a little right of the midline, mm."""
    at = cohort.grid.to_world(np.argwhere(np.abs(mean) > 0.25 * np.abs(mean).max()).mean(axis=0))
    at[0] += _OFF_MIDLINE_MM
    return [float(x) for x in at]


def _numbers(cohort: Cohort) -> dict[str, NDArray[np.float64]]:
    table = cohort.participants
    found = {}
    for words, names in _DRAWN.items():
        name = next((n for n in table.columns if n.lower() in names), None)
        numbers = None if name is None else read_numbers(table[name]).values
        if numbers is not None and np.isfinite(numbers).sum() > len(table) / 2:
            found[words] = numbers
    return found
