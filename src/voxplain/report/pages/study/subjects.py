"""Single scans, those to look at first in front."""

from __future__ import annotations

from voxplain.report.html.sections import Case, Cases, Item, NotRun, Standing, Table, Text
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.numbers import number, two_decimals
from voxplain.results.study import ScanFound, StudyFound

__all__ = ["subjects"]

_LISTED = 1000
_SURE = 0.9


def subjects(found: StudyFound, shown: Shown) -> list[Item]:
    """List the scans: wrong and sure, outliers and those unlike their class first."""
    if not found.scans:
        return [NotRun("There are no scans to show.")]
    urgent = [one for one in found.scans if one.urgency > 0]
    first = [one for one in found.scans if one.name in shown.in_page]
    words = (
        f"{len(urgent)} of {len(found.scans)} scans are odd in some way: predicted wrongly (the "
        "surer, the sooner), standing out among the scans in size or intensity, or with a map "
        "unlike those of its class. They come first."
    )
    items: list[Item] = [Text((words,))]
    if first:
        items.append(Cases(tuple(_case(one, found, shown) for one in first)))
    items.append(_table(found, shown))
    away = len(found.scans) - len(shown.in_page) - len(shown.beside)
    if found.means and away > 0:
        items.append(
            NotRun(
                f"The viewer holds the maps of {len(shown.in_page)} scans; those of {away} others "
                "are not beside this page.",
                f"voxplain report {found.path} --everyone",
            )
        )
    return items


def _case(one: ScanFound, found: StudyFound, shown: Shown) -> Case:
    rows: list[tuple[str, object]] = []
    if one.predicted:
        rows += [("truth", one.truth), ("predicted, while held out", one.predicted)]
    if one.sure is not None:
        rows.append(("probability of the predicted class", one.sure))
    if one.fold:
        rows.append(("fold", one.fold))
    rows.append(("quality", one.quality or "nothing stands out"))
    if one.likeness is not None:
        label = found.means[0].label
        away = "" if one.likeness_z is None else f" ({number(one.likeness_z)} deviations)"
        rows.append(
            (f"likeness to the other maps of its class, {label}", two_decimals(one.likeness) + away)
        )
    items: list[Text | Table] = [Table(("what", "value"), tuple(rows), caption=one.name)]
    if one.regions:
        items.append(
            Table(
                ("region", "mean of its map", "deviations from the others of its class"),
                tuple(
                    (r.replace("_", " "), number(v, 3), f"{z:.1f}".replace("-", "−"))
                    for r, v, z in one.regions
                ),
                caption=f"Regions of {one.name} furthest from the others of its class",
            )
        )
    reasons = "; ".join(one.reasons) or "nothing odd"
    return Case(one.name, reasons, _standing(one), tuple(items), one.name)


def _standing(one: ScanFound) -> Standing:
    if not one.urgency:
        return "plain"
    wrong = one.predicted != one.truth
    return "chance" if wrong and (one.sure or 0) >= _SURE else "weak"


def _table(found: StudyFound, shown: Shown) -> Table:
    rows = tuple(
        (
            one.name,
            one.truth or None,
            one.predicted or None,
            one.sure,
            None if one.likeness is None else two_decimals(one.likeness),
            "; ".join(one.reasons) or None,
            "page" if one.name in shown.in_page else "folder" if one.name in shown.beside else None,
        )
        for one in found.scans[:_LISTED]
    )
    more = len(found.scans) - _LISTED
    return Table(
        ("scan", "truth", "predicted", "probability", "likeness", "look at it because", "maps in"),
        rows,
        caption="All scans",
        note="Likeness: correlation of its map with the mean of the others of its class."
        + f" {more} more are not listed." * (more > 0),
        highlight=frozenset(n for n, one in enumerate(found.scans[:_LISTED]) if one.urgency > 0),
    )
