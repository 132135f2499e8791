"""Which scans of a study are explained, and for what."""

from __future__ import annotations

import numpy as np

from voxplain.attribution.network.numbers import Output, PerNetwork
from voxplain.attribution.network.target import TargetLike
from voxplain.errors import InputError
from voxplain.fit import unit_of
from voxplain.pipeline.explain.names import require_target
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.fit.fitted import Fitted
from voxplain.volume import Cohort

__all__ = ["rule_of", "sample_of", "target_of", "unit_for"]

OWN = "own"


def sample_of(cohort: Cohort, count: int | None, seed: int) -> frozenset[int]:
    """Draw scans by lot, as many of each class as its share of the cohort."""
    if count is None or count >= len(cohort):
        return frozenset(range(len(cohort)))
    order = np.random.default_rng(seed).permutation(len(cohort))
    labels = cohort.labels[order]
    # Each class in turn, so that every first part of the order has its share of each.
    share = np.empty(len(order))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        share[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    order = order[np.argsort(share, kind="stable")]
    return frozenset(order[:count].tolist())


def unit_for(options: ScanOptions, fitted: Fitted) -> str | None:
    """Return the unit of the number that the networks give, None for classes."""
    return None if fitted.class_names else options.unit or unit_of(fitted.outcome)


def rule_of(options: ScanOptions, fitted: Fitted) -> str:
    """Say how each scan's target is chosen; refuse a target that is not there."""
    names, target = fitted.class_names, options.target
    if not names:
        if target != "predicted":
            raise InputError(
                f"{options.network} of this study predicts {fitted.outcome}, a number, which has "
                f"no classes; leave --target out ({target!r} was given)."
            )
        return fitted.outcome
    if options.unit is not None:
        raise InputError(
            f"{options.network} of this study tells classes apart ({', '.join(names)}), which have "
            "no unit; leave --unit out."
        )
    require_target(target, names, len(names), OWN)
    return names[target] if isinstance(target, int) else target


def target_of(options: ScanOptions, cohort: Cohort, fitted: Fitted) -> TargetLike:
    """Return what is explained in the scans that a fold held out."""
    if not fitted.class_names:
        members = tuple(Output(fitted.outcome, *one.scale) for one in fitted.together)
        return PerNetwork(members) if len(members) > 1 else members[0]
    if options.target == OWN:
        return [int(cohort.labels[i]) for i in fitted.rows]
    return options.target
