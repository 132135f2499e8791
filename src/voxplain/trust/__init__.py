"""Whether a map can be believed."""

from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
from voxplain.trust.chance import ChanceInterval, chance_interval, chance_of
from voxplain.trust.controls import EDGE_SIGMA_MM, TMap, edge_filter
from voxplain.trust.fields import fwhm_of
from voxplain.trust.figures import KnownTruth, SubjectMaps
from voxplain.trust.judgement import judge
from voxplain.trust.localisation import FWHM_MM, Localisation, localise, strength
from voxplain.trust.places import Places, find_places
from voxplain.trust.verdict import Verdict, say

__all__ = [
    "EDGE_SIGMA_MM",
    "FWHM_MM",
    "Agreement",
    "ChanceInterval",
    "KnownTruth",
    "Localisation",
    "Places",
    "SubjectMaps",
    "TMap",
    "Verdict",
    "agreement",
    "chance_interval",
    "chance_of",
    "dice_top",
    "edge_filter",
    "find_places",
    "fwhm_of",
    "judge",
    "localise",
    "say",
    "spearman",
    "strength",
]
