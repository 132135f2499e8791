"""Options of methods that depend on the scans of a study: how they vary, and regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import METHODS, make_method
from voxplain.attribution.variation import FEWEST_SCANS, Variation, variation_of
from voxplain.errors import InputError
from voxplain.pipeline.explain.regions import with_regions
from voxplain.volume import Cohort

__all__ = ["components_of", "options_again", "with_scans"]


def with_scans(
    options: Mapping[str, Mapping[str, Any]],
    cohort: Cohort,
    settled: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give methods all scans of a study to learn from how voxels vary, not those of a fold alone.

    No label is looked at, so that held-out scans may take part. Scans are read once for all methods
    that take out as many components.

    Parameters
    ----------
    options : mapping of str to mapping
        By method.
    cohort : Cohort
    settled : mapping, optional
        What `components_of` returned before: another machine rounds it otherwise.

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
            found = variation_of(cohort, components)
            if settled is not None:
                found = replace(found, components=torch.tensor(settled[str(components)]))
            known[components] = found
        made[name]["scans"] = known[components]
    return made


def components_of(options: Mapping[str, Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Return the principal components that `with_scans` gave to methods, by how many were asked."""
    found = {}
    for name, given in options.items():
        if "scans" in given:
            asked: int = make_method(name, given).components  # type: ignore[attr-defined]
            found[str(asked)] = given["scans"].components.tolist()
    return found


def options_again(method: str, told: Mapping[str, Any], cohort: Cohort) -> dict[str, Any]:
    """Turn the options of a method, as the sidecars of its maps tell them, back into options.

    Parameters
    ----------
    method : str
    told : mapping
    cohort : Cohort
        Whose scans were explained.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If an option was an array, which a sidecar does not hold.
    """
    regions = told.get("regions")
    start: dict[str, Any] = {}
    if isinstance(regions, str) and regions.startswith("atlas "):
        atlas = regions.removeprefix("atlas ").partition(",")[0]
        start = with_regions({"regions": atlas}, [cohort[0]])
    start = dict(with_scans({method: start}, cohort)[method])
    usual = describe_options(make_method(method, start))
    given = {k: v for k, v in told.items() if v != usual.get(k)}
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("array "):
            raise InputError(
                f"The option {name} of {method} was an array, which its sidecar does not hold."
            )
    return {**start, **given}
