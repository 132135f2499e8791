"""How good the models are, beside what could be as good without the brain."""

from __future__ import annotations

from collections.abc import Iterable

from voxplain.report.html.sections import Heading, Item, NotRun, Section
from voxplain.report.pages.features import features_page
from voxplain.report.pages.fit import fit_page
from voxplain.report.pages.reclassify import reclassify_page
from voxplain.report.pages.study.shown import Shown
from voxplain.results.study import StudyFound

__all__ = ["accuracy", "features", "masked", "nested"]

_HOW = "methods"


def nested(sections: Iterable[Section], without: str = _HOW) -> list[Item]:
    """Make the sections of another page items of one section.

    Parameters
    ----------
    sections : iterable of Section
    without : str
        Anchor of a section that is left out; by default, how it was done, which the report says
        elsewhere.
    """
    return [
        item
        for section in sections
        if section.anchor != without
        for item in (Heading(section.title), *section.items)
    ]


def accuracy(found: StudyFound, shown: Shown) -> list[Item]:
    """Show scores, controls and calibration."""
    if found.fit is None:
        return [NotRun("No network was trained.", f"voxplain fit {found.path}")]
    items = nested(fit_page(found.fit, shown.pictures).sections)
    if len(found.fit.models) == 1:
        items.append(
            NotRun(
                "There is no model on voxels to compare with.",
                f"voxplain fit {found.path} (without --no-baselines)",
            )
        )
    return items


def masked(found: StudyFound, shown: Shown) -> list[Item]:
    """Show what masked scans told."""
    if found.reclassify is None:
        return [NotRun("Masked scans were not classified.", f"voxplain reclassify {found.path}")]
    names = {"scores": "reclassify", "masks": "masks"}
    pictures = {k: shown.pictures[name] for k, name in names.items() if name in shown.pictures}
    return nested(reclassify_page(found.reclassify, pictures).sections)


def features(found: StudyFound, shown: Shown) -> list[Item]:
    """Show what differs in the feature maps of a layer."""
    if not found.features:
        return [
            NotRun("Feature maps were not compared.", f"voxplain features {found.path} --fold 1")
        ]
    return nested(features_page(found.features, shown.pictures).sections)
