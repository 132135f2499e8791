"""In how many subjects an effect shows, from how many a test of each subject found it in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from voxplain.errors import InputError

__all__ = ["Prevalence", "prevalence"]

_STEPS = 2001


@dataclass(frozen=True)
class Prevalence:
    """The share of a population that an effect shows in.

    Parameters
    ----------
    shown, of : int
        Subjects in whom a test of each found it, and subjects.
    alpha : float
        How often that test finds something where nothing is.
    value : float
        The most probable share.
    low, high : float
        Between them it lies with 95 %.
    """

    shown: int
    of: int
    alpha: float
    value: float
    low: float
    high: float


def prevalence(shown: int, of: int, alpha: float, confidence: float = 0.95) -> Prevalence:
    """Estimate how many subjects of a population show an effect (Ince et al. 2021).

    A test that finds the effect in each subject who has it, and in a share `alpha` of the others,
    finds it in a share ``alpha + (1 - alpha) * prevalence`` of all. With all prevalences alike
    beforehand, that share has a beta distribution cut off below `alpha`; its narrowest interval is
    returned. As the test may miss the effect in some, this is a lower estimate.

    Parameters
    ----------
    shown, of : int
    alpha : float
    confidence : float, default=0.95

    Returns
    -------
    Prevalence

    Raises
    ------
    InputError
        If more show it than there are, or there is none, or alpha is not between 0 and 1.

    References
    ----------
    Ince et al. (2021), Bayesian inference of population prevalence, eLife 10:e62461.
    """
    if not 0 <= shown <= of or of < 1 or not 0 < alpha < 1:
        raise InputError(
            f"A prevalence needs subjects, some of whom show the effect, and an alpha between 0 "
            f"and 1; {shown} of {of} and {alpha:g} were given."
        )
    posterior = stats.beta(shown + 1, of - shown + 1)
    below = posterior.cdf(alpha)
    mass = np.linspace(0, 1 - confidence, _STEPS)
    low = posterior.ppf(below + mass * (1 - below))
    high = posterior.ppf(below + (mass + confidence) * (1 - below))
    narrowest = int((high - low).argmin())
    bounds = (np.array([low[narrowest], high[narrowest]]) - alpha) / (1 - alpha)
    value = max(0.0, (shown / of - alpha) / (1 - alpha))
    return Prevalence(shown, of, alpha, value, *np.clip(bounds, 0, 1).tolist())
