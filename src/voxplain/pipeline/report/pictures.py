"""The figures of a study's report, for the page and, as SVG and 300 dpi PNG, for a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from textwrap import wrap
from typing import Any, Final

from voxplain.pipeline.fit.places import file_part
from voxplain.pipeline.report.maps import StudyMaps
from voxplain.progress import Progress
from voxplain.report import figures
from voxplain.report.pages.fit import score_rows
from voxplain.report.pages.reclassify import condition_rows
from voxplain.report.pages.study.captions import caption_of, on_page
from voxplain.report.pages.study.numbers import agreed, removed
from voxplain.report.words.scores import chance_level
from voxplain.results.fit import FitResult
from voxplain.results.study import StudyFound
from voxplain.study import Study
from voxplain.study.names import spelled

__all__ = ["draw_pictures", "kept_pictures", "write_for_print"]

_PREFIX: Final = "figures/paper-"
_LABEL_WIDTH: Final = 16
_GLASS: Final = 4
_PNG: Final = b"\x89PNG\r\n\x1a\n"

Makers = dict[str, Callable[[], bytes]]


def draw_pictures(
    found: StudyFound, maps: StudyMaps | None, truth: Any, progress: Progress, print_: bool
) -> tuple[dict[str, bytes], dict[str, figures.Printed]]:
    """Draw every figure of the report; those that are for a paper alone only where asked for.

    Parameters
    ----------
    found : StudyFound
    maps : StudyMaps or None
    truth : array (X, Y, Z), bool, or None
    progress : Progress
    print_ : bool
        Whether they are drawn for a paper as well.

    Returns
    -------
    pictures : dict of str to bytes
        PNG for the page.
    printed : dict of str to Printed
        Empty where none were asked for.
    """
    makers = _makers(found, maps, truth)
    first = maps.label(maps.means[0]) if maps is not None and maps.means else ""
    if not print_:
        makers = {name: make for name, make in makers.items() if on_page(name, first)}
    pictures: dict[str, bytes] = {}
    printed: dict[str, figures.Printed] = {}
    with progress.step("Figures", len(makers)) as advance:
        for done, (name, make) in enumerate(makers.items(), start=1):
            shown = on_page(name, first)
            if print_:
                with figures.for_print(page=shown) as made:
                    png = make()
                printed[name] = made[-1]
            else:
                png = make()
            if shown:
                brain = name.startswith(("gallery", "mosaic", "surface"))
                pictures[name] = figures.fewer_colours(png) if brain else png
            advance(done)
    return pictures, printed


def _makers(found: StudyFound, maps: StudyMaps | None, truth: Any) -> Makers:
    makers: Makers = {}
    if found.fit:
        makers |= _of_fit(found.fit)
    if maps is not None:
        makers |= _of_maps(found, maps, truth)
    makers |= _of_trust(found)
    if found.reclassify:
        one = found.reclassify
        chance = chance_level(one.class_names, one.class_counts)
        rows = condition_rows(one)
        makers["reclassify"] = lambda: figures.model_scores(rows, "accuracy", chance, one.ceiling)
    return makers


def kept_pictures(study: Study, found: StudyFound) -> dict[str, bytes]:
    """Read the figures of single commands that take more than their results to draw again.

    Parameters
    ----------
    study : Study
    found : StudyFound
    """
    files = {"masks": "figures/reclassify-masks.png"}
    if found.fit:
        names = ["importances", *(f"predictions:{name}" for name in found.fit.models)]
        files |= {name: f"figures/fit-{file_part(name)}.png" for name in names}
    if found.features:
        files["contrasts"] = str(found.features.get("figure", ""))
    held = {name: study.read_bytes(file) for name, file in files.items() if file}
    return {name: png for name, png in held.items() if png and png.startswith(_PNG)}


def write_for_print(study: Study, found: StudyFound, printed: Mapping[str, figures.Printed]) -> int:
    """Write figures for a paper and their captions below ``figures/``; return how many there are.

    Parameters
    ----------
    study : Study
    found : StudyFound
    printed : mapping of str to Printed
    """
    captions = []
    for name, one in printed.items():
        file = _PREFIX + "-".join(spelled(part) for part in name.split(":"))
        study.write_bytes(f"{file}.svg", one.svg)
        study.write_bytes(f"{file}.png", one.png)
        captions.append(f"{file.removeprefix('figures/')}: {caption_of(name, found)}")
    if captions:
        study.write_text(f"{_PREFIX}captions.txt", "\n\n".join(captions) + "\n")
    return len(printed)


def _of_fit(fit: FitResult) -> Makers:
    chance = chance_level(fit.class_names, fit.class_counts)
    label = (
        "accuracy" if fit.class_names else f"mean absolute error of {fit.outcome} (less is better)"
    )
    rows = score_rows(fit)
    out: Makers = {"scores": lambda: figures.model_scores(rows, label, chance, fit.ceiling)}
    judged = {name: model.judged for name, model in fit.models.items()}
    if any(one.calibration for one in judged.values()):
        out["calibration"] = lambda: figures.calibration_curves(judged)
    return out


def _of_maps(found: StudyFound, maps: StudyMaps, truth: Any) -> Makers:
    out: Makers = {}
    place = maps.place
    background, grid = place.anatomy, place.grid
    targets = list(dict.fromkeys(one.target for one in maps.means))
    for target in targets:
        rows = [
            ("\n".join(wrap(maps.label(one), _LABEL_WIDTH)), maps.values[one.file])
            for one in maps.means
            if one.target == target and maps.values[one.file].any()
        ]
        if rows:
            out[f"gallery:{target}"] = partial(figures.gallery, rows, background, grid, truth=truth)
    same = [one for one in maps.means if maps.label(one) == maps.label(maps.means[0])]
    if place.cortex is not None:
        glass = [
            (f"{maps.label(one)}, {one.target}", maps.values[one.file])
            for one in same[:_GLASS]
            if maps.values[one.file].any()
        ]
        if glass:
            unit = same[0].unit
            out["glass"] = partial(figures.glass_brains, glass, place.brain, grid, unit=unit)
    for one in maps.means:
        label = maps.label(one)
        if not maps.values[one.file].any():
            continue
        title = f"{label}, evidence for “{one.target}”: mean of {one.scans} scans"
        out[f"mosaic:{label}:{one.target}"] = partial(
            figures.mosaic,
            maps.values[one.file],
            background,
            grid,
            truth=truth,
            title=title,
            unit=one.unit,
        )
        if place.cortex is not None:
            out[f"surface:{label}:{one.target}"] = partial(
                figures.surfaces,
                place.cortex.read(maps.values[one.file], grid),
                place.cortex,
                title,
                one.unit,
            )
        for listed in found.regions:
            if (listed.label, listed.target, listed.atlas) == (label, one.target, found.atlas):
                out[f"regions:{label}:{one.target}"] = partial(
                    figures.region_intervals, listed.values, f"{label}, {one.target}", one.unit
                )
    return out


def _of_trust(found: StudyFound) -> Makers:
    out: Makers = {}
    if found.trust:
        labels, values = agreed(found.trust)
        if len(labels) > 1 and values:
            out["agreement"] = lambda: figures.rank_matrix(labels, values)
        if rows := removed(found.trust):
            out["removal"] = lambda: figures.removal_curves(rows)
    return out
