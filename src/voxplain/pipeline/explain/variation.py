"""How the scans of a study vary, for the methods that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.attribution.methods import METHODS, make_method
from voxplain.attribution.variation import FEWEST_SCANS, Variation, variation_of
from voxplain.volume import Cohort

__all__ = ["with_scans"]


def with_scans(options: Mapping[str, Mapping[str, Any]], cohort: Cohort) -> dict[str, Any]:
    """Give methods all scans of a study to learn from how voxels vary, not those of a fold alone.

    No label is looked at, so that held-out scans may take part. Scans are read once for all methods
    that take out as many components.

    Parameters
    ----------
    options : mapping of str to mapping
        By method.
    cohort : Cohort

    Returns
    -------
    dict of str to dict
    """
    known: dict[int, Variation] = {}
    made = {}
    for name, given in options.items():
        made[name] = dict(given)
        if "scans" not in METHODS[name].option_names() or len(cohort) < FEWEST_SCANS:
            continue
        components: int = make_method(name, given).components  # type: ignore[attr-defined]
        if components not in known:
            known[components] = variation_of(cohort, components)
        made[name]["scans"] = known[components]
    return made
