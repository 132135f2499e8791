"""What is doubtful about the scans of a cohort before anybody looks at a voxel: place and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from voxplain.cohort.find.participants import some_of
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.volume import Cohort

__all__ = ["Doubt", "doubts_of"]


@dataclass(frozen=True)
class Doubt:
    """One kind of doubt.

    Parameters
    ----------
    name : str
        What it is about, two words or three.
    sentence : str
        How many scans it concerns, also by class, which they are, and what to do.
    scans : tuple of str
    """

    name: str
    sentence: str
    scans: tuple[str, ...]


def doubts_of(cohort: Cohort, flags: Mapping[str, Sequence[str]], recipe: Recipe) -> list[Doubt]:
    """Sum up what was noticed while scans were prepared.

    Parameters
    ----------
    cohort : Cohort
    flags : mapping of str to sequence of str
        By scan, those of `Prepared`; also ``"no mask"``, where a scan
        came without one, and ``"read"``, where reading it or its mask raised a remark.
    recipe : Recipe

    Returns
    -------
    list of Doubt
        The gravest first; empty where there is none.
    """
    found = {
        kind: tuple(who for who in cohort.subjects if kind in flags.get(who, ()))
        for kind in ("far", "cut", "head", "small", "no mask", "read")
    }
    bare = tuple(who for who in found["head"] if who in found["no mask"])
    masked = tuple(who for who in found["head"] if who not in found["no mask"])
    mixed = len(found["no mask"]) < len(cohort)
    unmasked = tuple(who for who in found["no mask"] if mixed and who not in bare)
    new = "run again with --align centre, in a new folder"
    lost = new if recipe.align == "affine" else "check the voxel sizes in their headers"
    kinds: list[tuple[str, tuple[str, ...], str, str]] = [
        (
            "heads without masks",
            bare,
            "fill more than 2200 mL and have no brain mask, like whole heads: a network would read "
            "skull, neck and what the scanner cut off, and their brain size is that of the head",
            "give their brain masks, or find them with --skull-strip",
        ),
        (
            "masks of some",
            unmasked,
            "have no brain mask, and others have one",
            "give all of them a mask, or find the missing ones with --skull-strip, unless these "
            "scans hold nothing but brain",
        ),
        (
            "place",
            found["far"],
            "lie more than 20 mm from the brain of MNI152: their affines do not lead to its "
            "coordinates, and the network's grid does not cover one and the same place in all",
            new,
        ),
        (
            "field of view",
            found["cut"],
            "are cut: more than 5 % of the brain lies outside the network's field of view",
            lost,
        ),
        (
            "masks",
            masked,
            "fill more than 2200 mL within their masks, like whole heads",
            "look at the masks",
        ),
        (
            "small brains",
            found["small"],
            "fill less than 500 mL",
            "check that they are complete, their masks and their voxel sizes",
        ),
        (
            "files",
            found["read"],
            "or their masks raised a remark when they were read",
            "see the remarks in cohort.html or cohort.json",
        ),
    ]
    by_class = _counter(cohort)
    return [
        Doubt(
            name,
            f"{len(scans)} of {len(cohort)} scans {what}. By class: {by_class(scans)}. They are "
            f"{some_of(scans)}. What to do: {cure}.",
            scans,
        )
        for name, scans, what, cure in kinds
        if scans
    ]


def _counter(cohort: Cohort) -> Callable[[Sequence[str]], str]:
    labels = dict(zip(cohort.subjects, cohort.participants["label"], strict=True))
    totals = {name: sum(1 for one in labels.values() if one == name) for name in cohort.class_names}

    def told(scans: Sequence[str]) -> str:
        return ", ".join(
            f"{sum(1 for who in scans if labels[who] == name)} of {total} {name}"
            for name, total in totals.items()
        )

    return told
