"""Captions that stand alone: one for each figure, on the page and for a paper."""

from __future__ import annotations

from voxplain.report.html.sections import Picture
from voxplain.report.pages.demo_words import listed
from voxplain.report.words.scores import scores_caption
from voxplain.results.study import StudyFound

__all__ = ["caption_of", "on_page", "picture_of"]

_SIDES = "Left is left. The grey image is the mean scan of the study."
_COLOURS = "Colours are centred on zero where a map has both signs, and fade out towards it."


def on_page(name: str, first: str) -> bool:
    """Tell whether a figure is on the page: of single methods, that of the first alone.

    Parameters
    ----------
    name : str
        As `caption_of` knows it.
    first : str
        Label of the first method.
    """
    kind, _, rest = name.partition(":")
    return kind not in ("mosaic", "regions", "surface") or rest.rpartition(":")[0] == first


def picture_of(name: str, png: bytes, found: StudyFound) -> Picture:
    """Put the caption of a figure below it.

    Parameters
    ----------
    name : str
        As `caption_of` knows it.
    png : bytes
    found : StudyFound
    """
    caption = caption_of(name, found)
    return Picture(png, caption, caption.partition(". ")[0] + ".")


def caption_of(name: str, found: StudyFound) -> str:
    """Write the caption of a figure.

    Parameters
    ----------
    name : str
        ``"scores"``, ``"mosaic:Gradient:case"``, ...
    found : StudyFound
    """
    kind, _, rest = name.partition(":")
    label, _, target = rest.rpartition(":")
    outlined = " The outline is where the true effect lies." if found.judged else ""
    if kind == "scores" and found.fit:
        return scores_caption(found.fit)
    if kind == "gallery":
        return (
            f"Mean maps of all methods for {rest}, at the same cuts. Each row has its own scale. "
            f"{_COLOURS} {_SIDES}{outlined} “Beyond head”: the part of the summed magnitudes that "
            "lies outside the head, and is not drawn."
        )
    if kind == "mosaic":
        count = next((m.scans for m in found.means if m.target == target), None)
        return (
            f"{label}: evidence for {target}, mean map of {count} held-out scans, each explained "
            f"by the network that had not seen it. {_COLOURS} {_SIDES}{outlined}"
        )
    if kind == "surface":
        return (
            f"{label}: evidence for {target}, on the cortex of FreeSurfer's average brain "
            "(fsaverage5) in MNI152: the mean map, averaged over the depth of the cortex. Above, "
            f"the pial surface; below, the inflated one, with sulci in dark grey. {_COLOURS}"
        )
    if kind == "glass":
        return (
            f"Mean maps by {found.means[0].label} of held-out scans on glass brains: projections "
            "of the largest magnitude in the brain along each direction, in one scale. Red: "
            "positive; blue: negative. L and R mark the sides."
        )
    if kind == "regions":
        return (
            f"{label} for {target}: mean of the map in the regions of {found.atlas} in which it is "
            "strongest for their size, strongest first. Lines: 95 % intervals over participants. "
            "Orange: positive; blue: negative."
            + " Beside it the rank by density, with 95 % of bootstrap draws of the participants."
            * any(v.ranks for one in found.regions if one.atlas == found.atlas for v in one.values)
        )
    if kind == "reclassify" and found.reclassify:
        classes = listed(found.reclassify.class_names)
        return f"Accuracy on whole and on masked held-out scans, {classes}, with 95 % intervals."
    return {
        "calibration": (
            "How often predictions are right against how probable they were said to be. On the "
            "dashed line a model is calibrated; area: number of scans; vertical lines: 95 % Wilson "
            "intervals."
        ),
        "agreement": (
            "Rank correlation between the mean maps of the methods inside the brain, 1 for maps "
            "that rank all voxels alike."
        ),
        "removal": (
            "What the network's score for the class loses when the voxels that a map ranks highest "
            "are replaced (deletion), and what it gains when they alone are put back (insertion), "
            "by their share of the brain: means over scans. Line: the method's maps. Dashes and "
            "band: median and 95th percentile of random maps as smooth and of the same values. "
            "The higher above the band, the more faithful."
        ),
    }.get(kind, "")
