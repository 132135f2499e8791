"""The verdict on a method, in one sentence that a reader cannot mistake."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voxplain.errors import InputError

__all__ = ["Verdict", "say"]


@dataclass(frozen=True)
class Verdict:
    """What a method's localisation amounts to.

    Parameters
    ----------
    better_than_chance : bool
        Its average precision exceeds that of 95 % of random smooth maps.
    beats_edges : bool
        It exceeds that of an edge filter of the image.
    beats_t_map : bool
        It exceeds that of the voxel-wise t-map of the training images.
    sentence : str
        The verdict in words, for the report.
    """

    better_than_chance: bool
    beats_edges: bool
    beats_t_map: bool
    sentence: str


def say(
    method: str,
    ap: float,
    *,
    chance_ap: float,
    chance_95: float,
    edge_ap: float,
    t_map_ap: float,
    class_name: str = "",
) -> Verdict:
    """Judge a method by its average precision against chance and two controls.

    The bars are taken in this order: chance, edges, t-map; the sentence names the first that is
    not cleared. Equal counts as not cleared.

    Parameters
    ----------
    method : str
        Label of the method, as it starts a sentence: ``"Grad-CAM"``.
    ap : float
        Average precision of its map, `Localisation.average_precision`.
    chance_ap : float
        Prevalence of the truth, `Localisation.chance_ap`.
    chance_95 : float
        `ChanceInterval.percentile_95` for maps as smooth as this one.
    edge_ap, t_map_ap : float
        Average precision of `edge_filter` and of the absolute t-map.
    class_name : str, default=""
        Whose mean map was scored, where maps of several classes were made.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        If a figure is not between 0 and 1.
    """
    figures = {
        "average precision": ap,
        "chance level": chance_ap,
        "95th percentile": chance_95,
        "edge control": edge_ap,
        "t-map control": t_map_ap,
    }
    for name, value in figures.items():
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise InputError(f"The {name} of {method} must lie between 0 and 1; it is {value}.")
    places = _places(ap, chance_95, edge_ap, t_map_ap)
    own, chance, null, edge, t_map = (_plain(v, places) for v in figures.values())
    own = f"of class “{class_name}” {own}" if class_name else own
    better, edges, beats_t = ap > chance_95, ap > edge_ap, ap > t_map_ap
    if not better:
        sentence = (
            f"{method} is no better than chance at finding the truth (average precision {own}, "
            f"chance {chance}, 95 % of random smooth maps stay below {null})."
        )
    elif not edges:
        sentence = (
            f"{method} finds the truth better than chance, but no better than an edge filter that "
            f"knows nothing of the network (average precision {own}, edge filter {edge}, "
            f"chance {chance})."
        )
    elif not beats_t:
        sentence = (
            f"{method} finds the truth better than chance and than an edge filter, but no better "
            f"than the voxel-wise t-map of the training images (average precision {own}, "
            f"t-map {t_map}, edge filter {edge}, chance {chance})."
        )
    else:
        sentence = (
            f"{method} finds the truth better than chance, than an edge filter and than the "
            f"voxel-wise t-map of the training images (average precision {own}, t-map {t_map}, "
            f"edge filter {edge}, chance {chance})."
        )
    return Verdict(better, edges, beats_t, sentence)


def _places(*values: float) -> int:
    """Fewest decimals, three or more, that show apart what differs."""
    distinct = len(set(values))
    return next(
        (n for n in range(3, 7) if len({_plain(v, n) for v in values}) == distinct),
        6,
    )


def _plain(value: float, places: int) -> str:
    return f"{value:.{places}f}".removeprefix("0") if value < 1 else f"{value:.{places}f}"
