"""One training on scans with a planted effect: what the network learns, what its maps find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxplain.attribution.methods import METHODS
from voxplain.phantom import CLASS_NAMES
from voxplain.pipeline.explain.study import OWN
from voxplain.pipeline.trust.own import OwnStudy
from voxplain.progress import Progress
from voxplain.results.judgement import Found, Judgement

__all__ = ["LEARNED", "Trial", "TrialMap", "run_trial"]

LEARNED = 0.05
"""A network has learned an effect if shuffled labels would do as well less often than this."""


@dataclass(frozen=True)
class TrialMap:
    """How the mean map of the cases finds the planted effect.

    Parameters
    ----------
    average_precision : float
    low, high : float or None
        95 % interval over participants and networks.
    chance, chance_95 : float
        Of a map that knows nothing: on average, and what 95 % of random maps as smooth stay below.
    t_map, edges, ceiling : float or None
        Average precision of the voxel-wise t-map of all scans, of an edge filter, and of the true
        change itself.
    """

    average_precision: float
    low: float | None
    high: float | None
    chance: float
    chance_95: float
    t_map: float | None
    edges: float | None
    ceiling: float | None

    @property
    def found(self) -> bool:
        """Whether the map exceeds 95 % of random maps."""
        return self.average_precision > self.chance_95

    @classmethod
    def of(cls, judged: Judgement) -> TrialMap:
        """Take what is told of a mean map."""
        ap = judged.found.average_precision

        def beside(found: Found | None) -> float | None:
            return None if found is None else found.average_precision.value

        return cls(
            average_precision=ap.value,
            low=ap.low,
            high=ap.high,
            chance=judged.chance_ap,
            chance_95=judged.chance_ap_95,
            t_map=beside(judged.controls.get("t-map-all")),
            edges=beside(judged.controls.get("edges")),
            ceiling=beside(judged.ceiling),
        )


@dataclass(frozen=True)
class Trial:
    """A network trained on scans with a planted effect, and how maps of it find the effect.

    Parameters
    ----------
    scans, folds : int
    accuracy : float
        Held out, mean over folds.
    low, high : float or None
        95 % interval.
    p : float
        Of the held-out predictions against shuffled labels.
    maps : mapping of str to TrialMap
        By method.
    """

    scans: int
    folds: int
    accuracy: float
    low: float | None
    high: float | None
    p: float
    maps: Mapping[str, TrialMap]

    @property
    def learned(self) -> bool:
        """Whether the network knows the effect at all; if not, no map can be blamed."""
        return self.p < LEARNED

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as `from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Trial:
        """Read what `to_dict` wrote."""
        maps = {name: TrialMap(**one) for name, one in told["maps"].items()}
        return cls(**{**told, "maps": maps})


def run_trial(own: OwnStudy, folder: Path, folds: int, progress: Progress) -> Trial:
    """Train on a sub-study whose truth is known, explain what was held out, and judge the maps.

    Parameters
    ----------
    own : OwnStudy
    folder : path
        Of the sub-study, see `voxplain.pipeline.spike.make_spiked_study`.
    folds : int
    progress : Progress

    Returns
    -------
    Trial

    Raises
    ------
    VoxplainError
        If training or explaining fails.
    """
    fitted = own.train(folder, folds, progress)
    judged = fitted.models[own.network].judged
    score = judged.scores["accuracy"]
    explained = own.explain(folder, OWN, fitted.scans, progress)
    by_label = {
        one.label: TrialMap.of(one.judgements.group)
        for one in explained.judged
        if one.target == CLASS_NAMES[-1]
    }
    names = own.methods_for(fitted.scans)
    found = score.mean if score.mean is not None else score.pooled
    return Trial(
        scans=fitted.scans,
        folds=fitted.folds,
        accuracy=float(found or 0.0),
        low=score.ci[0],
        high=score.ci[1],
        p=1.0 if judged.permutation.p is None else judged.permutation.p,
        maps={name: by_label[METHODS[name].info.label] for name in names},
    )
