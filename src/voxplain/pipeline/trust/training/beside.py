"""Maps of a study's networks beside those of the same networks trained otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import METHODS
from voxplain.attribution.methods import make_method
from voxplain.phantom import background_of
from voxplain.pipeline.trust.training.trainings import OwnMaps
from voxplain.trust import FWHM_MM, Agreement, Comparison, Envelope, strength
from voxplain.trust.retraining import Retraining, against_retraining
from voxplain.volume import Cohort

__all__ = ["Beside", "beside", "brain_of", "comparison_of"]


@dataclass(frozen=True)
class Beside:
    """How maps of the study's network compare with those of the same network trained otherwise.

    Parameters
    ----------
    label : str
        Of the method.
    target : str
    retraining : Retraining or None
        Fold by fold; None where fewer than two folds have a map.
    agreement : Agreement
        Of the two mean maps, held against random maps that share their envelope.
    """

    label: str
    target: str
    retraining: Retraining | None
    agreement: Agreement

    @property
    def kept(self) -> float | None:
        """Share of the own networks' likeness beyond the common envelope that the other keeps.

        None where the own networks are not alike beyond it.
        """
        if self.retraining is None:
            return None
        room = self.retraining.own - self.agreement.spearman_surrogates
        if room <= 0 or self.retraining.own <= self.agreement.spearman_95:
            return None
        return (self.retraining.other - self.agreement.spearman_surrogates) / room

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as `from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Beside:
        """Read what `to_dict` wrote."""
        found = told["retraining"]
        return cls(
            told["label"],
            told["target"],
            None if found is None else Retraining(**found),
            Agreement(**told["agreement"]),
        )


def beside(
    method: str, ours: OwnMaps, theirs: Mapping[int, NDArray[np.float32]], how: Comparison
) -> Beside:
    """Compare the strength of maps of the study's networks with that of others of the same scans.

    The sign is left out: it turns with the intensities, and with labels that mean nothing.

    Parameters
    ----------
    method : str
    ours : OwnMaps
    theirs : mapping of int to array (X, Y, Z)
        By fold; see `Trained`.
    how : Comparison
        With an envelope; see `comparison_of`.

    Returns
    -------
    Beside
    """
    if how.envelope is None:
        raise ValueError("The comparison needs an envelope.")
    grid = how.envelope.grid
    width = 0.0 if make_method(method).smooth_mm else FWHM_MM
    both = [fold for fold in ours.folds if fold in theirs]
    first, second = [ours.folds[n] for n in both], [theirs[n] for n in both]

    def strong(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return strength(values, grid, width)

    retraining = None
    if len(both) > 1:
        retraining = against_retraining(
            [strong(one) for one in first], [strong(one) for one in second], how.brain, how.seed
        )
    weights = [len(ours.rows[n]) for n in both]
    means = [strong(np.average(one, axis=0, weights=weights)) for one in (first, second)]
    return Beside(METHODS[method].info.label, ours.target, retraining, how.of(*means))


def brain_of(cohort: Cohort) -> NDArray[np.bool_]:
    """Find where at least half of the scans have signal, array (X, Y, Z)."""
    inside = np.zeros(cohort.grid.shape)
    for i in range(len(cohort)):
        values = cohort.load(i)
        inside += values != background_of(values)
    return inside >= len(cohort) / 2


def comparison_of(cohort: Cohort, seed: int, draws: int = 100) -> Comparison:
    """Compare inside the brain, against random maps that follow the mean scan as the maps do."""
    mean = cohort.mean(np.arange(len(cohort)))
    return Comparison(
        brain_of(cohort), seed=seed, draws=draws, envelope=Envelope(cohort.grid, (mean,))
    )
