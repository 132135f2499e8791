"""Whether a map can be believed."""

from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
from voxplain.trust.chance import ChanceInterval, chance_interval, chance_of
from voxplain.trust.controls import TMap, edge_filter
from voxplain.trust.fields import fwhm_of
from voxplain.trust.localisation import FWHM_MM, Localisation, localise, strength
from voxplain.trust.places import Places, find_places
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.verdict import Verdict, say

__all__ = [
    "FWHM_MM",
    "Agreement",
    "ChanceInterval",
    "Envelope",
    "Localisation",
    "Places",
    "TMap",
    "Verdict",
    "agreement",
    "chance_interval",
    "chance_of",
    "dice_top",
    "edge_filter",
    "find_places",
    "fwhm_of",
    "localise",
    "say",
    "spearman",
    "strength",
    "surrogates",
]
