"""The page of a study's maps where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from voxplain.report.html.sections import Heading, Item, Page, Picture, Section, Table, Text
from voxplain.report.words.judgement import CONTROL_LABELS, JUDGED_COLUMNS, interval, judged_rows
from voxplain.results.judgement import Found, JudgedMap, Judgement

__all__ = ["explain_page"]

_MEASURES: Final = {
    "average_precision": "average precision",
    "lift": "average precision over chance",
    "auroc": "AUROC",
    "rank_accuracy": "rank accuracy",
    "mass": "relevance mass",
    "max_f1": "best F1",
    "box_overlap": "overlap of boxes",
    "box_found": "boxes found (overlap of a half)",
    "pointed": "peak within 8 mm",
    "centre_pointed": "middle of the brain within 8 mm",
    "distance_mm": "distance of the mass, mm",
}
_HOW: Final = (
    "Maps, ceiling and controls are smoothed alike ({widths}), made absolute and ranked inside the "
    "brain. Average precision (AP) is the area under the precision-recall curve; by chance it is "
    "the share of the brain that the true region fills, and 95 % of random maps as smooth stay "
    "below the figure beside it.",
    "The ceiling is the score of the true change itself: anatomy and partial volume forbid more. "
    "Controls know nothing of what the network learnt; maps of untrained networks are of one scan "
    "in five, eight at most. The t-map of all scans, voxel by voxel, is hard to beat "
    "where an effect adds up.",
    "Intervals are 95 %, over participants and over the networks of the folds, both drawn anew "
    "(Owen 2007), laid about the figure. Of single subjects, every map is held against the truth "
    "in the subject's own anatomy, and figures are means.",
)


def explain_page(network: str, judged: Sequence[JudgedMap], pictures: Mapping[str, bytes]) -> Page:
    """Assemble the page.

    Parameters
    ----------
    network : str
    judged : sequence of JudgedMap
    pictures : mapping of str to bytes
        A PNG of each mean map, by the map's file.

    Returns
    -------
    Page
    """
    widths = {one.label: one.judgements.fwhm_mm for one in judged}
    words = ", ".join(f"{label} {fwhm:g} mm" for label, fwhm in widths.items())
    table = Table(JUDGED_COLUMNS, tuple(judged_rows(judged)))
    sections = [
        Section(
            "Do the maps find the truth?",
            "truth",
            [table, Text((_HOW[0].format(widths=words), *_HOW[1:]))],
        ),
        Section("Mean maps", "maps", [_picture(one, pictures[one.map]) for one in judged]),
        Section("All measures", "measures", [item for one in judged for item in _measures(one)]),
    ]
    return Page(
        "Maps held against a known truth",
        f"Networks {network}, each explaining the scans that it had not seen.",
        tuple(sections),
    )


def _picture(one: JudgedMap, png: bytes) -> Picture:
    what = f"{one.label} for {one.target}, mean of {one.scans} scans"
    return Picture(png, f"{what}; the outline is the true region.", f"Cuts through {what}.")


def _measures(one: JudgedMap) -> list[Item]:
    items: list[Item] = [Heading(f"{one.label} for {one.target}")]
    for title, judgement in (
        ("Mean map", one.judgements.group),
        ("Single subjects", one.judgements.subjects),
    ):
        if judgement is not None:
            items.append(_table(title, judgement))
    return items


def _table(title: str, judgement: Judgement) -> Table:
    beside: dict[str, Found | None] = {"ceiling": judgement.ceiling}
    beside |= {CONTROL_LABELS.get(k, k): v for k, v in judgement.controls.items()}
    rows = []
    for name, label in _MEASURES.items():
        own = getattr(judgement.found, name)
        if own is None:
            continue
        others = [None if f is None else getattr(f, name) for f in beside.values()]
        values = [None if other is None else other.value for other in others]
        rows.append((label, own.value, interval(own), *values))
    count = f"{judgement.subjects} participants, {judgement.networks} networks"
    return Table(
        ("measure", "maps", "95 % interval", *beside), tuple(rows), caption=f"{title}, {count}"
    )
